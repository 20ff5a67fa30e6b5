package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
)

// SearchField says where a wanted word may be found.
type SearchField int

// The fields.
const (
	// SearchText finds the beginning of a word of the name or the namespace, a whole
	// keyword, a word of the summary or of a keyword, and an author.
	SearchText SearchField = iota
	SearchKeyword
	SearchAuthor
	SearchNamespace
)

// Wanted is one thing that a package has to answer to: any of the texts.
type Wanted struct {
	Field SearchField
	Any   []string // SearchText: one word, as Words returns it
}

// Search says what is searched, and where. All repositories are of one domain.
type Search struct {
	DomainID int64
	RepoIDs  []int64 // in this order
	Format   packhouse.FormatID
	Exact    packhouse.PackageName // found before everything else; zero for none
	Wanted   []Wanted              // a package answers to every one
	Batch    int                   // how many matches the caller needs, roughly
}

// Match is a package record that answers to a search.
type Match struct {
	PackageID int64
	// Weight tells by what it was found: 5 its very name, 4 a word of it, 3 a keyword, 2 a
	// word of the summary, 1 an author.
	Weight int
}

// weightExact is the weight of a package whose very name was searched.
const weightExact = 5

// What bounds how many rows of terms one search reads: what many words have in common
// costs the same however large the repositories are. maxNameScanned is for the packages
// whose names have all words: these come first where the leading word is no commoner.
const (
	maxScanned     = 2048
	maxNameScanned = 128
)

// The first batch of a tier that asks for more than one thing, and the largest one.
const (
	firstBatch = 32
	lastBatch  = 256
)

// span is a range of terms.
type span struct {
	from, to string // from is in it, to is not
	weight   int
}

// Search yields the packages that answer to everything wanted, better matches first, each
// record once. The order is that of weights, and below that of terms and records, so it
// stays while nothing is published. Records may be of packages that show no version any
// more. It stops when yield returns false, or after having looked at maxScanned terms;
// whole tells that it came to the end of what there is.
func (tx *Tx) Search(ctx context.Context, s Search, yield func([]Match) (more bool, err error)) (whole bool, err error) {
	seen := make(map[int64]bool)
	give := func(matches []Match) (bool, error) {
		matches = slices.DeleteFunc(matches, func(m Match) bool {
			twice := seen[m.PackageID]
			seen[m.PackageID] = true
			return twice
		})
		if len(matches) == 0 {
			return true, nil
		}
		return yield(matches)
	}
	if s.Exact != (packhouse.PackageName{}) {
		exact, err := tx.named(ctx, s)
		if err != nil {
			return false, err
		}
		if more, err := give(exact); err != nil || !more {
			return false, err
		}
	}
	tiers, err := tx.tiers(ctx, s)
	if err != nil {
		return false, err
	}
	left := maxScanned
	for _, t := range tiers {
		budget := &left
		if t.names { // it must not use up what the others need: they find the same, and more
			few := maxNameScanned
			budget = &few
		}
		batch := max(s.Batch, firstBatch)
		if len(t.others) > 0 {
			batch = firstBatch
		}
		for _, repoID := range s.RepoIDs {
			at := place{}
			for more := true; more; {
				size := min(batch, *budget)
				if size == 0 && t.names {
					break
				}
				if size == 0 {
					return false, nil
				}
				batch = max(batch, min(2*batch, lastBatch))
				found, err := tx.scanTerms(ctx, repoID, t.span, at, size)
				if err != nil {
					return false, err
				}
				*budget -= len(found)
				if more = len(found) == size; more {
					at = found[len(found)-1]
				}
				matches, err := tx.answering(ctx, found, t.others)
				if err != nil {
					return false, err
				}
				if wanted, err := give(matches); err != nil || !wanted {
					return false, err
				}
			}
		}
	}
	return true, nil
}

// named finds the records of the very name.
func (tx *Tx) named(ctx context.Context, s Search) ([]Match, error) {
	const q = `SELECT p.id FROM packages p` + ofPackage
	set, args := in(4, s.RepoIDs)
	ids, err := list(ctx, tx, q+set, append([]any{s.Exact.Format, s.Exact.Namespace, s.Exact.Name}, args...), scanID)
	matches := make([]Match, len(ids))
	for i, id := range ids {
		matches[i] = Match{id, weightExact}
	}
	return matches, err
}

