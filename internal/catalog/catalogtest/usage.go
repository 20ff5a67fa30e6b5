package catalogtest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

func digest(content string) packhouse.Digest { return sha256.Sum256([]byte(content)) }

// checkUsage computes from the rows what the catalog keeps up to date, and compares.
func (w *world) checkUsage(after string) {
	w.t.Helper()
	const referenced = `EXISTS (SELECT 1 FROM assets a JOIN versions v ON v.revision_id = a.revision_id
		WHERE a.blob_id = b.id AND v.deleted_at IS NULL AND v.status <> 'Disposed')`
	wrong := w.number(`SELECT count(*) FROM blobs b WHERE (b.unreferenced_since IS NULL) <> (` + referenced + `)`)
	if wrong != 0 {
		w.t.Fatalf("after %s: %d blobs are marked wrongly", after, wrong)
	}
	for shard := range 16 {
		got := w.number(`SELECT coalesce(sum(bytes * 1000 + blobs), 0) FROM domain_usage WHERE shard = $1`, shard)
		want := w.number(`SELECT coalesce(sum(b.size * 1000 + 1), 0) FROM blobs b WHERE b.id % 16 = $1 AND `+referenced, shard)
		if got != want {
			w.t.Fatalf("after %s: shard %d holds %d, the rows say %d", after, shard, got, want)
		}
	}
	want := w.number(`SELECT coalesce(sum(b.size), 0) FROM blobs b WHERE ` + referenced)
	w.view(func(tx *catalog.Tx) error {
		got, _, err := tx.DomainUsage(w.ctx, w.domain.ID)
		if got != want {
			w.t.Fatalf("after %s: usage %d, want %d", after, got, want)
		}
		return err
	})
}

// testUsage runs random writes that share blobs and revisions between versions,
// packages and repositories.
func testUsage(t *testing.T, w *world) {
	w.checkUsage("nothing")
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same writes each time
	contents := func() []string {
		var out []string
		for range 1 + rnd.IntN(3) {
			out = append(out, fmt.Sprintf("%c-content-%0*d", 'a'+rnd.IntN(6), rnd.IntN(20), 0))
		}
		return out
	}
	repos := []*catalog.RepositoryRow{&w.a, &w.b}
	pick := func(tx *catalog.Tx) (catalog.VersionRow, error) {
		p, err := tx.Package(w.ctx, repos[rnd.IntN(2)].ID, name(fmt.Sprint("p", rnd.IntN(3))))
		if err != nil {
			return catalog.VersionRow{}, err
		}
		return tx.Version(w.ctx, p.ID, fmt.Sprint(rnd.IntN(4)))
	}
	for step := range 300 {
		var what string
		err := w.DB.Update(w.ctx, func(tx *catalog.Tx) error {
			switch k := rnd.IntN(20); {
			case k < 7:
				what = "publish"
				_, err := w.publish(tx, *repos[rnd.IntN(2)], name(fmt.Sprint("p", rnd.IntN(3))), fmt.Sprint(rnd.IntN(4)), contents()...)
				return err
			case k < 10:
				what = "copy"
				v, err := pick(tx)
				if err != nil {
					return err
				}
				p, err := w.pkg(tx, *repos[rnd.IntN(2)], name(fmt.Sprint("p", rnd.IntN(3))))
				if err != nil {
					return err
				}
				_, err = tx.InsertVersion(w.ctx, catalog.NewVersion{PackageID: p.ID, Version: v.VersionKey, VersionKey: v.VersionKey, RevisionID: v.RevisionID,
					Status: v.Status, Published: w.now, Recorded: w.now})
				return err
			case k < 13:
				v, err := pick(tx)
				if err != nil {
					return err
				}
				status := []packhouse.Status{packhouse.Disposed, packhouse.Disposed, packhouse.Archived, packhouse.Published}[rnd.IntN(4)]
				what = "status " + string(status)
				return tx.SetStatus(w.ctx, v.ID, status)
			case k < 16:
				what = "repoint"
				v, err := pick(tx)
				if err != nil {
					return err
				}
				files := contents()
				id, err := w.revision(tx, fmt.Sprint("moved", files), files...)
				if err != nil {
					return err
				}
				return tx.RepointVersion(w.ctx, v.ID, id, []packhouse.Status{packhouse.Published, packhouse.Disposed}[rnd.IntN(2)])
			case k < 18:
				what = "delete version"
				v, err := pick(tx)
				if err != nil {
					return err
				}
				return tx.DeleteVersion(w.ctx, v.ID)
			case k < 19:
				what = "delete package"
				v, err := pick(tx)
				if err != nil {
					return err
				}
				return tx.DeletePackage(w.ctx, v.PackageID)
			default:
				what = "delete repository"
				r := repos[rnd.IntN(2)]
				if err := tx.DeleteRepository(w.ctx, r.ID); err != nil {
					return err
				}
				r.UUID = fmt.Sprint("again-", w.next())
				id, err := tx.InsertRepository(w.ctx, *r)
				r.ID = id
				return err
			}
		})
		if err != nil && !errors.Is(err, catalog.ErrNotFound) && !errors.Is(err, catalog.ErrExists) {
			t.Fatalf("step %d, %s: %v", step, what, err)
		}
		w.checkUsage(fmt.Sprintf("step %d, %s", step, what))
	}
	w.update(func(tx *catalog.Tx) error {
		return errors.Join(tx.DeleteRepository(w.ctx, w.a.ID), tx.DeleteRepository(w.ctx, w.b.ID))
	})
	w.checkUsage("the end")
	if n := w.number(`SELECT sum(bytes + blobs) FROM domain_usage`); n != 0 {
		t.Errorf("an empty domain uses %d", n)
	}
}

