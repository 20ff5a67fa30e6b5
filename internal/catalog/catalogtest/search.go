package catalogtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// described adds a version that says something of itself.
func (w *world) described(tx *catalog.Tx, repo catalog.RepositoryRow, n packhouse.PackageName, version string, f packhouse.Facts) (catalog.VersionRow, error) {
	p, err := w.pkg(tx, repo, n)
	if err != nil {
		return catalog.VersionRow{}, err
	}
	f.FragmentVersion = 1
	id, err := tx.EnsureRevision(w.ctx, catalog.Revision{Domain: w.domain.Key, Name: fmt.Sprint(repo.ID, n, version), Format: n.Format, Facts: f})
	if err != nil {
		return catalog.VersionRow{}, err
	}
	w.now = w.now.Add(time.Second)
	v, err := tx.InsertVersion(w.ctx, catalog.NewVersion{PackageID: p.ID, Version: version, VersionKey: version, RevisionID: id, Status: packhouse.Published,
		Published: w.now, Recorded: w.now})
	if err != nil {
		return v, err
	}
	_, err = tx.BumpPackage(w.ctx, p.ID, w.now)
	return v, err
}

// search returns what is found, as "repository/name@version shown", in order.
func (w *world) search(s catalog.Search) (found []string) {
	w.t.Helper()
	s.DomainID, s.Format = w.domain.ID, "npm"
	if s.RepoIDs == nil {
		s.RepoIDs = []int64{w.a.ID}
	}
	w.view(func(tx *catalog.Tx) error {
		found = nil
		_, err := tx.Search(w.ctx, s, func(matches []catalog.Match) (bool, error) {
			listed, err := tx.Listed(w.ctx, matches, s.RepoIDs)
			for _, m := range matches {
				for _, l := range listed {
					if l.Match == m.PackageID && l.Version.ID != 0 {
						found = append(found, l.Package.Ref.Package.Name+"@"+l.Version.Ref.Version)
					}
				}
			}
			return true, err
		})
		return err
	})
	return found
}

func text(words ...string) catalog.Search {
	var s catalog.Search
	for _, w := range words {
		s.Wanted = append(s.Wanted, catalog.Wanted{Field: catalog.SearchText, Any: []string{w}})
	}
	return s
}

func only(f catalog.SearchField, words ...string) catalog.Search {
	return catalog.Search{Wanted: []catalog.Wanted{{Field: f, Any: words}}}
}

func (w *world) finds(what string, s catalog.Search, want ...string) {
	w.t.Helper()
	if got := w.search(s); !slices.Equal(got, want) {
		w.t.Errorf("%s: found %q, want %q", what, got, want)
	}
}

