package catalogtest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// testBlocks checks that blocks are a domain's own, are found by target, and know the
// revisions that have blocked bytes.
func testBlocks(t *testing.T, w *world) {
	var v catalog.VersionRow
	var other catalog.DomainRow
	byName := catalog.BlockRow{BlockEntry: packhouse.BlockEntry{Target: "npm/acme/box@1.0.0", Reason: "no good", Principal: "arn:ann", Created: w.now},
		Name: packhouse.PackageName{Format: "npm", Namespace: "acme", Name: "box"}, VersionKey: "1.0.0"}
	byDigest := catalog.BlockRow{BlockEntry: packhouse.BlockEntry{Target: "sha256:x", Created: w.now}, Digest: digest("content")}
	unseen := catalog.BlockRow{BlockEntry: packhouse.BlockEntry{Target: "sha256:y", Created: w.now}, Digest: digest("nobody has this")}
	w.update(func(tx *catalog.Tx) (err error) {
		if v, err = w.publish(tx, w.a, name("box"), "1.0.0", "content"); err != nil {
			return err
		}
		return errors.Join(w.makeDomain(tx, "abc", &other), tx.InsertBlock(w.ctx, w.domain.ID, byDigest), tx.InsertBlock(w.ctx, w.domain.ID, unseen),
			tx.InsertBlock(w.ctx, w.domain.ID, byName), tx.InsertBlock(w.ctx, other.ID, byDigest))
	})
	list := func(domainID int64) (rows []catalog.BlockRow) {
		w.view(func(tx *catalog.Tx) (err error) {
			rows, err = tx.Blocks(w.ctx, domainID)
			return err
		})
		return rows
	}
	byDigest.Revisions = []int64{v.RevisionID}
	if got, want := fmt.Sprint(list(w.domain.ID)), fmt.Sprint([]catalog.BlockRow{byName, byDigest, unseen}); got != want {
		t.Errorf("blocks %s, want %s", got, want)
	}
	if got := list(other.ID); len(got) != 1 || len(got[0].Revisions) != 0 {
		t.Errorf("blocks of another domain: %+v", got)
	}
	w.update(func(tx *catalog.Tx) error {
		if err := tx.InsertBlock(w.ctx, w.domain.ID, byName); !errors.Is(err, catalog.ErrExists) {
			t.Errorf("a second time: %v", err)
		}
		if err := tx.DeleteBlock(w.ctx, w.domain.ID, "npm/none"); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("what is not blocked: %v", err)
		}
		return errors.Join(tx.DeleteBlock(w.ctx, w.domain.ID, byName.Target), tx.DeleteBlock(w.ctx, w.domain.ID, byDigest.Target), tx.DeleteBlock(w.ctx, w.domain.ID, unseen.Target))
	})
	if got := list(w.domain.ID); len(got) != 0 {
		t.Errorf("after their deletion: %+v", got)
	}
}

// testRepositoryTags checks that tags are found by the beginning of their keys, of the
// repositories of one domain alone.
func testRepositoryTags(t *testing.T, w *world) {
	var other catalog.DomainRow
	put := func(tx *catalog.Tx, kind string, id int64, keys ...string) error {
		var tags []packhouse.ResourceTag
		for _, k := range keys {
			tags = append(tags, packhouse.ResourceTag{Key: k, Value: "of " + k})
		}
		return tx.PutResourceTags(w.ctx, kind, id, tags)
	}
	w.update(func(tx *catalog.Tx) error {
		if err := w.makeDomain(tx, "abc", &other); err != nil {
			return err
		}
		id, err := tx.InsertRepository(w.ctx, catalog.RepositoryRow{UUID: "x", DomainID: other.ID, Ref: packhouse.RepoRef{Name: "z"}, Administrator: account})
		return errors.Join(err, put(tx, catalog.TaggedRepository, id, "p:one"), put(tx, catalog.TaggedDomain, w.a.ID, "p:one"),
			put(tx, catalog.TaggedRepository, w.a.ID, "p:two", "p:one", "p", "p;", "P:one", "q"), put(tx, catalog.TaggedRepository, w.b.ID, "p:"))
	})
	var got []catalog.RepositoryTag
	w.view(func(tx *catalog.Tx) (err error) {
		got, err = tx.RepositoryTags(w.ctx, w.domain.ID, "p:")
		return err
	})
	want := fmt.Sprintf("[{%d {p:one of p:one}} {%d {p:two of p:two}} {%d {p: of p:}}]", w.a.ID, w.a.ID, w.b.ID)
	if fmt.Sprint(got) != want {
		t.Errorf("tags %v, want %s", got, want)
	}
}
