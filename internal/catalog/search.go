package catalog

import (
	"context"
	"slices"

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