// testSearch looks at what finds a package, and in which order (npm.md 4).
func testSearch(t *testing.T, w *world) {
	w.update(func(tx *catalog.Tx) error {
		_, err := w.described(tx, w.a, name("left-pad"), "1.0.0", packhouse.Facts{Summary: "Pads a String with spaces", Keywords: []string{"text", "Static Site"},
			Authors: []string{"Ann Lee", "ann@example.com"}})
		_, err2 := w.described(tx, w.a, name("leftover"), "1.0.0", packhouse.Facts{Summary: "What is left of the text"})
		_, err3 := w.described(tx, w.a, name("left"), "1.0.0", packhouse.Facts{Summary: "Nothing of note"})
		other := packhouse.PackageName{Format: "generic", Namespace: "acme", Name: "left"}
		_, err4 := w.described(tx, w.a, other, "1.0.0", packhouse.Facts{})
		_, err5 := w.described(tx, w.b, name("left-pad"), "2.0.0", packhouse.Facts{Keywords: []string{"elsewhere"}})
		return errors.Join(err, err2, err3, err4, err5)
	})
	exact := text("left")
	exact.Exact = name("left")
	w.finds("the very name first, then words of names, by term and record", exact, "left@1.0.0", "left-pad@1.0.0", "leftover@1.0.0")
	w.finds("the beginning of a word of the name", text("lef"), "left-pad@1.0.0", "left@1.0.0", "leftover@1.0.0")
	w.finds("every word", text("pad", "left"), "left-pad@1.0.0")
	w.finds("keyword before summary", text("text"), "left-pad@1.0.0", "leftover@1.0.0")
	w.finds("words of different places", text("over", "text"))
	w.finds("a word of the summary as a whole", text("string"), "left-pad@1.0.0")
	w.finds("not a piece of one", text("strin"))
	w.finds("a word of a keyword", text("site"), "left-pad@1.0.0")
	w.finds("a keyword as a whole", only(catalog.SearchKeyword, "static-site"), "left-pad@1.0.0")
	w.finds("not a word of it", only(catalog.SearchKeyword, "site"))
	w.finds("one of several keywords", only(catalog.SearchKeyword, "absent", "TEXT"), "left-pad@1.0.0")
	w.finds("a word of the summary is no keyword", only(catalog.SearchKeyword, "string"))
	w.finds("author by word", only(catalog.SearchAuthor, "lee"), "left-pad@1.0.0")
	w.finds("author by address", only(catalog.SearchAuthor, "ann@example.com"), "left-pad@1.0.0")
	w.finds("author in free text", text("ann"), "left-pad@1.0.0")
	w.finds("namespace", only(catalog.SearchNamespace, "ACME"), "left-pad@1.0.0", "leftover@1.0.0", "left@1.0.0")
	w.finds("not a piece of it", only(catalog.SearchNamespace, "acm"))
	w.finds("nothing of another repository", text("elsewhere"))
	both := text("pad")
	both.RepoIDs = []int64{w.b.ID, w.a.ID}
	w.finds("several repositories, each record of the name with each match", both, "left-pad@1.0.0", "left-pad@2.0.0", "left-pad@1.0.0", "left-pad@2.0.0")
	w.finds("nothing wanted", catalog.Search{})

	// A search goes on where a batch ended. There are more than are looked at for having
	// all words in their names, which must not end the search.
	const many = 140
	w.update(func(tx *catalog.Tx) error {
		for i := range many {
			if _, err := w.described(tx, w.a, name(fmt.Sprintf("many-%03d", i)), "1.0.0", packhouse.Facts{Summary: fmt.Sprint("number", i%2, " of all")}); err != nil {
				return err
			}
		}
		return nil
	})
	var all []string
	for i := range many {
		all = append(all, fmt.Sprintf("many-%03d@1.0.0", i))
	}
	w.finds("more than one batch, without gap or repeat", text("many"), all...)
	w.finds("two words that all have, one of them not in the name", text("many", "all"), all...)
	w.finds("the rarer word leads", text("many", "number1"), slices.DeleteFunc(all, func(s string) bool { return (s[7]-'0')%2 == 0 })...)
}

