package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/packhouse/packhouse"
)

// RepositoryRow is a repository as stored, with its edges by name and id.
type RepositoryRow struct {
	ID            int64
	UUID          string
	DomainID      int64
	Ref           packhouse.RepoRef
	Administrator packhouse.AccountID
	Description   string
	Created       time.Time
	UpstreamIDs   []int64  // in position order
	Upstreams     []string // names, same order
	Connections   []string // in position order
}

// RepositoryFilter selects repositories for a list, ordered by (domain owner, domain
// name, repository name).
type RepositoryFilter struct {
	DomainID      int64               // 0 for any domain
	Administrator packhouse.AccountID // "" for any
	Prefix        string              // case-sensitive name prefix
	After         string              // cursor of the last row of the page before; "" to begin
	Limit         int
}

const selectRepositories = `SELECT r.id, r.uuid, r.domain_id, d.account_id, d.name, r.name, r.admin_account, r.description, r.created_at
	FROM domains d JOIN repositories r ON r.domain_id = d.id`

// ofDomains makes lists go along domains, whatever a planner thinks, so that rows are in
// order.
const ofDomains = ` FROM domains d CROSS JOIN repositories r WHERE r.domain_id = d.id AND d.deleted_at IS NULL AND r.deleted_at IS NULL`

func scanRepository(rows *sql.Rows) (r RepositoryRow, err error) {
	return r, rows.Scan(&r.ID, &r.UUID, &r.DomainID, &r.Ref.Domain.Owner, &r.Ref.Domain.Name, &r.Ref.Name, &r.Administrator, &r.Description, moment{&r.Created})
}

// InsertRepository adds a repository and returns its id; edges are written
// separately. Errors: ErrExists.
func (tx *Tx) InsertRepository(ctx context.Context, r RepositoryRow) (int64, error) {
	if err := tx.serialize(); err != nil {
		return 0, err
	}
	const q = `INSERT INTO repositories (uuid, domain_id, name, admin_account, description, created_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING id`
	return tx.insert(ctx, q, r.UUID, r.DomainID, r.Ref.Name, r.Administrator, r.Description, micros(r.Created))
}

// Repository returns a repository with its edges. Errors: ErrNotFound.
func (tx *Tx) Repository(ctx context.Context, ref packhouse.RepoRef) (RepositoryRow, error) {
	const q = selectRepositories + ` WHERE d.account_id = $1 AND d.name = $2 AND r.name = $3 AND d.deleted_at IS NULL AND r.deleted_at IS NULL`
	const edges = selectUpstreams + ` WHERE e.repository_id = $1 ORDER BY e.position`
	const connections = selectConnections + ` WHERE c.repository_id = $1 ORDER BY c.position`
	rows, err := list(ctx, tx, q, []any{ref.Domain.Owner, ref.Domain.Name, ref.Name}, scanRepository)
	if err != nil {
		return RepositoryRow{}, err
	}
	if len(rows) == 0 {
		return RepositoryRow{}, ErrNotFound
	}
	err = tx.fillEdges(ctx, rows, edges, connections, rows[0].ID)
	return rows[0], err
}

