package npm

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// The kinds of document.
const (
	kindFull        = "full"        // packument
	kindAbbreviated = "abbreviated" // packument for installers
	kindWrite       = "write"       // packument before a write, of this repository alone
	kindVersion     = "version"     // one version's manifest; Arg is a version or a tag
	kindTags        = "tags"        // dist-tags
)

const (
	typeJSON        = "application/json"
	typeAbbreviated = "application/vnd.npm.install-v1+json"
)

// Render writes a document from the fragments of its versions. Errors: NotFound where
// no version may be shown; Internal for a damaged fragment. Source: npm.md 2;
// codeartifact.md 4.1.
func (f Format) Render(ctx context.Context, w io.Writer, k format.DocKey, v format.View) (format.DocInfo, error) {
	d := newDocument(k, v)
	info := format.DocInfo{ContentType: typeJSON, Modified: v.Modified}
	if k.Kind == kindVersion {
		return info, d.writeVersion(w)
	}
	if len(d.listed) == 0 {
		return info, packhouse.NotFoundf(packhouse.ResourcePackage, d.name, "package %s has no version in repository %s", d.name, v.Repo.Name)
	}
	switch k.Kind {
	case kindTags:
		_, err := w.Write(append(d.appendTags(nil), '\n'))
		return info, err
	case kindAbbreviated:
		info.ContentType = typeAbbreviated
		return info, d.writePackument(ctx, w, true)
	case kindFull, kindWrite:
		return info, d.writePackument(ctx, w, false)
	}
	return info, packhouse.Internal(fmt.Errorf("npm has no document of kind %q", k.Kind))
}

// document is a packument in the making.
type document struct {
	key    format.DocKey
	view   format.View
	name   string
	listed []format.Entry    // Published, in order
	tags   map[string]string // resolved: every target is listed
	// The beginnings of addresses, with the opening quote.
	tarballs, attestations []byte
	address                []byte // working memory of addressesOf

	encoder fragmentEncoder
}

func newDocument(k format.DocKey, v format.View) *document {
	d := &document{key: k, view: v, name: fullName(v.Package)}
	d.listed = make([]format.Entry, 0, len(v.Entries))
	for _, e := range v.Entries {
		if e.Status.Listed() {
			d.listed = append(d.listed, e)
		}
	}
	d.tags = d.resolveTags()
	d.tarballs = openQuote(k.Base + d.name + "/-/" + v.Package.Name + "-")
	d.attestations = openQuote(k.Base + attestationsPath(v.Package, ""))
	return d
}

// openQuote begins a JSON string.
func openQuote(s string) []byte {
	quoted := quote(s)
	return quoted[:len(quoted)-1]
}

// addressesOf returns where a version's files are; good until it is called again.
func (d *document) addressesOf(version string) addresses {
	b := append(append(append(d.address[:0], d.tarballs...), version...), `.tgz"`...)
	end := len(b)
	b = append(append(append(b, d.attestations...), version...), '"')
	d.address = b
	return addresses{tarball: b[:end], attestations: b[end:]}
}

// resolveTags leaves out tags whose target is not listed, and gives latest the highest
// stable version, else the highest of all, where its own is not listed. Source:
// codeartifact.md 4.1.
func (d *document) resolveTags() map[string]string {
	tags := make(map[string]string, len(d.view.Tags)+1)
	if len(d.listed) == 0 {
		return tags
	}
	byKey := make(map[string]string, len(d.listed))
	for _, e := range d.listed {
		byKey[withoutBuild(e.Version)] = e.Version
	}
	for tag, target := range d.view.Tags {
		if version, ok := byKey[withoutBuild(target)]; ok {
			tags[tag] = version
		}
	}
	if _, ok := tags[defaultTag]; !ok {
		tags[defaultTag] = d.highest()
	}
	return tags
}

func (d *document) highest() string {
	for _, e := range slices.Backward(d.listed) {
		if !isPrerelease(e.Version) {
			return e.Version
		}
	}
	return d.listed[len(d.listed)-1].Version
}

// find returns the entry of a version, listed or not; nil for none.
func (d *document) find(version string) *format.Entry {
	key := withoutBuild(version)
	for i := range d.view.Entries {
		e := &d.view.Entries[i]
		if e.Status.Downloadable() && withoutBuild(e.Version) == key {
			return e
		}
	}
	return nil
}