// testSearchFollows looks at what changes below a package do to searches: they are never
// behind, and show what is listed only.
func testSearchFollows(t *testing.T, w *world) {
	var one, two catalog.VersionRow
	var p packhouse.Package
	change := func(fn func(tx *catalog.Tx) error) {
		t.Helper()
		w.update(func(tx *catalog.Tx) error {
			if err := fn(tx); err != nil {
				return err
			}
			_, err := tx.BumpPackage(w.ctx, p.ID, w.now)
			return err
		})
	}
	w.update(func(tx *catalog.Tx) (err error) {
		if one, err = w.described(tx, w.a, name("box"), "1.0.0", packhouse.Facts{Summary: "wooden"}); err != nil {
			return err
		}
		if p, err = tx.Package(w.ctx, w.a.ID, name("box")); err != nil {
			return err
		}
		two, err = w.described(tx, w.a, name("box"), "2.0.0", packhouse.Facts{Summary: "metal"})
		return err
	})
	w.finds("the newest version without a tag", text("box"), "box@2.0.0")
	w.finds("not the words of the older one", text("wooden"))
	change(func(tx *catalog.Tx) error { return tx.SetTag(w.ctx, p.ID, "latest", one.ID, w.now) })
	w.finds("the tagged version", text("wooden"), "box@1.0.0")
	w.finds("not the words of the newer one", text("metal"))
	change(func(tx *catalog.Tx) error { return tx.SetStatus(w.ctx, one.ID, packhouse.Unlisted) })
	w.finds("a tag on what is not listed does not count", text("metal"), "box@2.0.0")
	change(func(tx *catalog.Tx) error { return tx.SetStatus(w.ctx, two.ID, packhouse.Archived) })
	w.finds("nothing listed, nothing found", text("box"))
	exact := text("box")
	exact.Exact = name("box")
	w.finds("nor by its very name", exact)
	if n := w.number(`SELECT count(*) FROM search_terms`); n != 0 {
		t.Errorf("%d terms of a package that shows nothing", n)
	}
	change(func(tx *catalog.Tx) error { return tx.SetStatus(w.ctx, one.ID, packhouse.Published) })
	w.finds("listed again, from the stored facts", text("wooden"), "box@1.0.0")
	change(func(tx *catalog.Tx) error {
		id, err := tx.EnsureRevision(w.ctx, catalog.Revision{Domain: w.domain.Key, Name: "other", Format: "npm", Facts: packhouse.Facts{Summary: "paper"}})
		return errors.Join(err, tx.RepointVersion(w.ctx, one.ID, id, packhouse.Published))
	})
	w.finds("the version's new revision", text("paper"), "box@1.0.0")
	w.finds("not the one before", text("wooden"))
	change(func(tx *catalog.Tx) error { return tx.DeleteVersion(w.ctx, one.ID) })
	w.finds("the last listed version gone", text("box"))

	// An update that fails leaves no trace.
	w.update(func(tx *catalog.Tx) error {
		_, err := w.described(tx, w.a, name("ghost"), "1.0.0", packhouse.Facts{Summary: "unseen"})
		return errors.Join(err, errUndo)
	})
	w.finds("what was undone", text("unseen"))

	w.update(func(tx *catalog.Tx) error {
		_, err := w.described(tx, w.a, name("crate"), "1.0.0", packhouse.Facts{Summary: "wooden"})
		return err
	})
	w.finds("another package", text("wooden"), "crate@1.0.0")
	w.update(func(tx *catalog.Tx) error { return tx.DeleteRepository(w.ctx, w.a.ID) })
	w.finds("a repository that is gone", text("wooden"))
}

