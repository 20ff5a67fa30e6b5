package catalog_test

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
)

const rowsOfPlans = 100_000

// fillMany makes so many packages in repository 1, and versions, every second of which is
// package 1's, past the catalog.
func fillMany(t testing.TB, raw *sql.DB, rows int) {
	const numbers = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) `
	for _, q := range []string{
		`INSERT INTO accounts (id, name, created_at) VALUES ('1', 'a', 0)`,
		`INSERT INTO domains (account_id, name, key_arn, key_id, mode, bucket_name, created_at) VALUES ('1', 'd', '', '', '', '', 0)`,
		`INSERT INTO repositories (uuid, domain_id, name, admin_account, description, created_at) ` +
			fmt.Sprintf(numbers, 1000) + `SELECT 'u' || i, 1, 'r' || i, '1', '', 0 FROM n`,
		`INSERT INTO packages (repository_id, domain_id, format, namespace, name, collision_key, display_name, weak_path, publish, upstream, seq, created_at, updated_at) ` +
			fmt.Sprintf(numbers, rows) + `SELECT 1, 1, 'npm', 's' || (i % 50), 'p' || i, 'k' || i, '', '/npm/s' || (i % 50) || '/p' || i, 1, 1, 1, 0, 0 FROM n`,
		`INSERT INTO blobs (domain_id, sha256, size, hashed, generation, object, state, key_id, created_at) ` +
			fmt.Sprintf(numbers, 1000) + `SELECT 1, ` + rawBytes(raw) + `, 1, 1, 1, 'o' || i, 'live', '', 0 FROM n`,
		`INSERT INTO revisions (domain_id, revision, format, fragment_version, size, created_at) ` +
			fmt.Sprintf(numbers, rows) + `SELECT 1, 'r' || i, 'npm', 1, 1, 0 FROM n`,
		`INSERT INTO assets (revision_id, name, blob_id, media_type, kind) ` + fmt.Sprintf(numbers, rows) + `SELECT i, 'f', 1 + i % 1000, '', 'asset' FROM n`,
		`INSERT INTO versions (package_id, version, version_key, revision_id, status, origin_type, origin_repository, origin_connection, published_at, recorded_at) ` +
			fmt.Sprintf(numbers, rows) + `SELECT CASE WHEN i % 2 = 0 THEN 1 ELSE i END, 'v' || i, 'v' || i, i, 'Published', 'INTERNAL', '', '', i, i FROM n`,
		`UPDATE packages SET shown_version = CASE id WHEN 1 THEN ` + fmt.Sprint(rows) + ` ELSE id % 2 * id END, shown_before = 0, terms_sum = 1`,
		`INSERT INTO search_terms (repository_id, package_id, weight, term) ` + fmt.Sprintf(numbers, rows) + `SELECT 1, i, 4, 'npm:n:p' || i FROM n`,
		`INSERT INTO search_terms (repository_id, package_id, weight, term) ` + fmt.Sprintf(numbers, rows) + `SELECT 1, i, 4, 'npm:n:s' || (i % 50) FROM n`,
		`INSERT INTO search_terms (repository_id, package_id, weight, term) ` + fmt.Sprintf(numbers, rows) + `SELECT 1, i, 3, 'npm:k:common' FROM n`,
		`INSERT INTO tags (package_id, name, version_id, pushed_at) ` + fmt.Sprintf(numbers, 1000) + `SELECT i, 't', i, 0 FROM n`,
		`INSERT INTO changes (at, principal, request_id, door, kind, domain_id, repository_id, domain_owner, domain, repository, format, namespace, package,
			version, tag, revision_before, revision_after, status_before, status_after, sequence, dedup_id, detail) ` +
			fmt.Sprintf(numbers, rows) + `SELECT i, '', '', '', '', 1, 1, '', '', '', '', '', '', '', '', '', '', '', '', 0, '', '' FROM n`,
	} {
		mustExec(t, raw, q)
	}
}

// rawBytes returns the expression for 32 bytes that differ by i.
func rawBytes(raw *sql.DB) string {
	if strings.Contains(fmt.Sprintf("%T", raw.Driver()), "sqlite") {
		return `CAST(printf('%032d', i) AS BLOB)`
	}
	return `convert_to(lpad(CAST(i AS TEXT), 32, '0'), 'UTF8')`
}

// TestPlans looks at the plan of every read over 10^5 rows: each finds its rows by an
// index, and lists come out of it in order.
func TestPlans(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 10^5 rows of everything")
	}
	t.Run("sqlite", func(t *testing.T) {
		o := openSQLite(t, catalog.Options{Sealer: catalogtest.PassThrough{}})
		fillMany(t, o.Raw, rowsOfPlans)
		checkPlans(t, o.DB, []string{"SCAN ", "TEMP B-TREE", "AUTOMATIC"})
	})
	t.Run("postgres", func(t *testing.T) {
		server := os.Getenv("PACKHOUSE_TEST_POSTGRES")
		if server == "" {
			t.Skip("no server; TestPostgres says whether that is an error")
		}
		o := openPostgres(t, server, catalog.Options{Sealer: catalogtest.PassThrough{}})
		fillMany(t, o.Raw, rowsOfPlans)
		mustExec(t, o.Raw, `ANALYZE`)
		checkPlans(t, o.DB, []string{"Seq Scan on search_terms", "Seq Scan on packages", "Seq Scan on versions", "Seq Scan on revisions", "Seq Scan on assets", "Seq Scan on changes",
			"Seq Scan on blobs"})
	})
}

// searched runs a search for about want matches, with all that describes them.
func searched(t *testing.T, tx *catalog.Tx, repos []int64, want int, wanted ...catalog.Wanted) error {
	found := 0
	_, err := tx.Search(t.Context(), catalog.Search{DomainID: 1, RepoIDs: repos, Format: "npm", Wanted: wanted, Batch: want,
		Exact: packhouse.PackageName{Format: "npm", Namespace: "s1", Name: "absent"}},
		func(m []catalog.Match) (bool, error) {
			found += len(m)
			listed, err := tx.Listed(t.Context(), m, repos)
			if len(listed) == 0 {
				t.Errorf("%v are listed nowhere", m)
			}
			return found < want, err
		})
	if found < want || want == 0 && found > 0 {
		t.Errorf("%v finds %d, want %d", wanted, found, want)
	}
	return err
}

func checkPlans(t *testing.T, db *catalog.DB, forbidden []string) {
	ctx := t.Context()
	name := packhouse.PackageName{Format: "npm", Namespace: "s1", Name: "p1"}
	repos := []int64{1, 2, 3}
	after := "3:npm2:s15:p9999"
	// What a search counts is bounded by a limit: that is a scan of a few rows.
	bounded := strings.NewReplacer("SCAN CONSTANT ROW", "", "SCAN c\n", "\n")
	for what, read := range map[string]func(*catalog.Tx) error{
		"Packages": func(tx *catalog.Tx) error {
			rows, _, err := tx.Packages(ctx, catalog.PackageFilter{RepoID: 1, After: after, Limit: 100})
			if len(rows) != 100 {
				t.Errorf("%d packages", len(rows))
			}
			return err
		},
		"Packages of a format": func(tx *catalog.Tx) error {
			_, _, err := tx.Packages(ctx, catalog.PackageFilter{RepoID: 1, Format: "npm", NamespacePrefix: "s1", After: after, Limit: 100})
			return err
		},
		"Packages by name": func(tx *catalog.Tx) error {
			_, _, err := tx.Packages(ctx, catalog.PackageFilter{RepoID: 1, Format: "npm", NamePrefix: "p9", Limit: 100})
			return err
		},
		"Packages by a common name alone": func(tx *catalog.Tx) error {
			_, _, err := tx.Packages(ctx, catalog.PackageFilter{RepoID: 1, NamePrefix: "p9", Limit: 100})
			return err
		},
		"Packages of a domain": func(tx *catalog.Tx) error {
			at := catalog.DomainPackage{Name: name, WeakPath: "/npm/s1/p1"}
			rows, err := tx.DomainPackages(ctx, 1, at, "/npm/s1/", "/npm/s10", 100)
			if len(rows) != 100 {
				t.Errorf("%d packages", len(rows))
			}
			return err
		},
		"Package groups": func(tx *catalog.Tx) error { _, err := tx.PackageGroups(ctx, 1); return err },
		"Versions": func(tx *catalog.Tx) error {
			_, _, err := tx.Versions(ctx, catalog.VersionFilter{PackageID: 1, After: "1:t3:v501:1", Limit: 100})
			return err
		},
		"Versions of a status": func(tx *catalog.Tx) error {
			_, _, err := tx.Versions(ctx, catalog.VersionFilter{PackageID: 1, Status: packhouse.Published, Limit: 100})
			return err
		},
		"Versions, newest first": func(tx *catalog.Tx) error {
			_, next, err := tx.Versions(ctx, catalog.VersionFilter{PackageID: 1, NewestFirst: true, Limit: 100})
			if err != nil {
				return err
			}
			_, _, err = tx.Versions(ctx, catalog.VersionFilter{PackageID: 1, NewestFirst: true, Limit: 100, After: next})
			return err
		},
		"Repositories": func(tx *catalog.Tx) error {
			_, _, err := tx.Repositories(ctx, catalog.RepositoryFilter{Administrator: "1", After: "1:11:d3:r12", Limit: 100})
			return err
		},
		"Repositories of a domain": func(tx *catalog.Tx) error {
			_, _, err := tx.Repositories(ctx, catalog.RepositoryFilter{DomainID: 1, Prefix: "r9", Limit: 100})
			return err
		},
		"Domains":       func(tx *catalog.Tx) error { _, err := tx.Domains(ctx, "1", "", 100); return err },
		"Version":       func(tx *catalog.Tx) error { _, err := tx.Version(ctx, 3, "v3"); return err },
		"VersionsByKey": func(tx *catalog.Tx) error { _, err := tx.VersionsByKey(ctx, 1, []string{"v2", "v4", "v6"}); return err },
		"Package":       func(tx *catalog.Tx) error { _, err := tx.Package(ctx, 1, name); return err },
		"Assets":        func(tx *catalog.Tx) error { _, err := tx.Assets(ctx, 77); return err },
		"Changes":       func(tx *catalog.Tx) error { _, err := tx.Changes(ctx, 5000, 100); return err },
		"FindBlob": func(tx *catalog.Tx) error {
			var d packhouse.Digest
			copy(d[:], fmt.Sprintf("%032d", 7))
			_, err := tx.FindBlob(ctx, 1, d)
			return err
		},
		"Resolve": func(tx *catalog.Tx) error {
			_, err := tx.Resolve(ctx, repos, packhouse.PackageName{Format: "npm", Namespace: "s3", Name: "p3"})
			return err
		},
		"Receivers":    func(tx *catalog.Tx) error { _, err := tx.Receivers(ctx, repos, name, "v2"); return err },
		"ResolveAsset": func(tx *catalog.Tx) error { _, _, err := tx.ResolveAsset(ctx, repos, name, "v2", "f"); return err },
		"Search for one word that all have": func(tx *catalog.Tx) error {
			return searched(t, tx, repos, 21, catalog.Wanted{Field: catalog.SearchText, Any: []string{"p"}})
		},
		"Search for two words that many have": func(tx *catalog.Tx) error {
			return searched(t, tx, repos, 21, catalog.Wanted{Field: catalog.SearchText, Any: []string{"s1"}}, catalog.Wanted{Field: catalog.SearchText, Any: []string{"p9"}})
		},
		"Search for what is not there": func(tx *catalog.Tx) error {
			return searched(t, tx, repos, 0, catalog.Wanted{Field: catalog.SearchText, Any: []string{"absent"}}, catalog.Wanted{Field: catalog.SearchKeyword, Any: []string{"a", "b"}})
		},
		"Held": func(tx *catalog.Tx) error {
			_, err := tx.Held(ctx, []catalog.VersionOf{{PackageID: 1, VersionKey: "v2"}, {PackageID: 3, VersionKey: "v3"}})
			return err
		},
		"Starred":    func(tx *catalog.Tx) error { _, err := tx.Starred(ctx, 1, 1, "npm"); return err },
		"CountStars": func(tx *catalog.Tx) error { _, err := tx.CountStars(ctx, 1); return err },
	} {
		plans, err := catalog.Explain(ctx, db, read)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if len(plans) == 0 {
			t.Errorf("%s ran nothing", what)
		}
		for _, plan := range plans {
			for _, word := range forbidden {
				if strings.Contains(bounded.Replace(plan+"\n"), word) {
					t.Errorf("%s: %q in the plan of\n%s", what, word, plan)
				}
			}
		}
	}
	// What every change below a package does must not grow with its versions.
	plans, err := catalog.ExplainWrite(ctx, db, func(tx *catalog.Tx) error {
		_, err := tx.BumpPackage(ctx, 1, time.Now())
		return err
	})
	if err != nil || len(plans) == 0 {
		t.Errorf("bump: %v, %d plans", err, len(plans))
	}
	for _, plan := range plans {
		for _, word := range append(forbidden, "versions_status") {
			if strings.Contains(plan, word) {
				t.Errorf("bump: %q in the plan of\n%s", word, plan)
			}
		}
	}
	// Summaries are found by their ids, not among all revisions of the domain.
	page := make([]int64, 20)
	for i := range page {
		page[i] = rowsOfPlans + int64(i) + 1 // that are not there: those that are have no facts
	}
	plans, err = catalog.Explain(ctx, db, func(tx *catalog.Tx) error { _, err := tx.Summaries(ctx, 1, page); return err })
	if err != nil || len(plans) == 0 {
		t.Errorf("summaries: %v, %d plans", err, len(plans))
	}
	for _, plan := range plans {
		if strings.Contains(plan, "FROM revisions") && !strings.Contains(plan, "INTEGER PRIMARY KEY") && !strings.Contains(plan, "revisions_pkey") {
			t.Errorf("summaries: no search by id in the plan of\n%s", plan)
		}
	}
	// Few packages are found by their name and sorted; that is all of them, so pages are
	// right with a format and without.
	for _, format := range []packhouse.FormatID{"", "npm"} {
		f := catalog.PackageFilter{RepoID: 1, Format: format, NamePrefix: "p999", Limit: 100}
		var names []string
		plans, err := catalog.Explain(ctx, db, func(tx *catalog.Tx) error {
			for {
				rows, next, err := tx.Packages(ctx, f)
				for _, p := range rows {
					names = append(names, fmt.Sprint(p.Ref.Package.Namespace, "/", p.Ref.Package.Name))
				}
				if f.After = next; err != nil || next == "" {
					return err
				}
			}
		})
		if err != nil || len(names) != 111 || !slices.IsSorted(names) {
			t.Errorf("%d packages begin with p999, want 111 in order (%v)", len(names), err)
		}
		for _, plan := range plans {
			if !strings.Contains(plan, "packages_name") {
				t.Errorf("no search by name in the plan of\n%s", plan)
			}
		}
	}
}
