package catalog_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
)

// Weak paths that an older rule made are made again when the catalog is opened, all of
// them.
func TestWeakPathsFollowTheRule(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	open := func() *catalog.DB {
		db, err := catalog.Open(t.Context(), catalog.Options{DSN: path, Sealer: catalogtest.PassThrough{}})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := open()
	const packages = 2500 // more than one batch
	if err := db.Update(t.Context(), func(tx *catalog.Tx) error {
		if err := tx.InsertAccount(t.Context(), "111122223333", "a"); err != nil {
			return err
		}
		d, err := tx.InsertDomain(t.Context(), catalog.DomainRow{Ref: packhouse.DomainRef{Owner: "111122223333", Name: "dom"}, Mode: "sealed"})
		if err != nil {
			return err
		}
		r, err := tx.InsertRepository(t.Context(), catalog.RepositoryRow{UUID: "u", DomainID: d, Ref: packhouse.RepoRef{Name: "r"}})
		for i := range packages {
			n := packhouse.PackageName{Format: "npm", Name: fmt.Sprintf("Pack-%d", i)}
			if err == nil {
				_, err = tx.InsertPackage(t.Context(), catalog.NewPackage{RepoID: r, DomainID: d, Name: n, CollisionKey: n.Name, At: time.Unix(1, 0)})
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw := openRaw(t, "sqlite", "file:"+path)
	mustExec(t, raw, `UPDATE packages SET weak_path = 'old'`)
	mustExec(t, raw, `UPDATE epochs SET value = 0 WHERE name = 'weak_paths'`)
	db = open()
	defer func() { _ = db.Close() }()
	var folded, rule int
	if err := raw.QueryRowContext(t.Context(), `SELECT count(*) FROM packages WHERE weak_path LIKE '/npm//pack.%'`).Scan(&folded); err != nil {
		t.Fatal(err)
	}
	if err := raw.QueryRowContext(t.Context(), `SELECT value FROM epochs WHERE name = 'weak_paths'`).Scan(&rule); err != nil {
		t.Fatal(err)
	}
	if folded != packages || rule == 0 {
		t.Errorf("%d paths are folded, rule %d, want %d and the newest rule", folded, rule, packages)
	}
}
