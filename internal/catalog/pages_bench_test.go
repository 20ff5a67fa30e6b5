package catalog_test

import (
	"cmp"
	"fmt"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
)

// BenchmarkPages reads the first and the last page of every list that grows with a
// repository, in a small one and in one of 100,000 versions: neither depth nor size may
// cost anything.
func BenchmarkPages(b *testing.B) {
	const page = 50
	for _, size := range []int{1_000, 100_000} {
		o := openSQLite(b, catalog.Options{Sealer: catalogtest.PassThrough{}})
		fillMany(b, o.Raw, 2*size) // half of the versions are of one package
		mustExec(b, o.Raw, `UPDATE versions SET status = 'Archived' WHERE package_id = 1 AND (id < 140 OR id > (SELECT max(id) - 140 FROM versions))`)
		ctx := b.Context()
		packages := func(f catalog.PackageFilter) func(*catalog.Tx, string) (int, string, error) {
			return func(tx *catalog.Tx, after string) (int, string, error) {
				f.RepoID, f.After, f.Limit = 1, after, page
				rows, next, err := tx.Packages(ctx, f)
				return len(rows), next, err
			}
		}
		versions := func(f catalog.VersionFilter) func(*catalog.Tx, string) (int, string, error) {
			return func(tx *catalog.Tx, after string) (int, string, error) {
				f.PackageID, f.After, f.Limit = 1, after, page
				rows, next, err := tx.Versions(ctx, f)
				return len(rows), next, err
			}
		}
		for _, list := range []struct {
			name string
			read func(tx *catalog.Tx, after string) (rows int, next string, err error)
		}{
			{"packages", packages(catalog.PackageFilter{})},
			{"packages of a namespace", packages(catalog.PackageFilter{Format: "npm", NamespacePrefix: "s4"})},
			{"versions", versions(catalog.VersionFilter{})},
			{"versions of a status", versions(catalog.VersionFilter{Status: packhouse.Published})},
			{"versions of a status that few have", versions(catalog.VersionFilter{Status: packhouse.Archived})},
			{"versions, newest first", versions(catalog.VersionFilter{NewestFirst: true})},
		} {
			last := lastPage(b, o.DB, list.read)
			for where, after := range map[string]string{"first": "", "last": last} {
				b.Run(fmt.Sprintf("%s/%s page of %d", list.name, where, size), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if err := o.DB.View(ctx, func(tx *catalog.Tx) error {
							rows, _, err := list.read(tx, after)
							if rows != page {
								return cmp.Or(err, fmt.Errorf("%d rows on the %s page", rows, where))
							}
							return err
						}); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// lastPage walks a list and returns the cursor of its last full page.
func lastPage(b *testing.B, db *catalog.DB, read func(*catalog.Tx, string) (int, string, error)) (cursor string) {
	b.Helper()
	after := ""
	err := db.View(b.Context(), func(tx *catalog.Tx) error {
		for {
			_, next, err := read(tx, after)
			if err != nil || next == "" {
				return err
			}
			cursor, after = after, next
		}
	})
	if err != nil || cursor == "" {
		b.Fatalf("no last page: %v", err)
	}
	return cursor
}
