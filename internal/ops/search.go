package ops

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/resolve"
)

// Search finds packages; see format.House.
func (s *Service) Search(ctx context.Context, who packhouse.Principal, q format.Query) (format.Hits, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, q.Repo); err != nil {
		return format.Hits{}, err
	}
	room, ok := s.formats[q.Format]
	if !ok {
		return format.Hits{}, unknownFormat(q.Format)
	}
	wanted, err := wantedOf(q)
	if err != nil {
		return format.Hits{}, err
	}
	reach, err := s.resolver.Reach(ctx, q.Repo, q.Format)
	if err != nil || len(wanted) == 0 || q.Size == 0 {
		return format.Hits{}, err
	}
	var hits format.Hits
	err = s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		f := finding{s: s, who: who, query: q, room: room, reach: reach, named: map[packhouse.PackageName]bool{}}
		search := catalog.Search{DomainID: reach.Domain.ID, RepoIDs: reach.RepoIDs, Format: q.Format, Exact: q.Exact, Wanted: wanted,
			Batch: q.From + q.Size + 1}
		whole, err := tx.Search(ctx, search, func(matches []catalog.Match) (bool, error) {
			// Looking a match up costs more than finding it: no more of them than may be shown.
			for len(matches) > 0 && f.lacks() > 0 {
				some := matches[:min(len(matches), max(f.lacks(), fewMatches))]
				if err := f.add(ctx, tx, some); err != nil {
					return false, err
				}
				matches = matches[len(some):]
			}
			return f.lacks() > 0, nil
		})
		if err != nil {
			return err
		}
		from, to := min(q.From, len(f.hits)), min(q.From+q.Size, len(f.hits))
		hits = format.Hits{List: f.hits[from:to], Total: to, More: !whole || to < len(f.hits)}
		return f.describe(ctx, tx, hits.List)
	})
	if err != nil {
		return format.Hits{}, storeError("search in "+q.Repo.String(), err)
	}
	return hits, nil
}

// wantedOf checks a query and spells it for the catalog.
func wantedOf(q format.Query) ([]catalog.Wanted, error) {
	if q.From < 0 || q.Size < 0 || q.Size > format.MaxHits || q.From > format.MaxSearchDepth-q.Size {
		return nil, packhouse.Invalidf("invalid_search", "a search answers with %d hits at most, and with the first %d only; more words find less",
			format.MaxHits, format.MaxSearchDepth)
	}
	var wanted []catalog.Wanted
	for _, w := range catalog.Words(q.Text) {
		wanted = append(wanted, catalog.Wanted{Field: catalog.SearchText, Any: []string{w}})
	}
	entries := len(wanted)
	for _, words := range q.Keywords {
		entries = max(entries, len(words), len(q.Keywords))
		wanted = append(wanted, catalog.Wanted{Field: catalog.SearchKeyword, Any: words})
	}
	for _, a := range q.Authors {
		wanted = append(wanted, catalog.Wanted{Field: catalog.SearchAuthor, Any: []string{a}})
	}
	for _, n := range q.Namespaces {
		wanted = append(wanted, catalog.Wanted{Field: catalog.SearchNamespace, Any: []string{n}})
	}
	if max(entries, len(q.Authors), len(q.Namespaces)) > format.MaxSearchWords {
		return nil, packhouse.Invalidf("invalid_search", "a search has %d words at most", format.MaxSearchWords)
	}
	return wanted, nil
}

// finding is a search under way.
type finding struct {
	s     *Service
	who   packhouse.Principal
	query format.Query
	room  format.Format
	reach resolve.Reach
	named map[packhouse.PackageName]bool // decided already
	hits  []format.Hit
}

// fewMatches is how many are looked up together at least.
const fewMatches = 8

// lacks returns how many hits the answer lacks, one beyond its page included: whether there
// is more is part of it.
func (f *finding) lacks() int { return f.query.From + f.query.Size + 1 - len(f.hits) }

// candidate is a version that a package may be shown by, and the records that may hide it.
type candidate struct {
	catalog.Listed
	hiders []catalog.VersionOf
}

// add decides about matches, in order: of each package that the caller may read, the
// version that a View of the repository would show by default. One match of a package is
// enough.
func (f *finding) add(ctx context.Context, tx *catalog.Tx, matches []catalog.Match) error {
	rows, err := tx.Listed(ctx, matches, f.reach.RepoIDs)
	if err != nil {
		return err
	}
	records := make(map[int64][]catalog.Listed, len(matches)) // by match
	for _, row := range rows {
		records[row.Match] = append(records[row.Match], row)
	}
	choices := make([][]candidate, len(matches))
	var hiders []catalog.VersionOf
	for i, m := range matches {
		held := records[m.PackageID]
		if len(held) == 0 || f.named[held[0].Package.Ref.Package] {
			continue
		}
		n := held[0].Package.Ref.Package
		f.named[n] = true
		if !f.s.mayRead(ctx, f.who, packhouse.PackageRef{Repo: f.query.Repo, Package: n}) {
			continue
		}
		choices[i] = f.candidates(held)
		for _, c := range choices[i] {
			hiders = append(hiders, c.hiders...)
		}
	}
	hidden, err := tx.Held(ctx, hiders)
	if err != nil {
		return err
	}
	for i, list := range choices {
		at := slices.IndexFunc(list, func(c candidate) bool {
			return !slices.ContainsFunc(c.hiders, func(h catalog.VersionOf) bool { return hidden[h] })
		})
		if at >= 0 {
			c := list[at]
			n := c.Package.Ref.Package
			c.Version.Ref = packhouse.PackageRef{Repo: f.query.Repo, Package: n}.At(c.Version.Ref.Version)
			f.hits = append(f.hits, format.Hit{Package: n, DisplayName: c.Package.DisplayName, Version: c.Version, Score: float64(matches[i].Weight) / 5})
		}
	}
	return nil
}

