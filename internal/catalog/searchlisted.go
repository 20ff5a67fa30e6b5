package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
)

// Listed is a package record of one repository with the version that it shows.
type Listed struct {
	Match   int64 // the record that was found, of the same name
	Package packhouse.Package
	// Version is what searches show of the record; its ID is 0 where that is nothing.
	Version    packhouse.PackageVersion
	VersionKey string
	Tagged     bool // a tag of the format's default names the version
}

// Listed returns what the repositories hold under the names of the matched records, by
// match and repository. One statement.
func (tx *Tx) Listed(ctx context.Context, matches []Match, repoIDs []int64) ([]Listed, error) {
	if len(matches) == 0 || len(repoIDs) == 0 {
		return nil, nil
	}
	ids := make([]int64, len(matches))
	for i, m := range matches {
		ids[i] = m.PackageID
	}
	found, args := in(1, ids)
	repos, more := in(len(args)+1, repoIDs)
	q := `SELECT c.id, ` + packageColumns + `, v.id, v.version, v.version_key, v.revision_id, v.published_at,
			EXISTS (SELECT 1 FROM tags t WHERE t.package_id = p.id AND t.name = 'latest' AND t.version_id = v.id)
		FROM packages c JOIN packages p ON p.format = c.format AND p.namespace = c.namespace AND p.name = c.name AND p.deleted_at IS NULL
		LEFT JOIN versions v ON v.id = p.shown_version AND v.status = 'Published' AND v.deleted_at IS NULL
		WHERE c.id IN ` + found + ` AND p.repository_id IN ` + repos
	rows, err := list(ctx, tx, q, append(args, more...), func(rows *sql.Rows) (l Listed, err error) {
		var v scannedVersion
		dest := append([]any{&l.Match}, packageDest(&l.Package)...)
		err = rows.Scan(append(dest, &v.id, &v.version, &v.key, &v.revisionID, &v.published, &l.Tagged)...)
		if err == nil && v.id.Valid {
			row := v.row(l.Package.Ref.Package)
			l.Version, l.VersionKey = row.PackageVersion, row.VersionKey
			l.Version.Status, l.Version.Recorded = packhouse.Published, time.Time{}
		}
		return l, err
	})
	slices.SortFunc(rows, func(a, b Listed) int {
		return cmp.Or(cmp.Compare(a.Match, b.Match), cmp.Compare(a.Package.RepoID, b.Package.RepoID))
	})
	return rows, err
}

// VersionOf names a version by its package record and its identity.
type VersionOf struct {
	PackageID  int64
	VersionKey string
}

// heldBatch is how many versions one statement of Held looks for.
const heldBatch = 100

// Held returns those of the versions that are there, whatever their status.
func (tx *Tx) Held(ctx context.Context, versions []VersionOf) (map[VersionOf]bool, error) {
	const one = `SELECT v.package_id, v.version_key FROM versions v WHERE v.package_id = %s AND v.version_key = %s AND v.deleted_at IS NULL`
	held := make(map[VersionOf]bool)
	for len(versions) > 0 {
		batch := first(versions, heldBatch)
		versions = versions[len(batch):]
		var each []string
		var args []any
		for _, v := range batch {
			id, key, _ := strings.Cut(placeholders(len(args)+1, 2), ", ")
			each = append(each, fmt.Sprintf(one, id, key))
			args = append(args, v.PackageID, v.VersionKey)
		}
		err := tx.each(ctx, strings.Join(each, ` UNION ALL `), args, func(rows *sql.Rows) (bool, error) {
			var v VersionOf
			err := rows.Scan(&v.PackageID, &v.VersionKey)
			held[v] = true
			return true, err
		})
		if err != nil {
			return nil, err
		}
	}
	return held, nil
}