func testBlobs(t *testing.T, w *world) {
	first := w.blobRow("content")
	use := func(b catalog.BlobRow) (row catalog.BlobRow, kept bool, err error) {
		err = w.DB.Update(w.ctx, func(tx *catalog.Tx) error {
			row, kept, err = tx.UseBlob(w.ctx, b)
			return err
		})
		return row, kept, err
	}
	state := func(s catalog.BlobState) {
		if _, err := w.Raw.ExecContext(w.ctx, `UPDATE blobs SET state = $1`, s); err != nil {
			t.Fatal(err)
		}
	}
	one, kept, err := use(first)
	if err != nil || !kept || one.Generation != 1 || one.Object != first.Object {
		t.Fatalf("the first use: %+v, kept %v, %v", one, kept, err)
	}
	again := w.blobRow("content")
	if row, kept, err := use(again); err != nil || kept || row.ID != one.ID || row.Object != first.Object {
		t.Errorf("a live blob is shared: %+v, kept %v, %v", row, kept, err)
	}
	state(catalog.BlobCondemned)
	if row, kept, err := use(again); err != nil || kept || row.ID != one.ID || row.State != catalog.BlobLive {
		t.Errorf("a condemned blob lives again: %+v, kept %v, %v", row, kept, err)
	}
	if n := w.number(`SELECT count(*) FROM blobs WHERE state = 'live' AND unreferenced_since IS NOT NULL`); n != 1 {
		t.Error("a revived blob is not live, or has no grace")
	}
	state(catalog.BlobDeleting)
	w.view(func(tx *catalog.Tx) error {
		if _, err := tx.FindBlob(w.ctx, w.domain.ID, first.Digest); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("a blob being deleted is found: %v", err)
		}
		return nil
	})
	stale := again
	stale.Generation = 1
	if _, _, err := use(stale); !errors.Is(err, catalog.ErrGeneration) {
		t.Errorf("a generation is used twice: %v", err)
	}
	two, kept, err := use(again)
	if err != nil || !kept || two.Generation != 2 || two.ID == one.ID || two.Object != again.Object {
		t.Errorf("a blob being deleted makes the next generation: %+v, kept %v, %v", two, kept, err)
	}

	// A revision made before the deletion takes over the new bytes.
	w.update(func(tx *catalog.Tx) error {
		r := catalog.Revision{Domain: w.domain.Key, Name: "r", Assets: []catalog.RevisionAsset{{Name: "f", BlobID: one.ID}}}
		old, err := tx.EnsureRevision(w.ctx, r)
		if err != nil {
			return err
		}
		p, err := w.pkg(tx, w.a, name("box"))
		if err != nil {
			return err
		}
		v := catalog.NewVersion{PackageID: p.ID, Version: "1", VersionKey: "1", RevisionID: old, Status: packhouse.Published}
		if _, err := tx.InsertVersion(w.ctx, v); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("a version refers to bytes that are being deleted: %v", err)
		}
		return errUndo
	})
	w.update(func(tx *catalog.Tx) error {
		r := catalog.Revision{Domain: w.domain.Key, Name: "r", Assets: []catalog.RevisionAsset{{Name: "f", BlobID: one.ID}}}
		old, err := tx.EnsureRevision(w.ctx, r)
		if err != nil {
			return err
		}
		r.Assets[0].BlobID = two.ID
		if id, err := tx.EnsureRevision(w.ctx, r); err != nil || id != old {
			t.Errorf("an equal revision is %d, %v; want %d", id, err, old)
		}
		assets, err := tx.Assets(w.ctx, old)
		if len(assets) != 1 || assets[0].Blob.ID != two.ID || assets[0].Size != 7 {
			t.Errorf("assets %+v", assets)
		}
		return err
	})

	w.view(func(tx *catalog.Tx) error {
		missing, err := tx.BlobsWithoutHashes(w.ctx, 10)
		if len(missing) != 1 || missing[0].ID != two.ID {
			t.Errorf("without hashes: %+v", missing)
		}
		return err
	})
	w.update(func(tx *catalog.Tx) error {
		if err := tx.FillHashes(w.ctx, two.ID, packhouse.Hashes{SHA1: "01", SHA512: "02"}); err != nil {
			return err
		}
		return tx.FillHashes(w.ctx, two.ID, packhouse.Hashes{MD5: "ff"})
	})
	w.view(func(tx *catalog.Tx) error {
		row, err := tx.FindBlob(w.ctx, w.domain.ID, first.Digest)
		if want := (packhouse.Hashes{MD5: "ff", SHA1: "01", SHA256: first.Digest.Hex(), SHA512: "02"}); row.Hashes != want {
			t.Errorf("hashes %+v, want %+v", row.Hashes, want)
		}
		missing, _ := tx.BlobsWithoutHashes(w.ctx, 10)
		if len(missing) != 0 {
			t.Errorf("complete blobs still miss hashes: %+v", missing)
		}
		return err
	})
}