// tier is one range of terms to walk along, and what else its packages must have.
type tier struct {
	span
	others [][]span
	names  bool // only names are looked at, and only the first ones
}

// tiers orders what there is to walk along. Of several wanted things the rarest leads;
// packages whose names have all of them come first.
func (tx *Tx) tiers(ctx context.Context, s Search) ([]tier, error) {
	if len(s.Wanted) == 0 {
		return nil, nil
	}
	key, err := tx.domainKey(ctx, s.DomainID)
	if err != nil {
		return nil, err
	}
	all := make([][]span, len(s.Wanted))
	for i, w := range s.Wanted {
		if all[i], err = tx.spans(ctx, key, s.Format, w); err != nil {
			return nil, err
		}
	}
	if len(all) == 1 {
		return tiersOf(all[0], nil), nil
	}
	rarest, least := 0, maxCommon+1
	for i := range all {
		n, err := tx.common(ctx, s.RepoIDs, all[i])
		if err != nil {
			return nil, err
		}
		if n < least {
			rarest, least = i, n
		}
	}
	lead := all[rarest]
	others := slices.Delete(slices.Clone(all), rarest, rarest+1)
	var names [][]span
	for _, o := range others {
		if o[0].weight == weights[className] {
			names = append(names, o[:1])
		}
	}
	if len(names) < len(others) || lead[0].weight != weights[className] {
		return tiersOf(lead, others), nil
	}
	return append([]tier{{lead[0], names, true}}, tiersOf(lead, others)...), nil
}

func tiersOf(spans []span, others [][]span) []tier {
	out := make([]tier, len(spans))
	for i, s := range spans {
		out[i] = tier{span: s, others: others}
	}
	return out
}

