package catalog

import (
	"context"
	"database/sql"

	"github.com/packhouse/packhouse"
)

// ResourcePolicyRow is the policy of a domain or a repository.
type ResourcePolicyRow struct {
	Revision string
	Document string // as it was put
}

// AccessRow is what a decision about a repository, or about a domain alone, reads.
type AccessRow struct {
	DomainID         int64
	RepoID           int64               // 0 where no repository was asked for, or there is none
	Administrator    packhouse.AccountID // of the repository
	DomainPolicy     string              // document; "" for none
	RepositoryPolicy string              // document; "" for none
	Tagged           bool                // the repository has tags
}

// Access returns what is known for decisions about a repository; one without a name asks
// for its domain alone. Errors: ErrNotFound where there is no such domain.
func (tx *Tx) Access(ctx context.Context, ref packhouse.RepoRef) (a AccessRow, err error) {
	const q = `SELECT d.id, COALESCE(r.id, 0), COALESCE(r.admin_account, ''), COALESCE(dp.document, ''), COALESCE(rp.document, ''),
		EXISTS (SELECT 1 FROM resource_tags t WHERE t.kind = 'repository' AND t.resource_id = r.id)
		FROM domains d
		LEFT JOIN repositories r ON r.domain_id = d.id AND r.name = $3 AND r.deleted_at IS NULL
		LEFT JOIN resource_policies dp ON dp.kind = 'domain' AND dp.resource_id = d.id
		LEFT JOIN resource_policies rp ON rp.kind = 'repository' AND rp.resource_id = r.id
		WHERE d.account_id = $1 AND d.name = $2 AND d.deleted_at IS NULL`
	err = tx.one(ctx, q, []any{ref.Domain.Owner, ref.Domain.Name, ref.Name},
		&a.DomainID, &a.RepoID, &a.Administrator, &a.DomainPolicy, &a.RepositoryPolicy, &a.Tagged)
	return a, err
}

// ResourcePolicy returns the policy of a resource; kind is "domain" or "repository".
// Errors: ErrNotFound.
func (tx *Tx) ResourcePolicy(ctx context.Context, kind string, id int64) (p ResourcePolicyRow, err error) {
	const q = `SELECT revision, document FROM resource_policies WHERE kind = $1 AND resource_id = $2`
	err = tx.one(ctx, q, []any{kind, id}, &p.Revision, &p.Document)
	return p, err
}

// PutResourcePolicy gives a resource a policy in place of the one that it may have.
func (tx *Tx) PutResourcePolicy(ctx context.Context, kind string, id int64, p ResourcePolicyRow) error {
	const q = `INSERT INTO resource_policies (kind, resource_id, revision, document, updated_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (kind, resource_id) DO UPDATE SET revision = excluded.revision, document = excluded.document, updated_at = excluded.updated_at`
	_, err := tx.exec(ctx, q, kind, id, p.Revision, p.Document, micros(tx.db.now()))
	return err
}

// DeleteResourcePolicy takes a resource's policy away. Errors: ErrNotFound.
func (tx *Tx) DeleteResourcePolicy(ctx context.Context, kind string, id int64) error {
	return tx.execOne(ctx, `DELETE FROM resource_policies WHERE kind = $1 AND resource_id = $2`, kind, id)
}

// PolicyHolder is a domain or a repository that has a policy.
type PolicyHolder struct {
	Domain   packhouse.DomainRef
	Repo     string // "" for the domain's own policy
	Revision string
}

// PolicyHolders returns who has a policy in an account's domains, by domain and name.
func (tx *Tx) PolicyHolders(ctx context.Context, owner packhouse.AccountID) ([]PolicyHolder, error) {
	const q = `SELECT d.account_id, d.name, COALESCE(r.name, ''), p.revision FROM resource_policies p
		LEFT JOIN repositories r ON p.kind = 'repository' AND r.id = p.resource_id
		JOIN domains d ON d.id = CASE WHEN p.kind = 'domain' THEN p.resource_id ELSE r.domain_id END
		WHERE d.account_id = $1 ORDER BY 2, 3`
	return list(ctx, tx, q, []any{owner}, func(rows *sql.Rows) (h PolicyHolder, err error) {
		return h, rows.Scan(&h.Domain.Owner, &h.Domain.Name, &h.Repo, &h.Revision)
	})
}
