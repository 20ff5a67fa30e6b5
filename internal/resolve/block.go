package resolve

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
)

// Blocks is what is blocked in a domain (reliability.md S47), by what it is looked up by.
// nil blocks nothing. It is shared and never changes.
type Blocks struct {
	names     map[packhouse.PackageName]map[string]*packhouse.BlockEntry // by version key; "" for all versions
	digests   map[packhouse.Digest]*packhouse.BlockEntry
	revisions map[int64]*packhouse.BlockEntry // that have blocked bytes
}

func newBlocks(rows []catalog.BlockRow) *Blocks {
	if len(rows) == 0 {
		return nil
	}
	b := &Blocks{names: map[packhouse.PackageName]map[string]*packhouse.BlockEntry{}, digests: map[packhouse.Digest]*packhouse.BlockEntry{}, revisions: map[int64]*packhouse.BlockEntry{}}
	for i := range rows {
		row := &rows[i]
		if row.Name.Name == "" {
			b.digests[row.Digest] = &row.BlockEntry
			for _, id := range row.Revisions {
				b.revisions[id] = &row.BlockEntry
			}
			continue
		}
		if b.names[row.Name] == nil {
			b.names[row.Name] = map[string]*packhouse.BlockEntry{}
		}
		b.names[row.Name][row.VersionKey] = &row.BlockEntry
	}
	return b
}

// Version returns what blocks a version; nil for nothing.
func (b *Blocks) Version(n packhouse.PackageName, versionKey string) *packhouse.BlockEntry {
	if b == nil {
		return nil
	}
	versions := b.names[n]
	if whole := versions[""]; whole != nil {
		return whole
	}
	return versions[versionKey]
}

// Digest returns what blocks some bytes; nil for nothing.
func (b *Blocks) Digest(d packhouse.Digest) *packhouse.BlockEntry {
	if b == nil {
		return nil
	}
	return b.digests[d]
}

// Held returns what blocks a version that a repository has; nil for nothing.
func (b *Blocks) Held(n packhouse.PackageName, row *catalog.VersionRow) *packhouse.BlockEntry {
	if b == nil {
		return nil
	}
	if by := b.revisions[row.RevisionID]; by != nil {
		return by
	}
	return b.Version(n, row.VersionKey)
}

// Blocked describes a version that is blocked.
func Blocked(version string, by *packhouse.BlockEntry) format.Withheld {
	why := "is blocked"
	if by.Reason != "" {
		why += ": " + by.Reason
	}
	return format.Withheld{Version: version, Reason: format.ReasonBlocked, Why: why}
}

// Blocks returns what is blocked in a domain at this moment; warm it costs no SQL. Errors:
// NotFound "domain_not_found".
func (r *Resolver) Blocks(ctx context.Context, domain packhouse.DomainRef) (*Blocks, error) {
	shape, err := r.shape(ctx, domain)
	if err != nil {
		return nil, err
	}
	return shape.blocks, nil
}

// refuseBytes refuses what was pulled if it is blocked by now. Errors: Denied.
func (r *Resolver) refuseBytes(ctx context.Context, o pullOrder, d packhouse.Digest) error {
	blocks, err := r.Blocks(ctx, o.shape.domain.Ref)
	if err != nil {
		return err
	}
	by := blocks.Digest(d)
	if by == nil {
		by = blocks.Version(o.name, o.versionKey)
	}
	if by == nil {
		return nil
	}
	return Blocked(o.version.Version, by).Refusal(o.name.String())
}