// spans returns where the terms of a wanted thing lie, best first; never none.
func (tx *Tx) spans(ctx context.Context, key packhouse.KeyRef, f packhouse.FormatID, w Wanted) ([]span, error) {
	var out []span
	add := func(class, text string) error {
		term, err := tx.term(ctx, key, f, class, text)
		out = append(out, span{term, term + "\x01", weights[class]}) // no term goes on with a control character
		return err
	}
	for _, text := range w.Any {
		var err error
		switch w.Field {
		case SearchKeyword:
			err = add(classKeyword, whole(text))
		case SearchAuthor:
			err = add(classAuthor, whole(text))
		case SearchNamespace:
			err = add(classNamespace, strings.ToLower(text))
		case SearchText:
			prefix := string(f) + ":" + className + ":" + text
			out = append(out, span{prefix, successor(prefix), weights[className]})
			for _, class := range []string{classKeyword, classWord, classAuthor} {
				if err = add(class, text); err != nil {
					break
				}
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, packhouse.Invalidf("empty_search", "a search needs a word")
	}
	return out, nil
}

// maxCommon is where counting how common something is ends.
const maxCommon = 256

// common counts the terms in spans, each up to maxCommon.
func (tx *Tx) common(ctx context.Context, repoIDs []int64, spans []span) (n int, err error) {
	set, args := in(1, repoIDs)
	var counts []string
	for _, s := range spans {
		at := placeholders(len(args)+1, 2)
		from, to, _ := strings.Cut(at, ", ")
		counts = append(counts, fmt.Sprintf(`(SELECT count(*) FROM (SELECT 1 FROM search_terms t WHERE t.repository_id IN %s
			AND t.term >= %s AND t.term < %s LIMIT %d) c)`, set, from, to, maxCommon))
		args = append(args, s.from, s.to)
	}
	err = tx.one(ctx, `SELECT `+strings.Join(counts, ` + `), args, &n)
	return min(n, maxCommon), err
}

// place is a row of terms.
type place struct {
	term      string
	packageID int64
	weight    int
}

// scanTerms returns rows of a range that come after one of them, in order.
func (tx *Tx) scanTerms(ctx context.Context, repoID int64, s span, after place, limit int) ([]place, error) {
	const q = `SELECT t.term, t.package_id, t.weight FROM search_terms t WHERE t.repository_id = $1 AND t.term >= $2 AND t.term < $3
		AND (t.term, t.package_id) > ($4, $5) ORDER BY t.term, t.package_id LIMIT $6`
	args := []any{repoID, max(s.from, after.term), s.to, after.term, after.packageID, limit}
	return list(ctx, tx, q, args, func(rows *sql.Rows) (p place, err error) {
		return p, rows.Scan(&p.term, &p.packageID, &p.weight)
	})
}

// answering keeps of the places those whose packages have something of all others.
func (tx *Tx) answering(ctx context.Context, places []place, others [][]span) ([]Match, error) {
	if len(places) == 0 {
		return nil, nil
	}
	ids := make([]int64, len(places))
	for i, p := range places {
		ids[i] = p.packageID
	}
	answers := make(map[int64]bool, len(ids))
	if len(others) > 0 {
		set, args := in(1, ids)
		q := `SELECT c.id FROM packages c WHERE c.id IN ` + set
		for _, spans := range others {
			var ranges []string
			for _, s := range spans {
				from, to, _ := strings.Cut(placeholders(len(args)+1, 2), ", ")
				ranges = append(ranges, `o.term >= `+from+` AND o.term < `+to)
				args = append(args, s.from, s.to)
			}
			q += ` AND EXISTS (SELECT 1 FROM search_terms o WHERE o.package_id = c.id AND (` + strings.Join(ranges, ` OR `) + `))`
		}
		found, err := list(ctx, tx, q, args, scanID)
		if err != nil {
			return nil, err
		}
		for _, id := range found {
			answers[id] = true
		}
	}
	var out []Match
	for _, p := range places {
		if len(others) == 0 || answers[p.packageID] {
			out = append(out, Match{p.packageID, p.weight})
		}
	}
	return out, nil
}

// Listed is a package record of one repository with the version that it shows.
type Listed struct {
	Match   int64 // the record that was found, of the same name
	Package packhouse.Package
	// Version is what searches show of the record; its ID is 0 where that is nothing.
	Version    packhouse.PackageVersion
	VersionKey string
	Tagged     bool // a tag of the format's default names the version
}

// Listed returns what the repositories hold under the names of the matched records, by
// match and repository. One statement.
func (tx *Tx) Listed(ctx context.Context, matches []Match, repoIDs []int64) ([]Listed, error) {
	if len(matches) == 0 || len(repoIDs) == 0 {
		return nil, nil
	}
	ids := make([]int64, len(matches))
	for i, m := range matches {
		ids[i] = m.PackageID
	}
	found, args := in(1, ids)
	repos, more := in(len(args)+1, repoIDs)
	q := `SELECT c.id, ` + packageColumns + `, v.id, v.version, v.version_key, v.revision_id, v.published_at,
			EXISTS (SELECT 1 FROM tags t WHERE t.package_id = p.id AND t.name = 'latest' AND t.version_id = v.id)
		FROM packages c JOIN packages p ON p.format = c.format AND p.namespace = c.namespace AND p.name = c.name AND p.deleted_at IS NULL
		LEFT JOIN versions v ON v.id = p.shown_version AND v.status = 'Published' AND v.deleted_at IS NULL
		WHERE c.id IN ` + found + ` AND p.repository_id IN ` + repos
	rows, err := list(ctx, tx, q, append(args, more...), func(rows *sql.Rows) (l Listed, err error) {
		var v scannedVersion
		dest := append([]any{&l.Match}, packageDest(&l.Package)...)
		err = rows.Scan(append(dest, &v.id, &v.version, &v.key, &v.revisionID, &v.published, &l.Tagged)...)
		if err == nil && v.id.Valid {
			row := v.row(l.Package.Ref.Package)
			l.Version, l.VersionKey = row.PackageVersion, row.VersionKey
			l.Version.Status, l.Version.Recorded = packhouse.Published, time.Time{}
		}
		return l, err
	})
	slices.SortFunc(rows, func(a, b Listed) int {
		return cmp.Or(cmp.Compare(a.Match, b.Match), cmp.Compare(a.Package.RepoID, b.Package.RepoID))
	})
	return rows, err
}

// VersionOf names a version by its package record and its identity.
type VersionOf struct {
	PackageID  int64
	VersionKey string
}

// heldBatch is how many versions one statement of Held looks for.
const heldBatch = 100

// Held returns those of the versions that are there, whatever their status.
func (tx *Tx) Held(ctx context.Context, versions []VersionOf) (map[VersionOf]bool, error) {
	const one = `SELECT v.package_id, v.version_key FROM versions v WHERE v.package_id = %s AND v.version_key = %s AND v.deleted_at IS NULL`
	held := make(map[VersionOf]bool)
	for len(versions) > 0 {
		batch := first(versions, heldBatch)
		versions = versions[len(batch):]
		var each []string
		var args []any
		for _, v := range batch {
			id, key, _ := strings.Cut(placeholders(len(args)+1, 2), ", ")
			each = append(each, fmt.Sprintf(one, id, key))
			args = append(args, v.PackageID, v.VersionKey)
		}
		err := tx.each(ctx, strings.Join(each, ` UNION ALL `), args, func(rows *sql.Rows) (bool, error) {
			var v VersionOf
			err := rows.Scan(&v.PackageID, &v.VersionKey)
			held[v] = true
			return true, err
		})
		if err != nil {
			return nil, err
		}
	}
	return held, nil
}

// What a Summary carries at most. What is longer is cut, or left out where it cannot be:
// one answer of a search holds many.
const (
	maxSummaryText     = 4 << 10
	maxSummaryKeywords = 50
	maxSummaryManifest = 64 << 10 // bytes, sealed
)

// Summaries returns what revisions of a domain say of themselves, in short, by id: long
// texts are cut, and there is no Readme, no Dependencies, no Fragment, and no Manifest of
// more than 64 KiB. Revisions that are not there are left out.
func (tx *Tx) Summaries(ctx context.Context, domainID int64, revisionIDs []int64) (map[int64]packhouse.Facts, error) {
	const q = `SELECT n.id, n.revision, n.facts, CASE WHEN length(n.manifest) <= $1 THEN n.manifest END FROM revisions n WHERE n.domain_id = $2 AND n.id IN `
	out := make(map[int64]packhouse.Facts, len(revisionIDs))
	if len(revisionIDs) == 0 {
		return out, nil
	}
	key, err := tx.domainKey(ctx, domainID)
	if err != nil {
		return nil, err
	}
	set, args := in(3, revisionIDs)
	err = tx.each(ctx, q+set, append([]any{maxSummaryManifest, domainID}, args...), func(rows *sql.Rows) (bool, error) {
		var id int64
		var name string
		var facts, manifest []byte
		if err := rows.Scan(&id, &name, &facts, &manifest); err != nil {
			return false, err
		}
		plain, err := tx.unseal(ctx, key, "revisions.facts", name, facts)
		if err != nil {
			return false, err
		}
		var f packhouse.Facts
		if err := json.Unmarshal(plain, &f); err != nil {
			return false, fmt.Errorf("decode facts: %w", err)
		}
		f.Manifest, err = tx.unseal(ctx, key, "revisions.manifest", name, manifest)
		out[id] = brief(f)
		return true, err
	})
	return out, err
}

// brief shortens facts to a summary.
func brief(f packhouse.Facts) packhouse.Facts {
	f.Readme, f.Dependencies, f.Warnings, f.Fragment = "", nil, nil, nil
	for _, text := range []*string{&f.DisplayName, &f.Summary, &f.HomePage, &f.SourceRepository} {
		*text = cut(*text, maxSummaryText)
	}
	f.Licenses = first(f.Licenses, 1)
	f.Keywords, f.Authors = cutAll(first(f.Keywords, maxSummaryKeywords)), cutAll(first(f.Authors, maxSummaryKeywords))
	return f
}

func cutAll(texts []string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = cut(t, 4*maxWordBytes)
	}
	return out
}

// cut cuts a text to at most n bytes, between two characters.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.Clone(strings.ToValidUTF8(text[:n], ""))
}