// RepositoryLives reports whether a repository, and its domain, are there still.
func (tx *Tx) RepositoryLives(ctx context.Context, id int64) (bool, error) {
	const q = `SELECT r.id FROM repositories r JOIN domains d ON d.id = r.domain_id
		WHERE r.id = $1 AND r.deleted_at IS NULL AND d.deleted_at IS NULL`
	err := tx.one(ctx, q, []any{id}, &id)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Repositories returns one page; next is the cursor of the page after it, "" on the
// last. Edges are not filled in. Errors: Invalid "invalid_page_token".
func (tx *Tx) Repositories(ctx context.Context, f RepositoryFilter) (rows []RepositoryRow, next string, err error) {
	after, _, err := parseCursor(f.After, 3)
	if err != nil {
		return nil, "", err
	}
	args := []any{successor(f.Prefix), max(f.Prefix, after[2]), after[2]}
	number := func(arg any) string {
		args = append(args, arg)
		return placeholders(len(args), 1)
	}
	name, of := `r.name`, ``
	if f.Administrator != "" {
		name, of = `r.name || ''`, ` AND r.admin_account = `+number(f.Administrator) // see repositories_admin
	}
	list := `SELECT r.id, r.uuid, r.domain_id, d.account_id, d.name, ` + name + `, r.admin_account, r.description, r.created_at` + ofDomains + of + ` AND ` + name + ` < $1 AND ` + name + ` >= `
	var q string
	if f.DomainID != 0 {
		q = list + `$2 AND r.name <> $3 AND d.id = ` + number(f.DomainID) + ` ORDER BY 6 LIMIT ` + placeholders(len(args)+1, 1)
	} else {
		// The rest of the domain where the page before ended, and the domains behind it.
		owner, domain, prefix := number(after[0]), number(after[1]), number(f.Prefix)
		const order = `4, 5, 6`
		limit := placeholders(len(args)+1, 1)
		q = tx.db.dialect.branch(list+`$2 AND r.name <> $3 AND d.account_id = `+owner+` AND d.name = `+domain, order, limit) + ` UNION ALL ` +
			tx.db.dialect.branch(list+prefix+` AND (d.account_id, d.name) > (`+owner+`, `+domain+`)`, order, limit) + ` ORDER BY ` + order + ` LIMIT ` + limit
	}
	return sift(ctx, tx, q, args, f.Limit, scanRepository, nil, func(r *RepositoryRow) string {
		return cursor(string(r.Ref.Domain.Owner), r.Ref.Domain.Name, r.Ref.Name)
	})
}

// CountRepositories returns how many repositories a domain has.
func (tx *Tx) CountRepositories(ctx context.Context, domainID int64) (int, error) {
	const q = `SELECT count(*) FROM repositories WHERE domain_id = $1 AND deleted_at IS NULL`
	var n int
	err := tx.one(ctx, q, []any{domainID}, &n)
	return n, err
}

// RepositoryBytes returns how many bytes the versions of a repository have, each with all
// of its assets; Disposed ones have none. It reads every version.
func (tx *Tx) RepositoryBytes(ctx context.Context, id int64) (int64, error) {
	const q = `SELECT CAST(COALESCE(sum(n.size), 0) AS BIGINT) FROM packages p
		JOIN versions v ON v.package_id = p.id AND v.deleted_at IS NULL JOIN revisions n ON n.id = v.revision_id
		WHERE p.repository_id = $1 AND p.deleted_at IS NULL AND v.status <> 'Disposed'`
	var n int64
	err := tx.one(ctx, q, []any{id}, &n)
	return n, err
}

// SetDescription replaces a repository's description. Errors: ErrNotFound.
func (tx *Tx) SetDescription(ctx context.Context, repoID int64, text string) error {
	const q = `UPDATE repositories SET description = $2 WHERE id = $1 AND deleted_at IS NULL`
	return tx.execOne(ctx, q, repoID, text)
}

// DeleteRepository removes the repository with all that is in it and drops it from
// other repositories' upstream lists. Blobs that lose their last reference leave the
// domain's usage in the same transaction. Errors: ErrNotFound.
func (tx *Tx) DeleteRepository(ctx context.Context, id int64) error {
	if err := tx.serialize(); err != nil {
		return err
	}
	const bury = `UPDATE repositories SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL`
	if err := tx.execOne(ctx, bury, id, micros(tx.db.now())); err != nil {
		return err
	}
	for _, q := range []string{
		`DELETE FROM upstreams WHERE repository_id = $1`,
		`DELETE FROM upstreams WHERE upstream_id = $1`,
		`DELETE FROM repository_connections WHERE repository_id = $1`,
		`DELETE FROM group_repositories WHERE repository_id = $1`,
		`DELETE FROM owner_bindings WHERE repository_id = $1`,
		`DELETE FROM namespaces WHERE repository_id = $1`,
		`DELETE FROM resource_tags WHERE kind = 'repository' AND resource_id = $1`,
		`DELETE FROM resource_policies WHERE kind = 'repository' AND resource_id = $1`,
		`DELETE FROM search_terms WHERE repository_id = $1`,
		`DELETE FROM package_stars WHERE package_id IN (SELECT p.id FROM packages p WHERE p.repository_id = $1)`,
		`DELETE FROM documents WHERE repository_id = $1`,
		`DELETE FROM tags WHERE package_id IN (SELECT p.id FROM packages p WHERE p.repository_id = $1)`,
	} {
		if _, err := tx.exec(ctx, q, id); err != nil {
			return err
		}
	}
	grave := tx.grave()
	const versions = `UPDATE versions SET deleted_at = $2, purge_after = $2, delete_batch = $3
		WHERE deleted_at IS NULL AND package_id IN (SELECT p.id FROM packages p WHERE p.repository_id = $1 AND p.deleted_at IS NULL)`
	if _, err := tx.exec(ctx, versions, id, grave.at, grave.batch); err != nil {
		return err
	}
	const inRepository = `SELECT a.blob_id FROM packages p JOIN versions v ON v.package_id = p.id
		JOIN assets a ON a.revision_id = v.revision_id WHERE p.repository_id = $1 AND p.deleted_at IS NULL`
	if err := tx.dropReferences(ctx, inRepository, id); err != nil {
		return err
	}
	const packages = `UPDATE packages SET deleted_at = $2, purge_after = $2, delete_batch = $3 WHERE repository_id = $1 AND deleted_at IS NULL`
	_, err := tx.exec(ctx, packages, id, grave.at, grave.batch)
	return err
}
