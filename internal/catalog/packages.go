package catalog

import (
	"context"
	"database/sql"
	"errors"
	"hash/fnv"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/packhouse/packhouse"
)

// PackageFilter selects packages of one repository, ordered by (format, namespace, name).
type PackageFilter struct {
	RepoID          int64
	Format          packhouse.FormatID // "" for any
	NamespacePrefix string             // needs Format
	NamePrefix      string
	Publish         packhouse.Restriction // "" for any
	Upstream        packhouse.Restriction // "" for any
	After           string                // cursor of the last row of the page before; "" to begin
	Limit           int
}

// NewPackage is a package record to insert.
type NewPackage struct {
	RepoID, DomainID int64
	Name             packhouse.PackageName
	DisplayName      string
	CollisionKey     string // unique per live (repository, format); the canonical "namespace/name" where a format has no further rule
	Controls         packhouse.OriginControls
	At               time.Time
}

const packageColumns = `p.id, p.repository_id, p.format, p.namespace, p.name, p.display_name, p.publish, p.upstream, p.seq, p.created_at, p.updated_at`

const selectPackages = `SELECT ` + packageColumns + `, d.account_id, d.name, r.name
	FROM packages p JOIN repositories r ON r.id = p.repository_id JOIN domains d ON d.id = p.domain_id`

// packageDest returns the destinations of packageColumns.
func packageDest(p *packhouse.Package) []any {
	n := &p.Ref.Package
	return []any{&p.ID, &p.RepoID, &n.Format, &n.Namespace, &n.Name, &p.DisplayName, restriction{&p.Controls.Publish}, restriction{&p.Controls.Upstream},
		&p.Seq, moment{&p.Created}, moment{&p.Updated}}
}

// selectedPackage returns the destinations of selectPackages.
func selectedPackage(p *packhouse.Package) []any {
	r := &p.Ref.Repo
	return append(packageDest(p), &r.Domain.Owner, &r.Domain.Name, &r.Name)
}

const onePackage = selectPackages + ` WHERE p.repository_id = $1 AND p.format = $2 AND p.namespace = $3 AND p.name = $4 AND p.deleted_at IS NULL`

// Package returns a repository's record of a package. Errors: ErrNotFound.
func (tx *Tx) Package(ctx context.Context, repoID int64, n packhouse.PackageName) (packhouse.Package, error) {
	return tx.onePackage(ctx, onePackage, repoID, n)
}

// LockPackage is Package with the row locked until the transaction ends.
func (tx *Tx) LockPackage(ctx context.Context, repoID int64, n packhouse.PackageName) (packhouse.Package, error) {
	if tx.db.dialect.concurrent() {
		tx.contended = contention(repoID, n)
	}
	return tx.onePackage(ctx, tx.db.dialect.lock(onePackage, "p"), repoID, n)
}

// contention is the number by which transactions about one package wait for each other.
// Two packages that share one only wait longer.
func contention(repoID int64, n packhouse.PackageName) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, cursor(strconv.FormatInt(repoID, 10), string(n.Format), n.Namespace, n.Name)) // never fails
	return h.Sum64()
}

func (tx *Tx) onePackage(ctx context.Context, q string, repoID int64, n packhouse.PackageName) (packhouse.Package, error) {
	var p packhouse.Package
	err := tx.one(ctx, q, []any{repoID, n.Format, n.Namespace, n.Name}, selectedPackage(&p)...)
	return p, err
}

