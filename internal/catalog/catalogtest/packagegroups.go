package catalogtest

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

func testPackageGroups(t *testing.T, w *world) {
	modes := map[packhouse.RestrictionType]packhouse.RestrictionMode{packhouse.RestrictPublish: packhouse.ModeBlock,
		packhouse.RestrictExternalUpstream: packhouse.ModeAllowSpecific, packhouse.RestrictInternalUpstream: packhouse.ModeInherit}
	g := catalog.PackageGroupRow{Pattern: "/npm/*", Modes: modes, Created: w.now, Allowed: map[packhouse.RestrictionType][]int64{}}
	texts := catalog.PackageGroupTexts{Contact: "ann", Description: "ours"}
	list := func() map[string]catalog.PackageGroupRow {
		t.Helper()
		out := map[string]catalog.PackageGroupRow{}
		w.view(func(tx *catalog.Tx) error {
			rows, err := tx.PackageGroups(w.ctx, w.domain.ID)
			for _, r := range rows {
				for _, ids := range r.Allowed {
					slices.Sort(ids)
				}
				out[r.Pattern] = r
			}
			return err
		})
		return out
	}
	if got := list(); len(got) != 1 || got["/*"].Modes[packhouse.RestrictPublish] != packhouse.ModeAllow {
		t.Errorf("a new domain has the groups %v, want the root", got)
	}
	w.update(func(tx *catalog.Tx) (err error) {
		if g.ID, err = tx.InsertPackageGroup(w.ctx, w.domain.ID, g, texts); err != nil {
			return err
		}
		_, again := tx.InsertPackageGroup(w.ctx, w.domain.ID, g, texts)
		if !errors.Is(again, catalog.ErrExists) {
			t.Errorf("a group twice: %v", again)
		}
		g.Allowed[packhouse.RestrictExternalUpstream] = []int64{w.a.ID, w.b.ID}
		return errors.Join(tx.SetPackageGroupOrigin(w.ctx, g), tx.PutResourceTags(w.ctx, catalog.TaggedPackageGroup, g.ID, []packhouse.ResourceTag{{Key: "k"}}))
	})
	w.same("group", list()["/npm/*"], g)
	w.update(func(tx *catalog.Tx) error {
		texts.Contact = "bob"
		got, err := tx.PackageGroupTexts(w.ctx, []int64{g.ID, 9999})
		w.same("texts", got, map[int64]catalog.PackageGroupTexts{g.ID: {Contact: "ann", Description: "ours"}})
		return errors.Join(err, tx.SetPackageGroupTexts(w.ctx, g.ID, texts))
	})
	w.view(func(tx *catalog.Tx) error {
		got, err := tx.PackageGroupTexts(w.ctx, []int64{g.ID})
		w.same("texts", got, map[int64]catalog.PackageGroupTexts{g.ID: texts})
		return err
	})
	w.update(func(tx *catalog.Tx) error { return tx.DeleteRepository(w.ctx, w.a.ID) })
	g.Allowed[packhouse.RestrictExternalUpstream] = []int64{w.b.ID}
	w.same("group after a repository went", list()["/npm/*"], g)
	w.update(func(tx *catalog.Tx) error { return tx.DeletePackageGroup(w.ctx, g.ID) })
	if got := slices.Collect(maps.Keys(list())); !slices.Equal(got, []string{"/*"}) {
		t.Errorf("left over are %v", got)
	}
	w.view(func(tx *catalog.Tx) error {
		tags, err := tx.ResourceTags(w.ctx, catalog.TaggedPackageGroup, g.ID)
		if len(tags) > 0 {
			t.Errorf("tags of a deleted group: %v", tags)
		}
		return err
	})
	for what, fn := range map[string]func(*catalog.Tx) error{
		"delete": func(tx *catalog.Tx) error { return tx.DeletePackageGroup(w.ctx, g.ID) },
		"texts":  func(tx *catalog.Tx) error { return tx.SetPackageGroupTexts(w.ctx, g.ID, texts) },
		"origin": func(tx *catalog.Tx) error { return tx.SetPackageGroupOrigin(w.ctx, g) },
	} {
		if err := w.DB.Update(w.ctx, fn); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("%s of a deleted group: %v", what, err)
		}
	}
}

func testDomainPackages(t *testing.T, w *world) {
	long := strings.Repeat("\U00010400", 250) // a capital that folds
	w.update(func(tx *catalog.Tx) error {
		var errs []error
		for _, n := range []string{"foo-bar", "Foo.Bar", "foo", "food", long, long + "-"} {
			_, err := w.publish(tx, w.a, name(n), "1.0.0", "content")
			errs = append(errs, err)
		}
		_, err := w.publish(tx, w.b, name("foo-bar"), "1.0.0", "content")
		return errors.Join(append(errs, err)...)
	})
	read := func(from, until string) (names []string) {
		w.view(func(tx *catalog.Tx) error {
			var after catalog.DomainPackage
			for {
				rows, err := tx.DomainPackages(w.ctx, w.domain.ID, after, from, until, 1)
				if err != nil || len(rows) == 0 {
					return err
				}
				names = append(names, rows[0].Name.Name)
				c := rows[0].Cursor()
				if len(c) > 1200 {
					t.Errorf("a cursor of %d bytes", len(c))
				}
				if after, err = tx.DomainPackageAt(w.ctx, w.domain.ID, c); err != nil {
					return err
				}
			}
		})
		return names
	}
	if got, want := read("/npm/acme/", "/npm/acme0"), []string{"foo", "Foo.Bar", "foo-bar", "food", long, long + "-"}; !slices.Equal(got, want) {
		t.Errorf("packages %q, want %q", got, want)
	}
	if got, want := read("/npm/acme/foo.", "/npm/acme/foo/"), []string{"Foo.Bar", "foo-bar"}; !slices.Equal(got, want) {
		t.Errorf("packages that begin with foo and a dot: %q, want %q", got, want)
	}
	w.view(func(tx *catalog.Tx) error {
		for what, cursor := range map[string]string{"nonsense": "x", "an id that is none": "0:0:1:x", "an unknown id": "0:0:4:9999"} {
			if _, err := tx.DomainPackageAt(w.ctx, w.domain.ID, cursor); packhouse.ReasonOf(err) != "invalid_page_token" {
				t.Errorf("%s: %v", what, err)
			}
		}
		return nil
	})
}
