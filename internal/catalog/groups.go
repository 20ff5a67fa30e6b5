package catalog

import (
	"context"
	"database/sql"
	"strings"
)

// AddMember puts a principal into a group; repeating it changes nothing.
func (tx *Tx) AddMember(ctx context.Context, groupID, principalID int64) error {
	const q = `INSERT INTO group_members (group_id, principal_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`
	_, err := tx.exec(ctx, q, groupID, principalID)
	return tx.identityChanged(ctx, err)
}

// RemoveMember takes a principal out of a group. Errors: ErrNotFound.
func (tx *Tx) RemoveMember(ctx context.Context, groupID, principalID int64) error {
	const q = `DELETE FROM group_members WHERE group_id = $1 AND principal_id = $2`
	return tx.identityChanged(ctx, tx.execOne(ctx, q, groupID, principalID))
}

// Members returns a page of a group's members by the lower case of their names, after
// the name given; "" begins.
func (tx *Tx) Members(ctx context.Context, groupID int64, after string, limit int) ([]PrincipalRow, error) {
	const q = `SELECT ` + principalColumns + ` FROM group_members m JOIN principals p ON p.id = m.principal_id
		WHERE m.group_id = $1 AND p.name_key > $2 ORDER BY p.name_key LIMIT $3`
	return list(ctx, tx, q, []any{groupID, strings.ToLower(after), limit}, func(rows *sql.Rows) (p PrincipalRow, err error) {
		return p, rows.Scan(p.scan()...)
	})
}

// GroupsOf returns the groups that a principal is in, by name.
func (tx *Tx) GroupsOf(ctx context.Context, principalID int64) ([]PrincipalRow, error) {
	const q = `SELECT ` + principalColumns + ` FROM group_members m JOIN principals p ON p.id = m.group_id
		WHERE m.principal_id = $1 ORDER BY p.name_key`
	return list(ctx, tx, q, []any{principalID}, func(rows *sql.Rows) (p PrincipalRow, err error) {
		return p, rows.Scan(p.scan()...)
	})
}
