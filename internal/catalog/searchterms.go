package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/packhouse/packhouse"
)

// span is a range of terms.
type span struct {
	from, to string // from is in it, to is not
	weight   int
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