// InsertPackage adds a package record. Errors: ErrNotFound when the repository or its
// domain is gone; ErrExists, also when another name of the format has the same collision
// key; ErrExhausted.
func (tx *Tx) InsertPackage(ctx context.Context, p NewPackage) (packhouse.Package, error) {
	if err := tx.serialize(); err != nil {
		return packhouse.Package{}, err
	}
	const q = `INSERT INTO packages (repository_id, domain_id, format, namespace, name, collision_key, display_name, weak_path,
			publish, upstream, seq, created_at, updated_at, shown_version, shown_before, terms_sum)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $11, 0, 0, 0
		WHERE EXISTS (SELECT 1 FROM repositories r JOIN domains d ON d.id = r.domain_id
			WHERE r.id = $1 AND r.deleted_at IS NULL AND d.deleted_at IS NULL)
		ON CONFLICT DO NOTHING RETURNING id, publish, upstream, (SELECT r.name FROM repositories r WHERE r.id = packages.repository_id),
			(SELECT d.name FROM domains d WHERE d.id = packages.domain_id), (SELECT d.account_id FROM domains d WHERE d.id = packages.domain_id)`
	at := stored(p.At)
	row := packhouse.Package{RepoID: p.RepoID, DisplayName: p.DisplayName, Created: at, Updated: at}
	row.Ref.Package = p.Name
	repo := &row.Ref.Repo
	err := tx.one(ctx, q, []any{p.RepoID, p.DomainID, p.Name.Format, p.Name.Namespace, p.Name.Name, p.CollisionKey, p.DisplayName,
		weakPath(p.Name), allowed(p.Controls.Publish), allowed(p.Controls.Upstream), micros(p.At)},
		&row.ID, restriction{&row.Controls.Publish}, restriction{&row.Controls.Upstream}, &repo.Name, &repo.Domain.Name, &repo.Domain.Owner)
	switch {
	case err == nil:
		put(&tx.wrote.packages, row.ID, true)
		return row, nil
	case !errors.Is(err, ErrNotFound):
		return packhouse.Package{}, err
	}
	live, err := tx.RepositoryLives(ctx, p.RepoID)
	if err == nil {
		err = ErrNotFound
		if live {
			err = ErrExists
		}
	}
	return packhouse.Package{}, err
}

// SetControls replaces a package's origin controls. Errors: ErrNotFound.
func (tx *Tx) SetControls(ctx context.Context, packageID int64, c packhouse.OriginControls) error {
	const q = `UPDATE packages SET publish = $2, upstream = $3 WHERE id = $1 AND deleted_at IS NULL`
	return tx.execOne(ctx, q, packageID, allowed(c.Publish), allowed(c.Upstream))
}

// DeletePackage buries a package with its versions; its tags go. Errors: ErrNotFound.
func (tx *Tx) DeletePackage(ctx context.Context, packageID int64) error {
	const bury = `UPDATE packages SET deleted_at = $2, purge_after = $2, delete_batch = $3 WHERE id = $1 AND deleted_at IS NULL`
	const versions = `UPDATE versions SET deleted_at = $2, purge_after = $2, delete_batch = $3 WHERE package_id = $1 AND deleted_at IS NULL`
	grave := tx.grave()
	if err := tx.execOne(ctx, bury, packageID, grave.at, grave.batch); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, versions, packageID, grave.at, grave.batch); err != nil {
		return err
	}
	for _, q := range []string{
		`DELETE FROM tags WHERE package_id = $1`,
		`DELETE FROM search_terms WHERE package_id = $1`,
		`DELETE FROM package_stars WHERE package_id = $1`,
		`DELETE FROM documents WHERE package_id = $1`,
	} {
		if _, err := tx.exec(ctx, q, packageID); err != nil {
			return err
		}
	}
	const inPackage = `SELECT a.blob_id FROM versions v JOIN assets a ON a.revision_id = v.revision_id WHERE v.package_id = $1`
	return tx.dropReferences(ctx, inPackage, packageID)
}

// grave is what the tombstones of one deletion have in common. Nothing is kept for an
// undo yet, so they may be purged at once.
type grave struct {
	at    int64
	batch string
}

func (tx *Tx) grave() grave { return grave{micros(tx.db.now()), uuid.NewString()} }

