package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/packhouse/packhouse"
)

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
	// The plus keeps SQLite from walking along all revisions of the domain, which it takes
	// for less work than looking up ten ids.
	const q = `SELECT n.id, n.revision, n.facts, CASE WHEN length(n.manifest) <= $1 THEN n.manifest END FROM revisions n WHERE +n.domain_id = $2 AND n.id IN `
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