// testBackfill takes packages back to what a release without search wrote (R20).
func testBackfill(t *testing.T, w *world) {
	w.update(func(tx *catalog.Tx) error {
		for i := range 5 {
			if _, err := w.described(tx, w.a, name(fmt.Sprint("old-", i)), "1.0.0", packhouse.Facts{Summary: "ancient"}); err != nil {
				return err
			}
		}
		return nil
	})
	want := w.search(text("ancient"))
	for _, q := range []string{`DELETE FROM search_terms`, `UPDATE packages SET shown_version = NULL, shown_before = NULL, terms_sum = NULL`} {
		if _, err := w.Raw.ExecContext(w.ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	w.finds("nothing before", text("ancient"))
	index := func() (n int) {
		w.update(func(tx *catalog.Tx) (err error) {
			n, err = tx.IndexPackages(w.ctx, 2)
			return err
		})
		return n
	}
	w.update(func(tx *catalog.Tx) error { // one that is cut off is done again
		_, err := tx.IndexPackages(w.ctx, 2)
		return errors.Join(err, errUndo)
	})
	if first := index(); first != 2 {
		t.Errorf("the first batch has %d packages, want 2", first)
	}
	// Meanwhile somebody publishes a package whose turn has not come.
	w.update(func(tx *catalog.Tx) error {
		_, err := w.described(tx, w.a, name("old-4"), "2.0.0", packhouse.Facts{Summary: "ancient too"})
		return err
	})
	if second, third, last := index(), index(), index(); second != 2 || third != 0 || last != 0 {
		t.Errorf("batches of %d, %d and %d packages, want 2, 0 and 0", second, third, last)
	}
	want[4] = "old-4@2.0.0"
	got := w.search(text("ancient"))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

func testStars(t *testing.T, w *world) {
	ann := catalog.PrincipalRow{Account: account, Kind: packhouse.KindUser, Name: "ann", ARN: "arn:ann", Created: w.now}
	bob := catalog.PrincipalRow{Account: account, Kind: packhouse.KindUser, Name: "bob", ARN: "arn:bob", Created: w.now}
	starred := func(p catalog.PrincipalRow) (names []string) {
		w.view(func(tx *catalog.Tx) error {
			list, err := tx.Starred(w.ctx, p.ID, w.a.ID, "npm")
			names = nil
			for _, n := range list {
				names = append(names, n.Name)
			}
			return err
		})
		return names
	}
	w.update(func(tx *catalog.Tx) (err error) {
		if ann.ID, err = tx.InsertPrincipal(w.ctx, ann); err != nil {
			return err
		}
		if bob.ID, err = tx.InsertPrincipal(w.ctx, bob); err != nil {
			return err
		}
		for _, n := range []string{"box", "axe", "cup"} {
			p, err := w.pkg(tx, w.a, name(n))
			if err := errors.Join(err, tx.Star(w.ctx, ann.ID, p.ID), tx.Star(w.ctx, ann.ID, p.ID), tx.Star(w.ctx, bob.ID, p.ID)); err != nil {
				return err
			}
		}
		elsewhere, err := w.pkg(tx, w.b, name("elsewhere"))
		return errors.Join(err, tx.Star(w.ctx, ann.ID, elsewhere.ID))
	})
	w.same("stars in one repository, by name", starred(ann), []string{"axe", "box", "cup"})
	w.update(func(tx *catalog.Tx) error {
		n, err := tx.CountStars(w.ctx, ann.ID)
		w.same("all stars of a principal", n, 4)
		box, err2 := tx.Package(w.ctx, w.a.ID, name("box"))
		cup, err3 := tx.Package(w.ctx, w.a.ID, name("cup"))
		return errors.Join(err, err2, err3, tx.Unstar(w.ctx, ann.ID, box.ID), tx.Unstar(w.ctx, ann.ID, box.ID), tx.DeletePackage(w.ctx, cup.ID))
	})
	w.same("one taken back, one package gone", starred(ann), []string{"axe"})
	w.update(func(tx *catalog.Tx) error { return tx.DeletePrincipal(w.ctx, ann.ID) })
	w.same("another's stars stay", starred(bob), []string{"axe", "box"})
	if n := w.number(`SELECT count(*) FROM package_stars`); n != 2 {
		t.Errorf("%d stars are kept, want 2", n)
	}
}

// testLongCursors pages over names of 255 characters, each of four bytes, while the row
// that a cursor names is deleted.
func testLongCursors(t *testing.T, w *world) {
	long := strings.Repeat("\U00020000", 254)
	var ids []int64
	w.update(func(tx *catalog.Tx) error {
		ids = nil
		for _, end := range []string{"a", "b", "c"} {
			p, err := w.pkg(tx, w.a, packhouse.PackageName{Format: "generic", Namespace: long + "n", Name: long + end})
			if ids = append(ids, p.ID); err != nil {
				return err
			}
		}
		return nil
	})
	var got []int64
	f := catalog.PackageFilter{RepoID: w.a.ID, Limit: 1}
	for page := 0; page == 0 || f.After != ""; page++ {
		w.update(func(tx *catalog.Tx) error {
			rows, next, err := tx.Packages(w.ctx, f)
			if err != nil || len(rows) != 1 {
				t.Fatalf("page %d has %d packages, %v", page, len(rows), err)
			}
			if len(next) > 1300 {
				t.Errorf("cursor of %d bytes", len(next))
			}
			got, f.After = append(got, rows[0].ID), next
			return tx.DeletePackage(w.ctx, rows[0].ID)
		})
	}
	w.same("packages by page", got, ids)
	w.view(func(tx *catalog.Tx) error {
		if _, _, err := tx.Packages(w.ctx, catalog.PackageFilter{RepoID: w.b.ID, After: fmt.Sprintf("0:0:%d:%d", len(fmt.Sprint(ids[0])), ids[0]), Limit: 1}); packhouse.ReasonOf(err) != "invalid_page_token" {
			t.Errorf("a cursor of another repository: %v", err)
		}
		return nil
	})
}
