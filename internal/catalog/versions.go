package catalog

import (
	"context"
	"database/sql"
	"strconv"

	"github.com/packhouse/packhouse"
)

// VersionRow is a version pointer as stored, without its facts. Of its Ref only the
// version's text is filled in, except by Resolve and ResolveAsset, which know the
// package too.
type VersionRow struct {
	packhouse.PackageVersion
	PackageID  int64
	VersionKey string
}

// VersionFilter selects versions of one package for a list.
type VersionFilter struct {
	PackageID   int64
	Status      packhouse.Status     // "" for any
	OriginType  packhouse.OriginType // "" for any
	NewestFirst bool                 // order by (published, id) descending instead of by version text
	After       string               // cursor of the last row of the page before; "" to begin
	Limit       int
}

const versionColumns = `v.id, v.package_id, v.version, v.version_key, v.revision_id, n.revision, v.status,
	v.origin_type, v.origin_repository, v.origin_connection, v.published_at, v.recorded_at, v.overlay`

const selectVersions = `SELECT ` + versionColumns + `, n.domain_id FROM versions v JOIN revisions n ON n.id = v.revision_id`

// dest returns the destinations of versionColumns; the overlay still sealed.
func (v *VersionRow) dest() []any {
	return []any{&v.ID, &v.PackageID, &v.Ref.Version, &v.VersionKey, &v.RevisionID, &v.Revision, &v.Status,
		&v.Origin.Type, &v.Origin.Repository, &v.Origin.Connection, moment{&v.Published}, moment{&v.Recorded}, &v.Overlay}
}

// openOverlay replaces the sealed overlay by the plain one.
func (tx *Tx) openOverlay(ctx context.Context, key packhouse.KeyRef, v *VersionRow) (err error) {
	if len(v.Overlay) == 0 {
		return nil
	}
	v.Overlay, err = tx.unseal(ctx, key, overlayColumn, overlayName(v.PackageID, v.VersionKey), v.Overlay)
	return err
}

const overlayColumn = "versions.overlay"

// overlayName is the row name that an overlay is bound to.
func overlayName(packageID int64, versionKey string) string {
	return strconv.FormatInt(packageID, 10) + "/" + versionKey
}

// versions collects what a selectVersions statement finds and opens the overlays.
func (tx *Tx) versions(ctx context.Context, q string, args ...any) ([]VersionRow, error) {
	var domainID int64
	rows, err := list(ctx, tx, q, args, func(rows *sql.Rows) (v VersionRow, err error) {
		return v, rows.Scan(append(v.dest(), &domainID)...)
	})
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if len(rows[i].Overlay) == 0 {
			continue
		}
		key, err := tx.domainKey(ctx, domainID) // all rows are of one package
		if err != nil {
			return nil, err
		}
		if err := tx.openOverlay(ctx, key, &rows[i]); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// Version returns a version by its identity key. Errors: ErrNotFound.
func (tx *Tx) Version(ctx context.Context, packageID int64, versionKey string) (VersionRow, error) {
	const q = selectVersions + ` WHERE v.package_id = $1 AND v.version_key = $2 AND v.deleted_at IS NULL`
	rows, err := tx.versions(ctx, q, packageID, versionKey)
	if err != nil {
		return VersionRow{}, err
	}
	if len(rows) == 0 {
		return VersionRow{}, ErrNotFound
	}
	return rows[0], nil
}

// VersionsByKey returns those of the versions that there are, by identity key, with
// one statement.
func (tx *Tx) VersionsByKey(ctx context.Context, packageID int64, keys []string) (map[string]VersionRow, error) {
	found := make(map[string]VersionRow, len(keys))
	if len(keys) == 0 {
		return found, nil
	}
	set, args := in(2, keys)
	rows, err := tx.versions(ctx, selectVersions+` WHERE v.package_id = $1 AND v.deleted_at IS NULL AND v.version_key IN `+set,
		append([]any{packageID}, args...)...)
	for _, v := range rows {
		found[v.VersionKey] = v
	}
	return found, err
}

// AllVersions returns every version of a package by text.
func (tx *Tx) AllVersions(ctx context.Context, packageID int64) ([]VersionRow, error) {
	return tx.versions(ctx, selectVersions+` WHERE v.package_id = $1 AND v.deleted_at IS NULL ORDER BY v.version`, packageID)
}

// Versions returns one page; next is the cursor of the page after it, "" on the last.
// Errors: Invalid "invalid_page_token", also for a cursor of the other order.
func (tx *Tx) Versions(ctx context.Context, f VersionFilter) (rows []VersionRow, next string, err error) {
	const where = ` WHERE v.package_id = $1 AND v.deleted_at IS NULL AND ($2 = '' OR v.status = $2) AND ($3 = '' OR v.origin_type = $3)`
	const byText = selectVersions + where + ` AND (v.version, v.id) > ($4, $5) ORDER BY v.version, v.id LIMIT $6`
	// Of a status that few have, the index of statuses finds them among many others.
	const ofStatus = selectVersions + ` WHERE v.package_id = $1 AND v.deleted_at IS NULL AND v.status = $2 AND ($3 = '' OR v.origin_type = $3)
		AND (v.version, v.id) > ($4, $5) ORDER BY v.version, v.id LIMIT $6`
	const newest = selectVersions + where + ` AND (v.published_at, v.id) < ($4, $5) ORDER BY v.published_at DESC, v.id DESC LIMIT $6`
	const newestFrom = selectVersions + where + ` ORDER BY v.published_at DESC, v.id DESC LIMIT $4`
	order := "t"
	if f.NewestFirst {
		order = "n"
	}
	after, begin, err := parseCursor(f.After, 3)
	if err == nil && !begin && after[0] != order {
		err = errCursor()
	}
	if err != nil {
		return nil, "", err
	}
	q, args := byText, []any{f.PackageID, f.Status, f.OriginType}
	if f.Status != "" {
		q = ofStatus
	}
	switch {
	case begin && f.NewestFirst:
		q = newestFrom
	case begin:
		args = append(args, "", 0)
	default:
		id, err := cursorInt(after[2])
		if err != nil {
			return nil, "", err
		}
		if !f.NewestFirst {
			args = append(args, after[1], id)
			break
		}
		published, err := cursorInt(after[1])
		if err != nil {
			return nil, "", err
		}
		q, args = newest, append(args, published, id)
	}
	if rows, err = tx.versions(ctx, q, append(args, f.Limit+1)...); err != nil {
		return nil, "", err
	}
	rows, next = page(rows, f.Limit, func(v VersionRow) string {
		place := v.Ref.Version
		if f.NewestFirst {
			place = strconv.FormatInt(micros(v.Published), 10)
		}
		return cursor(order, place, strconv.FormatInt(v.ID, 10))
	})
	return rows, next, nil
}

// pointer is what the reference accounting must know of a version row.
type pointer struct {
	packageID, revisionID int64
	versionKey            string
	status                packhouse.Status
}

// pointer returns a live version's pointer, its row locked. Errors: ErrNotFound.
func (tx *Tx) pointer(ctx context.Context, versionID int64) (pointer, error) {
	const q = `SELECT v.package_id, v.revision_id, v.version_key, v.status FROM versions v WHERE v.id = $1 AND v.deleted_at IS NULL`
	var p pointer
	err := tx.one(ctx, tx.db.dialect.lock(q, "v"), []any{versionID}, &p.packageID, &p.revisionID, &p.versionKey, &p.status)
	return p, err
}
