package npm

import (
	"slices"
	"strings"
)

// maxWithheldTold is how many versions that are held back the text of a document names.
const maxWithheldTold = 10

// appendWithheld appends what tells npm why versions are not in the document. npm 6 and
// later print the message when somebody asks for one of these versions, or for a range in
// which there are no others, and choose other versions where they can
// (npm-pick-manifest). Other clients read past it.
func (d *document) appendWithheld(b []byte) []byte {
	if len(d.view.Withheld) == 0 {
		return b
	}
	var told []string
	for _, h := range slices.Backward(d.view.Withheld) {
		if len(told) == maxWithheldTold {
			told = append(told, "and further versions")
			break
		}
		told = append(told, d.name+"@"+h.Version+" "+h.Why)
	}
	b = appendQuoted(append(b, `,"policyRestrictions":{"message":`...), strings.Join(told, "\n"))
	b = append(b, `,"versions":{`...)
	for i, h := range d.view.Withheld {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(append(appendQuoted(b, h.Version), `:{"name":`...), d.name)
		b = append(appendQuoted(append(b, `,"version":`...), h.Version), '}')
	}
	return append(b, "}}"...)
}

// refusal returns the answer to a request for a version that is held back, nil for others.
func (d *document) refusal(version string) error {
	key := withoutBuild(version)
	for _, h := range d.view.Withheld {
		if withoutBuild(h.Version) == key {
			return h.Refusal(d.name)
		}
	}
	return nil
}
