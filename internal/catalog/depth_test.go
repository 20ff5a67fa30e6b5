package catalog_test

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
)

// fillLists makes rows of everything that lists show, past the catalog: every list has
// values that few rows have, at both ends of its order and nowhere between.
func fillLists(t testing.TB, raw *sql.DB, rows int) {
	t.Helper()
	fillMany(t, raw, rows)
	const numbers = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) `
	ends := func(column string) string { return fmt.Sprintf(`(%s < 60 OR %s > %d)`, column, column, rows-60) }
	for _, q := range []string{
		`UPDATE versions SET status = 'Archived' WHERE package_id = 1 AND ` + ends("id"),
		`UPDATE versions SET origin_type = 'UNKNOWN' WHERE package_id = 1 AND ` + ends("id"),
		`UPDATE packages SET publish = 0 WHERE ` + ends("id"),
		`UPDATE packages SET upstream = 0 WHERE ` + ends("id"),
		fmt.Sprintf(`INSERT INTO domains (account_id, name, key_arn, key_id, mode, bucket_name, created_at) `+numbers+
			`SELECT '1', 'dom' || i, '', '', '', '', 0 FROM n`, 20),
		fmt.Sprintf(`INSERT INTO repositories (uuid, domain_id, name, admin_account, description, created_at) `+numbers+
			`SELECT 'x' || i, 2 + i %% 20, 'm' || i, CASE WHEN `+ends("i")+` THEN '2' ELSE '1' END, '', 0 FROM n`, rows),
		fmt.Sprintf(`INSERT INTO repositories (uuid, domain_id, name, admin_account, description, created_at) `+numbers+
			`SELECT 'y' || i, 1, CASE WHEN i %% 2 = 0 THEN 'a' ELSE 'z' END || i, '2', '', 0 FROM n`, 100),
		fmt.Sprintf(`INSERT INTO assets (revision_id, name, blob_id, media_type, kind) `+numbers+`SELECT 1, 'asset' || i, 1 + i %% 1000, '', 'asset' FROM n`, rows),
		fmt.Sprintf(`INSERT INTO audit (at, event_id, door, name, read_only, principal, client, agent, request_id, method, path, resource, version,
			administrator, status, error, message, decision) `+numbers+`SELECT i, '', '', '', 0, '', '', '', '', '', '', '', '', '', 200, '', '', '' FROM n`, rows),
		`INSERT INTO webhooks (account_id, name, url, secret, enabled, seen, created_at) VALUES ('1', 'rare', '', ` + emptyBytes(raw) + `, 1, 0, 0), ('1', 'busy', '', ` + emptyBytes(raw) + `, 1, 0, 0)`,
		fmt.Sprintf(`INSERT INTO deliveries (webhook_id, change_id, line, state, attempts, next_at, created_at, ended_at, status, error) `+numbers+
			`SELECT CASE WHEN `+ends("i")+` THEN 1 ELSE 2 END, i, 'l', CASE WHEN i %% 3 = 0 THEN 'dead' ELSE 'delivered' END, 0, 0, 0, 0, 0, '' FROM n`, rows),
		fmt.Sprintf(`INSERT INTO principals (account_id, kind, name, name_key, arn, token_epoch, created_at) `+numbers+
			`SELECT '1', CASE WHEN `+ends("i")+` THEN 'role' ELSE 'user' END, 'u' || i, 'u' || i, 'arn' || i, 0, 0 FROM n`, rows),
		fmt.Sprintf(`INSERT INTO identity_policies (account_id, name, document, updated_at) `+numbers+`SELECT '1', 'policy' || i, '', 0 FROM n`, rows),
	} {
		mustExec(t, raw, q)
	}
}

func emptyBytes(raw *sql.DB) string {
	if rawBytes(raw) == `CAST(printf('%032d', i) AS BLOB)` {
		return `x''`
	}
	return `''::bytea`
}

// pagedList is a list that is read in pages.
type pagedList struct {
	name string
	// read returns how many rows a page has, and the cursor of the next, "" on the last.
	read func(tx *catalog.Tx, after string) (rows int, next string, err error)
}

// pagedLists are the lists of the catalog whose length nothing bounds, over what fillLists
// made.
func pagedLists(t testing.TB, page int) []pagedList {
	ctx := t.Context()
	packages := func(name string, f catalog.PackageFilter) pagedList {
		return pagedList{name, func(tx *catalog.Tx, after string) (int, string, error) {
			f.RepoID, f.After, f.Limit = 1, after, page
			rows, next, err := tx.Packages(ctx, f)
			return len(rows), next, err
		}}
	}
	versions := func(name string, f catalog.VersionFilter) pagedList {
		return pagedList{name, func(tx *catalog.Tx, after string) (int, string, error) {
			f.PackageID, f.After, f.Limit = 1, after, page
			rows, next, err := tx.Versions(ctx, f)
			return len(rows), next, err
		}}
	}
	repositories := func(name string, f catalog.RepositoryFilter) pagedList {
		return pagedList{name, func(tx *catalog.Tx, after string) (int, string, error) {
			f.After, f.Limit = after, page
			rows, next, err := tx.Repositories(ctx, f)
			return len(rows), next, err
		}}
	}
	deliveries := func(name string, webhook int64, state packhouse.DeliveryState) pagedList {
		return pagedList{name, byID(page, func(tx *catalog.Tx, after int64) (ids []int64, err error) {
			rows, err := tx.Deliveries(ctx, webhook, state, after, page)
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return ids, err
		})}
	}
	principals := func(name string, kind packhouse.PrincipalKind) pagedList {
		return pagedList{name, func(tx *catalog.Tx, after string) (int, string, error) {
			rows, err := tx.PrincipalsAfter(ctx, "1", kind, "", after, page)
			if err != nil || len(rows) < page {
				return len(rows), "", err
			}
			return len(rows), rows[page-1].Name, nil
		}}
	}
	var last catalog.DomainPackage
	return []pagedList{
		packages("packages", catalog.PackageFilter{}),
		packages("packages of a format", catalog.PackageFilter{Format: "npm"}),
		packages("packages of a namespace", catalog.PackageFilter{Format: "npm", NamespacePrefix: "s4"}),
		packages("packages by a name that few have", catalog.PackageFilter{NamePrefix: "p19"}),
		packages("packages by a name that many have", catalog.PackageFilter{NamePrefix: "p1"}),
		packages("packages of a namespace by name", catalog.PackageFilter{Format: "npm", NamespacePrefix: "s4", NamePrefix: "p1"}),
		packages("packages that block publishing, which few do", catalog.PackageFilter{Publish: packhouse.Block}),
		packages("packages that block upstreams, which few do", catalog.PackageFilter{Format: "npm", Upstream: packhouse.Block}),
		packages("packages that allow publishing, which most do", catalog.PackageFilter{Publish: packhouse.Allow}),
		versions("versions", catalog.VersionFilter{}),
		versions("versions of a status", catalog.VersionFilter{Status: packhouse.Published}),
		versions("versions of a status that few have", catalog.VersionFilter{Status: packhouse.Archived}),
		versions("versions of an origin", catalog.VersionFilter{OriginType: packhouse.OriginInternal}),
		versions("versions of an origin that few have", catalog.VersionFilter{OriginType: packhouse.OriginUnknown}),
		versions("versions, newest first", catalog.VersionFilter{NewestFirst: true}),
		versions("versions of a status, newest first", catalog.VersionFilter{NewestFirst: true, Status: packhouse.Published}),
		versions("versions of a status that few have, newest first", catalog.VersionFilter{NewestFirst: true, Status: packhouse.Archived}),
		versions("versions of an origin that few have, newest first", catalog.VersionFilter{NewestFirst: true, OriginType: packhouse.OriginUnknown}),
		repositories("repositories", catalog.RepositoryFilter{Administrator: "1"}),
		repositories("repositories by name", catalog.RepositoryFilter{Administrator: "1", Prefix: "m1"}),
		repositories("repositories of an administrator who has few", catalog.RepositoryFilter{Administrator: "2"}),
		repositories("repositories of a domain", catalog.RepositoryFilter{DomainID: 1}),
		repositories("repositories of a domain and an administrator who has few", catalog.RepositoryFilter{DomainID: 1, Administrator: "2"}),
		{"packages of a domain", func(tx *catalog.Tx, after string) (int, string, error) {
			rows, err := tx.DomainPackages(ctx, 1, last, "/", "0", page)
			if err != nil || len(rows) < page {
				return len(rows), "", err
			}
			last = rows[page-1]
			return len(rows), last.Cursor(), nil
		}},
		{"assets", func(tx *catalog.Tx, after string) (int, string, error) {
			rows, err := tx.AssetsFrom(ctx, 1, after, page+1)
			if err != nil || len(rows) <= page {
				return len(rows), "", err
			}
			return page, rows[page].Name, nil
		}},
		{"changes", byID(page, func(tx *catalog.Tx, after int64) (ids []int64, err error) {
			rows, err := tx.Changes(ctx, after, page)
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return ids, err
		})},
		{"audit", byID(page, func(tx *catalog.Tx, after int64) (ids []int64, err error) {
			rows, err := tx.Audit(ctx, after, page)
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return ids, err
		})},
		deliveries("deliveries", 2, ""),
		deliveries("deliveries of a webhook that has few", 1, ""),
		deliveries("deliveries of a state", 2, packhouse.DeliveryDead),
		principals("users", packhouse.KindUser),
		principals("roles, of which there are few", packhouse.KindRole),
	}
}

// byID makes the page reader of a list that goes on from an id.
func byID(page int, read func(tx *catalog.Tx, after int64) ([]int64, error)) func(*catalog.Tx, string) (int, string, error) {
	return func(tx *catalog.Tx, after string) (int, string, error) {
		var id int64
		if after != "" {
			if _, err := fmt.Sscan(after, &id); err != nil {
				return 0, "", err
			}
		}
		ids, err := read(tx, id)
		if err != nil || len(ids) < page {
			return len(ids), "", err
		}
		return len(ids), fmt.Sprint(ids[len(ids)-1]), nil
	}
}

// TestPagesCostTheSameAtAnyDepth reads lists of 20,000 rows from end to end and counts
// the pages of the database that each page of a list touches: neither the depth nor how
// rare it is what a filter asks for may show (codeartifact.md 1.2).
func TestPagesCostTheSameAtAnyDepth(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 20,000 rows of everything")
	}
	const (
		rows = 20_000
		page = 20
		// A row of a page takes one descent of a tree, or two.
		most = page * 6
		// Where a page may be short it looks at 2,000 rows.
		mostShort = most + 2000*2
		// The packages with a name that few have are all found and sorted.
		mostSorted = most + 1000
	)
	o := openSQLite(t, catalog.Options{Sealer: catalogtest.PassThrough{}})
	fillLists(t, o.Raw, rows)
	limits := map[string]int{
		"packages by a name that few have": mostSorted, "packages by a name that many have": mostShort, "packages of a namespace by name": mostShort,
		"packages that block publishing, which few do": mostShort, "packages that block upstreams, which few do": mostShort,
		"versions of an origin that few have": mostShort, "versions of an origin that few have, newest first": mostShort,
	}
	for _, l := range pagedLists(t, page) {
		t.Run(l.name, func(t *testing.T) {
			limit := most
			if n, ok := limits[l.name]; ok {
				limit = n
			}
			listed, pages, after := 0, 0, ""
			for {
				n, next := 0, ""
				touched, err := catalog.PagesTouched(t.Context(), o.DB, func(tx *catalog.Tx) (err error) {
					n, next, err = l.read(tx, after)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				listed, pages = listed+n, pages+1
				if touched > limit {
					t.Fatalf("page %d, of %d rows after %d, touches %d pages of the database, more than %d", pages, n, listed-n, touched, limit)
				}
				if next == "" {
					break
				}
				if after = next; pages > rows {
					t.Fatal("no end")
				}
			}
			if pages < 2 || listed < 2*page {
				t.Errorf("%d rows on %d pages: too few to tell anything", listed, pages)
			}
		})
	}
	t.Run("the place in the audit log of a time", func(t *testing.T) {
		for _, at := range []int64{0, rows / 2, rows} {
			touched, err := catalog.PagesTouched(t.Context(), o.DB, func(tx *catalog.Tx) error {
				id, err := tx.AuditBefore(t.Context(), time.UnixMicro(at))
				if want := max(at-1, 0); err == nil && id != want {
					err = fmt.Errorf("record %d, want %d", id, want)
				}
				return err
			})
			if err != nil || touched > most {
				t.Errorf("time %d: %v, %d pages of the database", at, err, touched)
			}
		}
	})
}
