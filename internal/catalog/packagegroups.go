package catalog

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/groups"
)

// PackageGroupRow is a package group as stored.
type PackageGroupRow struct {
	ID      int64
	Pattern string
	Modes   map[packhouse.RestrictionType]packhouse.RestrictionMode // of every type
	// Allowed are the repositories of the group's own lists, order unspecified.
	Allowed map[packhouse.RestrictionType][]int64
	Created time.Time
}

// PackageGroupTexts is what people write about a package group.
type PackageGroupTexts struct{ Contact, Description string }

// TaggedPackageGroup is the kind of package groups among those that carry ResourceTags.
const TaggedPackageGroup = packhouse.ResourcePackageGroup

// PackageGroups returns the package groups of a domain, order unspecified, without their
// texts.
func (tx *Tx) PackageGroups(ctx context.Context, domainID int64) ([]PackageGroupRow, error) {
	const q = `SELECT g.id, g.pattern, g.publish, g.external, g.internal, g.created_at, r.type, r.repository_id
		FROM package_groups g LEFT JOIN group_repositories r ON r.group_id = g.id WHERE g.domain_id = $1`
	var out []PackageGroupRow
	place := make(map[int64]int) // of a group in out
	err := tx.each(ctx, q, []any{domainID}, func(rows *sql.Rows) (bool, error) {
		var g PackageGroupRow
		var publish, external, internal packhouse.RestrictionMode
		var kind sql.NullString
		var repo sql.NullInt64
		if err := rows.Scan(&g.ID, &g.Pattern, &publish, &external, &internal, moment{&g.Created}, &kind, &repo); err != nil {
			return false, err
		}
		i, ok := place[g.ID]
		if !ok {
			i = len(out)
			place[g.ID] = i
			g.Modes = map[packhouse.RestrictionType]packhouse.RestrictionMode{packhouse.RestrictPublish: publish,
				packhouse.RestrictExternalUpstream: external, packhouse.RestrictInternalUpstream: internal}
			g.Allowed = make(map[packhouse.RestrictionType][]int64)
			out = append(out, g)
		}
		if repo.Valid {
			t := packhouse.RestrictionType(kind.String)
			out[i].Allowed[t] = append(out[i].Allowed[t], repo.Int64)
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// PackageGroupTexts returns the texts of groups by id; groups that are not there are not
// in the result.
func (tx *Tx) PackageGroupTexts(ctx context.Context, ids []int64) (map[int64]PackageGroupTexts, error) {
	out := make(map[int64]PackageGroupTexts, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	set, args := in(1, ids)
	err := tx.each(ctx, `SELECT g.id, g.contact, g.description FROM package_groups g WHERE g.id IN `+set, args, func(rows *sql.Rows) (bool, error) {
		var id int64
		var t PackageGroupTexts
		err := rows.Scan(&id, &t.Contact, &t.Description)
		out[id] = t
		return true, err
	})
	return out, err
}

// InsertPackageGroup adds a package group and returns its id; what it allows is written
// separately. Errors: ErrExists.
func (tx *Tx) InsertPackageGroup(ctx context.Context, domainID int64, g PackageGroupRow, t PackageGroupTexts) (int64, error) {
	if err := tx.serialize(); err != nil {
		return 0, err
	}
	const q = `INSERT INTO package_groups (domain_id, pattern, folded_pattern, specificity, publish, external, internal, contact, description, created_at)
		VALUES ($1, $2, '', 0, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id`
	return tx.insert(ctx, q, domainID, g.Pattern, g.Modes[packhouse.RestrictPublish], g.Modes[packhouse.RestrictExternalUpstream],
		g.Modes[packhouse.RestrictInternalUpstream], t.Contact, t.Description, micros(g.Created))
}

// SetPackageGroupTexts replaces a group's texts. Errors: ErrNotFound.
func (tx *Tx) SetPackageGroupTexts(ctx context.Context, id int64, t PackageGroupTexts) error {
	return tx.execOne(ctx, `UPDATE package_groups SET contact = $2, description = $3 WHERE id = $1`, id, t.Contact, t.Description)
}

// SetPackageGroupOrigin replaces a group's modes and the lists of the repositories that it
// allows. Errors: ErrNotFound.
func (tx *Tx) SetPackageGroupOrigin(ctx context.Context, g PackageGroupRow) error {
	const modes = `UPDATE package_groups SET publish = $2, external = $3, internal = $4 WHERE id = $1`
	const clear = `DELETE FROM group_repositories WHERE group_id = $1`
	if err := tx.execOne(ctx, modes, g.ID, g.Modes[packhouse.RestrictPublish], g.Modes[packhouse.RestrictExternalUpstream],
		g.Modes[packhouse.RestrictInternalUpstream]); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, clear, g.ID); err != nil {
		return err
	}
	for _, t := range packhouse.RestrictionTypes {
		var args []any
		for _, id := range g.Allowed[t] {
			args = append(args, g.ID, t, id)
		}
		if len(args) == 0 {
			continue
		}
		q := `INSERT INTO group_repositories (group_id, type, repository_id) VALUES ` + tuples(len(args)/3, 3)
		if _, err := tx.execOnce(ctx, q, args...); err != nil {
			return err
		}
	}
	return nil
}

// DeletePackageGroup removes a package group with its lists and tags. Errors: ErrNotFound.
func (tx *Tx) DeletePackageGroup(ctx context.Context, id int64) error {
	for _, q := range []string{
		`DELETE FROM group_repositories WHERE group_id = $1`,
		`DELETE FROM resource_tags WHERE kind = 'package-group' AND resource_id = $1`,
	} {
		if _, err := tx.exec(ctx, q, id); err != nil {
			return err
		}
	}
	return tx.execOne(ctx, `DELETE FROM package_groups WHERE id = $1`, id)
}

// deletePackageGroups removes all package groups of a domain.
func (tx *Tx) deletePackageGroups(ctx context.Context, domainID int64) error {
	const ofDomain = ` IN (SELECT g.id FROM package_groups g WHERE g.domain_id = $1)`
	for _, q := range []string{
		`DELETE FROM group_repositories WHERE group_id` + ofDomain,
		`DELETE FROM resource_tags WHERE kind = 'package-group' AND resource_id` + ofDomain,
		`DELETE FROM package_groups WHERE domain_id = $1`,
	} {
		if _, err := tx.exec(ctx, q, domainID); err != nil {
			return err
		}
	}
	return nil
}

// DomainPackage is a package that repositories of a domain have.
type DomainPackage struct {
	ID       int64 // of one of its records
	Name     packhouse.PackageName
	WeakPath string // groups.Fold of its path
}

// Cursor returns the cursor of the package for DomainPackages.
func (p DomainPackage) Cursor() string {
	if c := cursor(string(p.Name.Format), p.Name.Namespace, p.Name.Name); len(c) <= maxPackageCursor {
		return c
	}
	return cursor("", "", strconv.FormatInt(p.ID, 10)) // no format has an empty name
}

// DomainPackageAt reads a cursor. The package may have gone since. Errors: Invalid
// "invalid_page_token".
func (tx *Tx) DomainPackageAt(ctx context.Context, domainID int64, cursor string) (p DomainPackage, err error) {
	const q = `SELECT p.format, p.namespace, p.name FROM packages p WHERE p.id = $1 AND p.domain_id = $2`
	fields, begin, err := parseCursor(cursor, 3)
	if err != nil || begin {
		return p, err
	}
	p.Name = packhouse.PackageName{Format: packhouse.FormatID(fields[0]), Namespace: fields[1], Name: fields[2]}
	if fields[0] == "" {
		if p.ID, err = cursorInt(fields[2]); err != nil {
			return p, err
		}
		if err = tx.one(ctx, q, []any{p.ID, domainID}, &p.Name.Format, &p.Name.Namespace, &p.Name.Name); errors.Is(err, ErrNotFound) {
			err = errCursor()
		}
	}
	p.WeakPath = weakPath(p.Name)
	return p, err
}

// DomainPackages returns at most limit packages of a domain, each once however many
// repositories have it, ordered by (weak path, format, namespace, name): those behind after
// whose weak paths are not before from, and before until.
func (tx *Tx) DomainPackages(ctx context.Context, domainID int64, after DomainPackage, from, until string, limit int) ([]DomainPackage, error) {
	const q = `SELECT min(p.id), p.format, p.namespace, p.name, p.weak_path FROM packages p
		WHERE p.domain_id = $1 AND p.deleted_at IS NULL AND (p.weak_path, p.format, p.namespace, p.name) > ($2, $3, $4, $5) AND p.weak_path < $6
		GROUP BY p.weak_path, p.format, p.namespace, p.name ORDER BY p.weak_path, p.format, p.namespace, p.name LIMIT $7`
	if after.WeakPath < from {
		after = DomainPackage{WeakPath: from} // no package has an empty name
	}
	return list(ctx, tx, q, []any{domainID, after.WeakPath, after.Name.Format, after.Name.Namespace, after.Name.Name, until, limit},
		func(rows *sql.Rows) (p DomainPackage, err error) {
			return p, rows.Scan(&p.ID, &p.Name.Format, &p.Name.Namespace, &p.Name.Name, &p.WeakPath)
		})
}

// weakPath is the folded path by which package groups of a domain find packages.
func weakPath(n packhouse.PackageName) string { return groups.Fold(groups.PathOf(n)) }

// foldBatch is how many packages one transaction folds again.
const foldBatch = 1000

// foldPaths folds the paths of all packages again where an older rule made them. When none
// did, as at almost every start, that costs one small query.
func (db *DB) foldPaths(ctx context.Context) error {
	const selectRule = `SELECT value FROM epochs WHERE name = 'weak_paths'`
	const setRule = `UPDATE epochs SET value = $1 WHERE name = 'weak_paths'`
	const batch = `SELECT p.id, p.format, p.namespace, p.name, p.weak_path FROM packages p WHERE p.id > $1 ORDER BY p.id LIMIT $2`
	const set = `UPDATE packages SET weak_path = $2 WHERE id = $1`
	var rule int
	if err := db.View(ctx, func(tx *Tx) error { return tx.one(ctx, selectRule, nil, &rule) }); err != nil || rule >= groups.FoldRule {
		return err
	}
	for last, next, done := int64(0), int64(0), false; !done; last = next {
		err := db.Update(ctx, func(tx *Tx) error {
			rows, err := list(ctx, tx, batch, []any{last, foldBatch}, func(rows *sql.Rows) (p DomainPackage, err error) {
				return p, rows.Scan(&p.ID, &p.Name.Format, &p.Name.Namespace, &p.Name.Name, &p.WeakPath)
			})
			if err != nil {
				return err
			}
			if len(rows) < foldBatch {
				if _, err := tx.exec(ctx, setRule, groups.FoldRule); err != nil {
					return err
				}
			}
			for _, p := range rows {
				if path := weakPath(p.Name); path != p.WeakPath {
					if _, err := tx.exec(ctx, set, p.ID, path); err != nil {
						return err
					}
				}
			}
			if done = len(rows) < foldBatch; !done {
				next = rows[len(rows)-1].ID
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
