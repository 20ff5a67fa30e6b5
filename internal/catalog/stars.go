package catalog

import (
	"context"
	"database/sql"

	"github.com/packhouse/packhouse"
)

// Star notes that a principal likes a package; twice is once.
func (tx *Tx) Star(ctx context.Context, principalID, packageID int64) error {
	const q = `INSERT INTO package_stars (principal_id, package_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`
	_, err := tx.exec(ctx, q, principalID, packageID)
	return err
}

// Unstar takes a star back; without one it does nothing.
func (tx *Tx) Unstar(ctx context.Context, principalID, packageID int64) error {
	const q = `DELETE FROM package_stars WHERE principal_id = $1 AND package_id = $2`
	_, err := tx.exec(ctx, q, principalID, packageID)
	return err
}

// CountStars returns how many packages a principal has starred, in all repositories.
func (tx *Tx) CountStars(ctx context.Context, principalID int64) (n int, err error) {
	const q = `SELECT count(*) FROM package_stars s WHERE s.principal_id = $1`
	err = tx.one(ctx, q, []any{principalID}, &n)
	return n, err
}

// Starred returns the packages of one format in a repository that a principal has
// starred, by name.
func (tx *Tx) Starred(ctx context.Context, principalID, repoID int64, f packhouse.FormatID) ([]packhouse.PackageName, error) {
	const q = `SELECT p.format, p.namespace, p.name FROM package_stars s JOIN packages p ON p.id = s.package_id
		WHERE s.principal_id = $1 AND p.repository_id = $2 AND p.format = $3 AND p.deleted_at IS NULL ORDER BY p.namespace, p.name`
	return list(ctx, tx, q, []any{principalID, repoID, f}, func(rows *sql.Rows) (n packhouse.PackageName, err error) {
		return n, rows.Scan(&n.Format, &n.Namespace, &n.Name)
	})
}
