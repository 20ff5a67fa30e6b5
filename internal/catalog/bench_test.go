package catalog_test

import (
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
		Facts:  packhouse.Facts{Manifest: make([]byte, 800), Fragment: make([]byte, 900), FragmentVersion: 1, Readme: "read me"},
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

func BenchmarkPublish(b *testing.B) {
	for _, writers := range []int{1, 8} {
		b.Run(fmt.Sprint(writers, " writers"), func(b *testing.B) {
			db, d, repo := benchDB(b)
			var n atomic.Int64
			b.ReportAllocs()
			b.SetParallelism(max(1, writers/2)) // times GOMAXPROCS, 2 on the reference machine
			run := func() error {
				i := n.Add(1)
				name := packhouse.PackageName{Format: "npm", Name: fmt.Sprint("p", i%100)}
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