// Packages returns one page; next is the cursor of the page after it, "" on the last. A
// page of a restriction, or of a name prefix that many packages have, may be short, see
// maxExamined. Errors: Invalid "invalid_page_token".
func (tx *Tx) Packages(ctx context.Context, f PackageFilter) (rows []packhouse.Package, next string, err error) {
	const ofAny = selectPackages + ` WHERE p.repository_id = $1 AND p.deleted_at IS NULL
		AND (p.format, p.namespace, p.name) > ($2, $3, $4) ORDER BY p.format, p.namespace, p.name LIMIT $5`
	// Both bounds are pairs: beside a bound of the namespace alone SQLite would use one of
	// them only, and walk from the prefix's beginning or past its end.
	const ofFormat = selectPackages + ` WHERE p.repository_id = $1 AND p.deleted_at IS NULL AND p.format = $2
		AND (p.namespace, p.name) > ($3, $4) AND (p.namespace, p.name) < ($5, '') ORDER BY p.format, p.namespace, p.name LIMIT $6`
	// An expression stands where a planner must not take the column for an index to walk
	// along.
	const named = selectPackages + ` WHERE p.repository_id = $1 AND p.deleted_at IS NULL AND p.name >= $2 AND p.name < $3
		AND ($4 = '' OR p.format = $4) AND (p.format || '', p.namespace, p.name) > ($5, $6, $7)
		ORDER BY p.format || '', p.namespace, p.name LIMIT $8`
	after, err := tx.packageCursor(ctx, f)
	if err != nil {
		return nil, "", err
	}
	few, err := tx.fewNamed(ctx, f)
	if err != nil {
		return nil, "", err
	}
	q, args := ofAny, []any{f.RepoID, after[0], after[1], after[2]}
	switch {
	case few:
		q, args = named, []any{f.RepoID, f.NamePrefix, successor(f.NamePrefix), f.Format, after[0], after[1], after[2]}
	case f.Format != "":
		q = ofFormat
		args = []any{f.RepoID, f.Format, max(after[1], f.NamespacePrefix), after[2], successor(f.NamespacePrefix)} // nothing is before the prefix
	}
	return sift(ctx, tx, q, args, f.Limit, func(rows *sql.Rows) (p packhouse.Package, err error) {
		return p, rows.Scan(selectedPackage(&p)...)
	}, f.keep(), func(p *packhouse.Package) string {
		n := p.Ref.Package
		if c := cursor(string(n.Format), n.Namespace, n.Name); len(c) <= maxPackageCursor {
			return c
		}
		return cursor("", "", strconv.FormatInt(p.ID, 10)) // no format has an empty name
	})
}

// keep returns what chooses the packages of a filter; nil for all of a format and
// namespace.
func (f *PackageFilter) keep() func(*packhouse.Package) bool {
	if f.Publish == "" && f.Upstream == "" && f.NamePrefix == "" {
		return nil
	}
	return func(p *packhouse.Package) bool {
		return (f.Publish == "" || p.Controls.Publish == f.Publish) && (f.Upstream == "" || p.Controls.Upstream == f.Upstream) &&
			strings.HasPrefix(p.Ref.Package.Name, f.NamePrefix) && strings.HasPrefix(p.Ref.Package.Namespace, f.NamespacePrefix)
	}
}

// maxPackageCursor is the length, in bytes, from which on a cursor names the package's row:
// two names of 255 characters can have 2,040 bytes, and a page token has 2,000 characters
// (codeartifact.md 1.2).
const maxPackageCursor = 1200

// packageCursor reads the place after which a page of packages begins: format, namespace
// and name. A row that it names may have been buried since.
func (tx *Tx) packageCursor(ctx context.Context, f PackageFilter) ([]string, error) {
	const q = `SELECT p.format, p.namespace, p.name FROM packages p WHERE p.id = $1 AND p.repository_id = $2`
	after, begin, err := parseCursor(f.After, 3)
	if err != nil || begin || after[0] != "" {
		return after, err
	}
	id, err := cursorInt(after[2])
	if err != nil {
		return nil, err
	}
	err = tx.one(ctx, q, []any{id, f.RepoID}, &after[0], &after[1], &after[2])
	if errors.Is(err, ErrNotFound) {
		err = errCursor()
	}
	return after, err
}

// fewNamed reports whether so few packages have the name prefix that to sort them all
// is cheaper than to look for them along the order of the list.
func (tx *Tx) fewNamed(ctx context.Context, f PackageFilter) (bool, error) {
	const q = `SELECT p.name FROM packages p WHERE p.repository_id = $1 AND p.deleted_at IS NULL AND p.name >= $2 AND p.name < $3
		ORDER BY p.name LIMIT 1 OFFSET 1000`
	if f.NamePrefix == "" {
		return false, nil
	}
	err := tx.one(ctx, q, []any{f.RepoID, f.NamePrefix, successor(f.NamePrefix)}, new(string))
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return false, err
}
