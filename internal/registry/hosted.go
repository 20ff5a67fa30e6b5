package registry

import (
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
)

// hostedSegment begins addresses of the shape /api/packages/{owner}/{format}/…, in which
// Gitea has its packages (addresses.md 5, generic.md 1). An owner is a repository, spelled
// DOMAIN.REPOSITORY: no domain has a dot.
const hostedSegment = "api"

// hostedSegments is how many segments stand before the format's own.
const hostedSegments = 4

// isHosted reports whether a path is of the shape that hostedSegment begins, or a part of
// one.
func isHosted(segs []httpx.Segment) bool { return len(segs) > 0 && segs[0].Text == hostedSegment }

// room returns the room that a path belongs to, nil for none.
func (d *Door) room(segs []httpx.Segment) *room {
	switch {
	case len(segs) == 0:
		return nil
	case !isHosted(segs):
		return d.rooms[segs[0].Text]
	case len(segs) < hostedSegments || segs[1].Text != "packages":
		return nil
	}
	if rm := d.rooms[segs[3].Text]; rm != nil && rm.hosted != nil {
		return rm
	}
	return nil
}

// roomOfBadPath is room for a path that cannot be decoded, whose error the room shapes.
func (d *Door) roomOfBadPath(path string) *room {
	var segs []httpx.Segment
	for _, text := range strings.SplitN(strings.TrimLeft(path, "/"), "/", hostedSegments+1) {
		segs = append(segs, httpx.Segment{Text: text})
	}
	return d.room(segs)
}

// locateHosted reads the repository out of a path of the shape that hostedSegment begins.
// The base is that of the path form: what stands below it is one segment longer.
func locateHosted(a Address, account packhouse.AccountID, segs []httpx.Segment, before []string) (place, bool) {
	label, name, _ := strings.Cut(segs[2].Text, ".")
	if a.Domain.Name != "" || segs[2].HasSlash || label == "" || name == "" {
		return place{}, false
	}
	domain, ok := packhouse.ParseDomainLabel(label)
	if !ok {
		domain = packhouse.DomainRef{Owner: account, Name: label}
	}
	p := place{repo: packhouse.RepoRef{Domain: domain, Name: name}}
	for _, text := range before {
		p.rest = append(p.rest, httpx.Segment{Text: text})
	}
	p.rest = append(p.rest, segs[hostedSegments:]...)
	p.base = baseURL(a.Base, []httpx.Segment{segs[3], {Text: "d"}, {Text: domain.Name + "-" + string(domain.Owner)}, {Text: name}})
	return p, true
}
