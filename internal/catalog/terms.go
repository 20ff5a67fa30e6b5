package catalog

import (
	"context"
	"database/sql"
	"encoding/base64"
	"hash/fnv"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/packhouse/packhouse"
)

// A term of search_terms is "format:class:word". The word is plain where it comes from a
// name, which is plain in packages too, and blinded where it comes out of sealed facts.
const (
	className      = "n" // word of the name or the namespace
	classNamespace = "s" // the namespace as a whole
	classKeyword   = "k" // blinded: a keyword as a whole
	classWord      = "w" // blinded: word of a keyword or of the summary
	classAuthor    = "a" // blinded: an author, as a whole and by word
)

// How much a match in a class is worth, as search_terms.weight.
var weights = map[string]int{className: 4, classNamespace: 4, classKeyword: 3, classWord: 2, classAuthor: 1}

// What is taken of one version for searching. A hostile package must not write more rows
// than a talkative one.
const (
	maxWordBytes = 64
	maxNameWords = 16
	maxKeywords  = 20
	maxAuthors   = 8
	maxBlinded   = 48
)

// blindBytes of a blinded word are kept: two words of one domain are never taken for
// each other, in practice.
const blindBytes = 9

// stopWords are too common to tell packages apart.
var stopWords = map[string]bool{"a": true, "an": true, "and": true, "for": true, "from": true, "in": true, "is": true, "it": true, "of": true,
	"on": true, "or": true, "that": true, "the": true, "this": true, "to": true, "with": true, "your": true}

// Words returns the words by which a text is found, in order, each once: runs of letters
// and digits in lower case, without the commonest English words. A text of nothing but
// those keeps them.
func Words(text string) []string {
	var words, common []string
	for _, w := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		w = cut(w, maxWordBytes)
		switch {
		case stopWords[w]:
			common = append(common, w)
		case !slices.Contains(words, w):
			words = append(words, w)
		}
	}
	if len(words) == 0 {
		slices.Sort(common)
		return slices.Compact(common)
	}
	return words
}

// whole is how a keyword or an author is compared as a whole.
func whole(text string) string { return strings.Join(Words(text), " ") }

// term writes a term, blinding the word where the class asks for it.
func (tx *Tx) term(ctx context.Context, key packhouse.KeyRef, f packhouse.FormatID, class, word string) (string, error) {
	if class != className && class != classNamespace {
		sum, err := tx.db.sealer.Blind(ctx, key, "search_terms:"+class+":"+word)
		if err != nil {
			return "", err
		}
		word = base64.RawURLEncoding.EncodeToString(sum[:blindBytes])
	}
	return string(f) + ":" + class + ":" + word, nil
}

// termRow is a row of search_terms in the making.
type termRow struct {
	term   string
	weight int
}