// candidates orders the versions that a package's records show: those with the default
// tag, where an upstream's wins over the repository's own (codeartifact.md 4.1), then the
// highest. A version of which a nearer record exists is that record's business.
func (f *finding) candidates(held []catalog.Listed) []candidate {
	byRepo := make(map[int64]catalog.Listed, len(held))
	records := make(map[int64]*packhouse.Package, len(held))
	for i := range held {
		byRepo[held[i].Package.RepoID] = held[i]
		records[held[i].Package.RepoID] = &held[i].Package
	}
	var out []candidate
	var nearer []int64 // package records
	for _, id := range f.reach.Order(records) {
		l, ok := byRepo[id]
		if !ok {
			continue
		}
		if l.Version.ID != 0 {
			c := candidate{Listed: l}
			for _, near := range nearer {
				c.hiders = append(c.hiders, catalog.VersionOf{PackageID: near, VersionKey: l.VersionKey})
			}
			out = append(out, c)
		}
		nearer = append(nearer, l.Package.ID)
	}
	own := f.reach.RepoIDs[0]
	rank := func(c candidate) int {
		switch {
		case c.Tagged && c.Package.RepoID != own:
			return 0
		case c.Tagged:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(out, func(a, b candidate) int {
		if by := cmp.Compare(rank(a), rank(b)); by != 0 || rank(a) != 2 {
			return by
		}
		return f.room.Compare(b.Version.Ref.Version, a.Version.Ref.Version)
	})
	return out
}

// mayRead reports whether no statement denies reading the package: that the caller may
// read from the repository was decided before.
func (s *Service) mayRead(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef) bool {
	err := s.allowPackage(ctx, who, packhouse.ActionReadFromRepository, pkg)
	return err == nil || packhouse.ReasonOf(err) == reasonNoStatement
}

// maxSummaries bounds the facts kept for searches, in bytes of their manifests, roughly.
const maxSummaries = 4 << 20

// describe fills in the facts. Revisions never change, so those that were read before
// need no looking up.
func (f *finding) describe(ctx context.Context, tx *catalog.Tx, hits []format.Hit) error {
	var missing []int64
	for i := range hits {
		if facts, ok := f.s.summaries.Get(hits[i].Version.RevisionID); ok {
			hits[i].Facts = *facts
		} else {
			missing = append(missing, hits[i].Version.RevisionID)
		}
	}
	found, err := tx.Summaries(ctx, f.reach.Domain.ID, missing)
	if err != nil {
		return err
	}
	for i := range hits {
		id := hits[i].Version.RevisionID
		facts, ok := found[id]
		if !ok {
			continue
		}
		f.s.summaries.Set(id, &facts)
		hits[i].Facts = facts
	}
	return nil
}

// weighSummary is what kept facts cost, roughly.
func weighSummary(_ int64, f *packhouse.Facts) int64 {
	n := 512 + len(f.Manifest) + len(f.Summary) + len(f.HomePage)
	for _, k := range f.Keywords {
		n += 16 + len(k)
	}
	return int64(n)
}

// How the packages of older releases are made searchable: in batches small enough that
// publishes between them do not notice.
const (
	indexBatch = 16
	indexPause = 10 * time.Millisecond
	indexRetry = time.Minute
)

// IndexPackages makes what a release without search published searchable (reliability.md
// R20). It returns when that is done or ctx ends; it may be stopped and started at any
// time. On a database that needs nothing it costs one statement.
func (s *Service) IndexPackages(ctx context.Context) {
	total := 0
	for {
		pause, n := indexPause, 0
		err := s.catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
			n, err = tx.IndexPackages(ctx, indexBatch)
			return err
		})
		switch {
		case errors.Is(err, context.Canceled):
			return
		case err != nil:
			s.log.LogAttrs(ctx, slog.LevelWarn, "packages not made searchable, trying again later", slog.Any("error", err))
			pause = indexRetry
		case n == 0:
			if total > 0 {
				s.log.LogAttrs(ctx, slog.LevelInfo, "packages of an older release are searchable", slog.Int("packages", total))
			}
			return
		}
		total += n
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