// writeVersion writes the manifest of one version, the same bytes as in the packument.
func (d *document) writeVersion(w io.Writer) error {
	e := d.find(d.key.Arg)
	if e == nil {
		if target, ok := d.tags[d.key.Arg]; ok {
			e = d.find(target)
		}
	}
	if e == nil {
		if err := d.refusal(d.key.Arg); err != nil {
			return err
		}
		err := packhouse.NotFoundf(packhouse.ResourceVersion, d.key.Arg, "package %s has no version and no tag %s in repository %s", d.name, d.key.Arg, d.view.Repo.Name)
		if latest := d.tags[defaultTag]; latest != "" {
			err.Near = latest
			err.Message += "; its latest version is " + latest
		}
		return err
	}
	b, err := d.appendEntry(nil, e, false)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// flushAt is how much text is gathered before it is written.
const flushAt = 64 << 10

func (d *document) writePackument(ctx context.Context, w io.Writer, abbreviated bool) error {
	b := make([]byte, 0, flushAt+16<<10)
	if abbreviated {
		b = appendQuoted(append(b, `{"name":`...), d.name)
		b = appendTime(append(b, `,"modified":`...), d.modified())
	} else {
		b = appendQuoted(append(b, `{"_id":`...), d.name)
		b = appendQuoted(append(b, `,"_rev":`...), revision(d.view.Seq))
		b = appendQuoted(append(b, `,"name":`...), d.name)
	}
	b = append(b, `,"dist-tags":`...)
	b = d.appendTags(b)
	b = append(b, `,"versions":{`...)
	for i := range d.listed {
		e := &d.listed[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendQuoted(b, e.Version), ':')
		var err error
		if b, err = d.appendEntry(b, e, abbreviated); err != nil {
			return err
		}
		if len(b) >= flushAt {
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	b = append(b, `},"time":`...)
	b = d.appendTimes(b)
	if !abbreviated {
		var err error
		if b, err = d.appendHead(b); err != nil {
			return err
		}
	}
	b = d.appendWithheld(b)
	_, err := w.Write(append(b, "}\n"...))
	return err
}

// appendEntry appends the object of one version.
func (d *document) appendEntry(b []byte, e *format.Entry, abbreviated bool) ([]byte, error) {
	f, err := d.encoder.read(e.Fragment)
	if err != nil {
		return b, packhouse.Internal(fmt.Errorf("render %s@%s: %w", d.name, e.Version, err))
	}
	at := d.addressesOf(e.Version)
	b = append(b, '{')
	if abbreviated {
		if b, err = f.appendAbbreviated(b, at, e.Overlay); err != nil {
			return b, packhouse.Internal(fmt.Errorf("render %s@%s: %w", d.name, e.Version, err))
		}
	} else {
		b = f.appendFull(b, at, e.Overlay)
	}
	return append(b, '}'), nil
}

func (d *document) appendTags(b []byte) []byte {
	b = append(b, '{')
	for i, tag := range slices.Sorted(maps.Keys(d.tags)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(append(appendQuoted(b, tag), ':'), d.tags[tag])
	}
	return append(b, '}')
}

// appendTimes appends the publish times: created, modified, and one for each listed
// version, because clients that wait for a minimum age look up every one of them.
func (d *document) appendTimes(b []byte) []byte {
	created, modified := d.created(), d.modified()
	b = appendTime(append(b, `{"created":`...), created)
	b = appendTime(append(b, `,"modified":`...), modified)
	for i := range d.listed {
		e := &d.listed[i]
		at := e.Published
		if at.IsZero() {
			at = created
		}
		b = appendQuoted(append(b, ','), e.Version)
		b = appendTime(append(b, ':'), at)
	}
	return append(b, '}')
}

func (d *document) created() time.Time {
	at := d.view.Created
	for i := range d.listed {
		if p := d.listed[i].Published; !p.IsZero() && (at.IsZero() || p.Before(at)) {
			at = p
		}
	}
	return at
}

func (d *document) modified() time.Time {
	at := d.view.Modified
	for i := range d.listed {
		if p := d.listed[i].Published; p.After(at) {
			at = p
		}
	}
	return at
}

// appendTime appends a time as the public registry writes it: UTC, with milliseconds. An
// unknown time is the epoch: old enough for every minimum age.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().AppendFormat(b, `"2006-01-02T15:04:05.000Z"`)
}

// appendHead appends what the document says of the package: the public registry's words,
// else those of the version that latest points at.
func (d *document) appendHead(b []byte) ([]byte, error) {
	if len(d.view.Head) > 0 {
		return append(append(b, ','), d.view.Head...), nil
	}
	e := d.find(d.tags[defaultTag])
	if e == nil {
		return b, nil
	}
	f, err := d.encoder.read(e.Fragment)
	if err != nil {
		return b, packhouse.Internal(fmt.Errorf("render %s@%s: %w", d.name, e.Version, err))
	}
	head, err := f.appendHead(nil)
	if err != nil || len(head) == 0 {
		return b, err
	}
	return append(append(b, ','), head...), nil
}

// revision is the package's opaque revision. Clients send it back with a write.
func revision(seq int64) string { return strconv.FormatInt(seq, 10) }

// parseRevision reads the revision that a client sends back. Errors: Conflict
// "stale_revision" for what was never one.
func parseRevision(rev string) (seq int64, err error) {
	if seq, err = strconv.ParseInt(rev, 10, 64); err != nil || seq <= 0 {
		return 0, staleRevision()
	}
	return seq, nil
}

// reasonStale is the reason of a write with a revision that is not the package's any more
// (format.Amendments.IfSeq).
const reasonStale = "stale_revision"

func staleRevision() error {
	return packhouse.Conflictf(reasonStale, packhouse.ResourcePackage, "", "the package has changed meanwhile; read it again and repeat")
}