// termsOf returns the terms of a package that shows a version with the facts, in order.
func (tx *Tx) termsOf(ctx context.Context, key packhouse.KeyRef, n packhouse.PackageName, f packhouse.Facts) ([]termRow, error) {
	var rows []termRow
	seen := make(map[string]bool)
	blinded := 0
	add := func(class, word string) error {
		plain := class == className || class == classNamespace
		if word == "" || seen[class+word] || !plain && blinded == maxBlinded {
			return nil
		}
		if !plain {
			blinded++
		}
		seen[class+word] = true
		term, err := tx.term(ctx, key, n.Format, class, word)
		rows = append(rows, termRow{term, weights[class]})
		return err
	}
	if err := add(classNamespace, strings.ToLower(n.Namespace)); err != nil {
		return nil, err
	}
	for _, w := range first(Words(n.Namespace+" "+n.Name), maxNameWords) {
		if err := add(className, w); err != nil {
			return nil, err
		}
	}
	for _, keyword := range first(f.Keywords, maxKeywords) {
		if err := add(classKeyword, whole(keyword)); err != nil {
			return nil, err
		}
	}
	for _, author := range first(f.Authors, maxAuthors) {
		for _, w := range append([]string{whole(author)}, Words(author)...) {
			if err := add(classAuthor, w); err != nil {
				return nil, err
			}
		}
	}
	for _, w := range Words(strings.Join(first(f.Keywords, maxKeywords), " ") + " " + f.Summary) {
		// What a better class has is found there.
		if seen[className+w] || seen[classKeyword+w] {
			continue
		}
		if err := add(classWord, w); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func first[T any](list []T, n int) []T { return list[:min(len(list), n)] }

// sumOf tells whether a package's terms are those it has already. No terms have the sum 0.
func sumOf(rows []termRow) int64 {
	if len(rows) == 0 {
		return 0
	}
	h := fnv.New64a()
	for _, r := range rows {
		_, _ = h.Write([]byte(r.term + "\n")) // never fails
	}
	return int64(h.Sum64() | 1) //nolint:gosec // a sum has no sign
}

// shown selects the version that searches show of package p: the Published one that the
// tag "latest" points at, as with every format that has such a tag, else the one that
// was published last; 0 for none.
const shown = `coalesce(
	(SELECT v.id FROM tags t JOIN versions v ON v.id = t.version_id
		WHERE t.package_id = packages.id AND t.name = 'latest' AND v.status = 'Published' AND v.deleted_at IS NULL),
	(SELECT v.id FROM versions v WHERE v.package_id = packages.id AND v.deleted_at IS NULL AND v.status = 'Published'
		ORDER BY v.published_at DESC, v.id DESC LIMIT 1),
	0)`

const returnShown = ` RETURNING seq, repository_id, domain_id, format, namespace, name, shown_version, coalesce(shown_before, 0), coalesce(terms_sum, 0)`

// showing is what changing a package's shown version tells.
type showing struct {
	packageID, repoID, domainID int64
	seq                         int64
	name                        packhouse.PackageName
	version, before             int64 // 0 for none
	sum                         int64 // of the terms that are there
}

func (s *showing) dest() []any {
	return []any{&s.seq, &s.repoID, &s.domainID, &s.name.Format, &s.name.Namespace, &s.name.Name, &s.version, &s.before, &s.sum}
}

// BumpPackage raises the package's Seq and Updated and returns the new Seq. Every
// change below a package calls it once, last: it also settles by what the package is
// found in searches, so that they are never behind. Errors: ErrNotFound.
func (tx *Tx) BumpPackage(ctx context.Context, packageID int64, at time.Time) (int64, error) {
	const q = `UPDATE packages SET seq = seq + 1, updated_at = $2, shown_before = shown_version, shown_version = ` + shown + `
		WHERE id = $1 AND deleted_at IS NULL` + returnShown
	s := showing{packageID: packageID}
	if err := tx.one(ctx, q, []any{packageID, micros(at)}, s.dest()...); err != nil {
		return 0, err
	}
	return s.seq, tx.settleTerms(ctx, s)
}

// settleTerms makes a package's terms those of the version that it shows.
func (tx *Tx) settleTerms(ctx context.Context, s showing) error {
	_, written := tx.wrote.versions[s.version]
	if s.version == s.before && !written {
		return nil
	}
	var rows []termRow
	if s.version != 0 {
		facts, err := tx.factsShown(ctx, s)
		if err != nil {
			return err
		}
		key, err := tx.domainKey(ctx, s.domainID)
		if err != nil {
			return err
		}
		if rows, err = tx.termsOf(ctx, key, s.name, facts); err != nil {
			return err
		}
	}
	sum := sumOf(rows)
	if sum == s.sum {
		return nil
	}
	if s.sum != 0 {
		var err error
		if rows, err = tx.dropTerms(ctx, s.packageID, rows); err != nil {
			return err
		}
	}
	if err := tx.insertTerms(ctx, s, rows); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `UPDATE packages SET terms_sum = $2 WHERE id = $1`, s.packageID, sum)
	return err
}

// factsShown returns the facts of a version: those that this transaction wrote, else the
// stored ones.
func (tx *Tx) factsShown(ctx context.Context, s showing) (packhouse.Facts, error) {
	revisionID, ok := tx.wrote.versions[s.version]
	if !ok {
		const q = `SELECT v.revision_id FROM versions v WHERE v.id = $1`
		if err := tx.one(ctx, q, []any{s.version}, &revisionID); err != nil {
			return packhouse.Facts{}, err
		}
	}
	if n, ok := tx.wrote.revisions[revisionID]; ok {
		return brief(n.facts), nil
	}
	found, err := tx.Summaries(ctx, s.domainID, []int64{revisionID})
	return found[revisionID], err
}

// dropTerms deletes what a package has and is not wanted, and returns what it lacks.
func (tx *Tx) dropTerms(ctx context.Context, packageID int64, wanted []termRow) (lacking []termRow, err error) {
	const q = `SELECT s.term FROM search_terms s WHERE s.package_id = $1`
	held, err := list(ctx, tx, q, []any{packageID}, func(rows *sql.Rows) (t string, err error) { return t, rows.Scan(&t) })
	if err != nil {
		return nil, err
	}
	kept := make(map[string]bool, len(wanted))
	for _, w := range wanted {
		kept[w.term] = true
	}
	have := make(map[string]bool, len(held))
	var gone []string
	for _, t := range held {
		if have[t] = true; !kept[t] {
			gone = append(gone, t)
		}
	}
	if len(gone) > 0 {
		set, args := in(2, gone)
		if _, err := tx.exec(ctx, `DELETE FROM search_terms WHERE package_id = $1 AND term IN `+set, append([]any{packageID}, args...)...); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(wanted, func(w termRow) bool { return have[w.term] }), nil
}

// insertTerms adds rows with one statement. Their number is rounded up by repeating the
// last one, so that few texts need preparing.
func (tx *Tx) insertTerms(ctx context.Context, s showing, rows []termRow) error {
	if len(rows) == 0 {
		return nil
	}
	const step = 4
	n := (len(rows) + step - 1) / step * step
	args := make([]any, 0, 4*n)
	for i := range n {
		r := rows[min(i, len(rows)-1)]
		args = append(args, s.repoID, r.term, s.packageID, r.weight)
	}
	q := `INSERT INTO search_terms (repository_id, term, package_id, weight) VALUES ` + tuples(n, 4) + ` ON CONFLICT DO NOTHING`
	_, err := tx.exec(ctx, q, args...)
	return err
}

// IndexPackages makes at most limit packages that a release without search wrote
// searchable, and returns how many those were: 0 when all are. It may be called again
// after any failure.
func (tx *Tx) IndexPackages(ctx context.Context, limit int) (int, error) {
	const find = `SELECT p.id FROM packages p WHERE p.shown_version IS NULL AND p.deleted_at IS NULL ORDER BY p.id LIMIT $1`
	const settle = `UPDATE packages SET shown_before = 0, shown_version = ` + shown + ` WHERE id = $1 AND deleted_at IS NULL` + returnShown
	ids, err := list(ctx, tx, find, []any{limit}, scanID)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		s := showing{packageID: id}
		if err := tx.one(ctx, settle, []any{id}, s.dest()...); err != nil {
			return 0, err
		}
		if err := tx.settleTerms(ctx, s); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}
