package catalog_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
)

func benchDB(b *testing.B) (*catalog.DB, catalog.DomainRow, int64) {
	b.Helper()
	db := catalogtest.OpenWith(b, catalog.Options{DSN: filepath.Join(b.TempDir(), "catalog.db")})
	ctx := b.Context()
	d := catalog.DomainRow{Ref: packhouse.DomainRef{Owner: "123456789012", Name: "d"}, Key: packhouse.KeyRef{KeyID: "k", Keyset: make([]byte, 200)}}
	var repo int64
	err := db.Update(ctx, func(tx *catalog.Tx) (err error) {
		if err = tx.InsertAccount(ctx, d.Ref.Owner, ""); err != nil {
			return err
		}
		if d.ID, err = tx.InsertDomain(ctx, d); err != nil {
			return err
		}
		d.Key.DomainID = d.ID
		repo, err = tx.InsertRepository(ctx, catalog.RepositoryRow{UUID: "u", DomainID: d.ID, Ref: packhouse.RepoRef{Name: "r"}})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return db, d, repo
}

// publish is what one publish of a small package costs the catalog.
func publish(b *testing.B, tx *catalog.Tx, d catalog.DomainRow, repo int64, name packhouse.PackageName, n int64) error {
	ctx := b.Context()
	p, err := tx.LockPackage(ctx, repo, name)
	if err != nil {
		p, err = tx.InsertPackage(ctx, catalog.NewPackage{RepoID: repo, DomainID: d.ID, Name: name, CollisionKey: name.Name, At: time.Now()})
	}
	if err != nil {
		return err
	}
	blob := catalog.BlobRow{DomainID: d.ID, BlobRef: packhouse.BlobRef{Size: 10, Object: fmt.Sprint(n), WrappedKey: make([]byte, 80)}}
	copy(blob.Digest[:], fmt.Sprintf("%032d", n))
	blob, _, err = tx.UseBlob(ctx, blob)
	if err != nil {
		return err
	}
	r, err := tx.EnsureRevision(ctx, catalog.Revision{Domain: d.Key, Name: fmt.Sprintf("%044d", n), Format: "npm",
		Facts: packhouse.Facts{Manifest: make([]byte, 800), Fragment: make([]byte, 900), FragmentVersion: 1, Readme: "read me",
			Summary: "Reads small stones from a river and sorts them by weight", Keywords: []string{"stone", "river", "sort"}},
		Assets: []catalog.RevisionAsset{{Name: "f.tgz", BlobID: blob.ID}}})
	if err != nil {
		return err
	}
	v, err := tx.InsertVersion(ctx, catalog.NewVersion{PackageID: p.ID, Version: fmt.Sprint("1.0.", n), VersionKey: fmt.Sprint("1.0.", n), RevisionID: r,
		Status: packhouse.Published, Published: time.Now(), Recorded: time.Now()})
	if err != nil {
		return err
	}
	if err := tx.SetTag(ctx, p.ID, "latest", v.ID, time.Now()); err != nil {
		return err
	}
	seq, err := tx.BumpPackage(ctx, p.ID, time.Now())
	if err != nil {
		return err
	}
	return tx.Record(ctx, packhouse.Change{Kind: packhouse.ChangeVersionPublished, DomainID: d.ID, RepoID: repo, Package: name, Sequence: seq})
}

// BenchmarkPublish publishes versions of 100 packages, or a package each time.
func BenchmarkPublish(b *testing.B) {
	for _, bb := range []struct {
		name     string
		writers  int
		packages int64
	}{
		{"1 writers", 1, 100},
		{"8 writers", 8, 100},
		{"8 writers, new packages", 8, 1 << 40},
	} {
		b.Run(bb.name, func(b *testing.B) {
			writers := bb.writers
			db, d, repo := benchDB(b)
			var n atomic.Int64
			b.ReportAllocs()
			b.SetParallelism(max(1, writers/2)) // times GOMAXPROCS, 2 on the reference machine
			run := func() error {
				i := n.Add(1)
				name := packhouse.PackageName{Format: "npm", Name: fmt.Sprint("p", i%bb.packages)}
				return db.Update(b.Context(), func(tx *catalog.Tx) error { return publish(b, tx, d, repo, name, i) })
			}
			if writers == 1 {
				for b.Loop() {
					if err := run(); err != nil {
						b.Fatal(err)
					}
				}
			} else {
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := run(); err != nil {
							b.Error(err)
						}
					}
				})
			}
			b.ReportMetric(float64(n.Load())/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

func BenchmarkResolve(b *testing.B) {
	db, d, repo := benchDB(b)
	ctx := b.Context()
	name := packhouse.PackageName{Format: "npm", Name: "p"}
	for i := range 20 {
		err := db.Update(ctx, func(tx *catalog.Tx) error {
			for j := range 100 {
				if err := publish(b, tx, d, repo, name, int64(i*100+j)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		err := db.View(ctx, func(tx *catalog.Tx) error {
			found, err := tx.Resolve(ctx, []int64{repo}, name)
			if len(found) != 1 || len(found[0].Versions) != 2000 {
				b.Fatalf("found %d", len(found))
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "catalog.db")
	b.ReportAllocs()
	for b.Loop() {
		db, err := catalog.Open(b.Context(), catalog.Options{DSN: path, Sealer: catalogtest.PassThrough{}})
		if err != nil {
			b.Fatal(err)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLists reads the first page of a list, a page in its middle, and a page of
// search hits, of repositories of different sizes: none of them may cost more in a large
// one.
func BenchmarkLists(b *testing.B) {
	for _, size := range []int{1_000, 10_000, 100_000} {
		db, d, repo := benchDB(b)
		ctx := b.Context()
		for from := 0; from < size; from += 500 {
			err := db.Update(ctx, func(tx *catalog.Tx) error {
				for i := from; i < from+500; i++ {
					if err := publish(b, tx, d, repo, packhouse.PackageName{Format: "npm", Name: fmt.Sprintf("stone-%06d", i)}, int64(i)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		middle := fmt.Sprintf("3:npm0:12:stone-%06d", size/2)
		for _, bb := range []struct {
			name string
			read func(tx *catalog.Tx) error
		}{
			{"first page", func(tx *catalog.Tx) error {
				_, _, err := tx.Packages(ctx, catalog.PackageFilter{RepoID: repo, Limit: 100})
				return err
			}},
			{"middle page", func(tx *catalog.Tx) error {
				_, _, err := tx.Packages(ctx, catalog.PackageFilter{RepoID: repo, After: middle, Limit: 100})
				return err
			}},
			{"search, a word of all names", func(tx *catalog.Tx) error { return searchPage(b, tx, d.ID, repo, "stone") }},
			{"search, a word of one", func(tx *catalog.Tx) error { return searchPage(b, tx, d.ID, repo, fmt.Sprintf("%06d", size/2)) }},
			{"search, two words of all", func(tx *catalog.Tx) error { return searchPage(b, tx, d.ID, repo, "stone", "river") }},
		} {
			b.Run(fmt.Sprintf("%s of %d", bb.name, size), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := db.View(ctx, bb.read); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// searchPage finds 20 packages and what describes them, as the engine does for facts that
// it has read before.
func searchPage(b *testing.B, tx *catalog.Tx, domainID, repo int64, words ...string) error {
	s := catalog.Search{DomainID: domainID, RepoIDs: []int64{repo}, Format: "npm", Batch: 21}
	for _, w := range words {
		s.Wanted = append(s.Wanted, catalog.Wanted{Field: catalog.SearchText, Any: []string{w}})
	}
	found := 0
	_, err := tx.Search(b.Context(), s, func(m []catalog.Match) (bool, error) {
		listed, err := tx.Listed(b.Context(), m, s.RepoIDs)
		found += len(listed)
		return found < 21, err
	})
	if err == nil && found == 0 {
		err = errors.New("nothing found")
	}
	return err
}
