package catalog_test

import (
	"fmt"
	"testing"

	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
)

// BenchmarkPages reads the first and the last page of every list that grows, in a small
// installation and in one of 100,000 versions: neither depth nor size may cost anything.
func BenchmarkPages(b *testing.B) {
	const page = 50
	for _, size := range []int{1_000, 100_000} {
		o := openSQLite(b, catalog.Options{Sealer: catalogtest.PassThrough{}})
		fillLists(b, o.Raw, 2*size) // half of the versions are of one package
		for _, list := range pagedLists(b, page) {
			last := lastPage(b, o.DB, list.read)
			for where, after := range map[string]string{"first": "", "last": last} {
				b.Run(fmt.Sprintf("%s/%s page of %d", list.name, where, size), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if err := o.DB.View(b.Context(), func(tx *catalog.Tx) error {
							_, _, err := list.read(tx, after)
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

// lastPage walks a list and returns the cursor of the last page that has a next one.
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
	if err != nil || after == "" {
		b.Fatalf("no last page: %v", err)
	}
	return cursor
}
