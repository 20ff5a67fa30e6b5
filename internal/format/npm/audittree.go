package npm

import (
	"net/http"
	"strconv"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// auditNode is a package, or the project, in the tree that older audits send (npm 6,
// Yarn 1, pnpm up to 10). Only what an audit needs is read and goes on.
type auditNode struct {
	Version      string                `json:"version,omitempty"`
	Integrity    string                `json:"integrity,omitempty"`
	Dev          bool                  `json:"dev,omitempty"`
	Optional     bool                  `json:"optional,omitempty"`
	Requires     map[string]string     `json:"requires,omitempty"`
	Dependencies map[string]*auditNode `json:"dependencies,omitempty"`
}

// treeAudit serves the older audits at path. In the tree, packages that must not be
// spoken of outside keep their place, because others hang below them, and lose name,
// version and digest.
func (p protocol) treeAudit(path string) func(http.ResponseWriter, *format.Request) error {
	return func(w http.ResponseWriter, r *format.Request) error {
		doc, err := readAudit(r.Request)
		if err != nil {
			return err
		}
		asked := map[packhouse.PackageName][]string{}
		tree := p.readAuditNode(doc, asked)
		answers, err := p.ask(r, path, asked, func(names []packhouse.PackageName) any {
			f := auditFilter{room: p.Format, may: make(map[packhouse.PackageName]bool, len(names))}
			for _, n := range names {
				f.may[n] = true
			}
			project := f.filter(tree)
			project.Version, project.Integrity = "", ""
			return struct {
				*auditNode
				Install  []string          `json:"install"`
				Remove   []string          `json:"remove"`
				Metadata map[string]string `json:"metadata"`
			}{project, []string{}, []string{}, map[string]string{}}
		})
		if err != nil {
			return err
		}
		if len(answers) == 0 {
			return noAudit("the project has no packages to ask about")
		}
		// Reports with their counts cannot be joined; the nearest registry's is it.
		return writeDocument(w, answers[0].Body)
	}
}

// readAuditNode reads a node and notes the packages below it.
func (p protocol) readAuditNode(o object, asked map[packhouse.PackageName][]string) *auditNode {
	n := &auditNode{Version: o.text("version"), Integrity: o.text("integrity"), Dev: string(o["dev"]) == "true",
		Optional: string(o["optional"]) == "true", Requires: o.object("requires").texts()}
	for full, raw := range o.object("dependencies") {
		if n.Dependencies == nil {
			n.Dependencies = map[string]*auditNode{}
		}
		n.Dependencies[full] = p.readAuditNode(readObject(raw), asked)
		if name, err := p.canonicalFull(full); err == nil {
			asked[name] = nil
		}
	}
	return n
}

// auditFilter hides what is not may. Hidden packages are numbered; no package's name
// begins with an underscore.
type auditFilter struct {
	room   Format
	may    map[packhouse.PackageName]bool
	hidden int
}

func (f *auditFilter) filter(n *auditNode) *auditNode {
	out := &auditNode{Version: n.Version, Integrity: n.Integrity, Dev: n.Dev, Optional: n.Optional}
	for full, wanted := range n.Requires {
		if f.allows(full) {
			if out.Requires == nil {
				out.Requires = map[string]string{}
			}
			out.Requires[full] = wanted
		}
	}
	for full, child := range n.Dependencies {
		if out.Dependencies == nil {
			out.Dependencies = map[string]*auditNode{}
		}
		shown := f.filter(child)
		if !f.allows(full) || badVersion(child.Version) != "" {
			f.hidden++
			full, shown.Version, shown.Integrity = "_"+strconv.Itoa(f.hidden), "0.0.0", ""
		}
		out.Dependencies[full] = shown
	}
	return out
}

func (f *auditFilter) allows(full string) bool {
	name, err := f.room.canonicalFull(full)
	return err == nil && f.may[name]
}
