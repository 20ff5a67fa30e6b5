package catalog

import (
	"context"
	"database/sql"
	"math"
	"strconv"
	"strings"

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

// versions collects what a selectVersions statement finds, all of one package, and opens
// the overlays.
func (tx *Tx) versions(ctx context.Context, q string, args ...any) ([]VersionRow, error) {
	var domainID int64
	rows, err := list(ctx, tx, q, args, func(rows *sql.Rows) (v VersionRow, err error) {
		return v, rows.Scan(append(v.dest(), &domainID)...)
	})
	if err != nil {
		return nil, err
	}
	return rows, tx.openOverlays(ctx, domainID, rows)
}

// openOverlays opens the overlays of versions of one package.
func (tx *Tx) openOverlays(ctx context.Context, domainID int64, rows []VersionRow) error {
	for i := range rows {
		if len(rows[i].Overlay) == 0 {
			continue
		}
		key, err := tx.domainKey(ctx, domainID)
		if err != nil {
			return err
		}
		if err := tx.openOverlay(ctx, key, &rows[i]); err != nil {
			return err
		}
	}
	return nil
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

// versionList is an order of a list of versions.
type versionList struct {
	name   string // in cursors
	behind string // selects what comes behind the row ($2, $3)
	order  string
	place  func(*VersionRow) string
}

// Within a status both orders are an index's own, so that a page costs the same at any
// depth and however rare the status is. Lists of all statuses merge those of each: a
// status that is not among these here would be missing from them.
var (
	statuses = []packhouse.Status{packhouse.Published, packhouse.Unfinished, packhouse.Unlisted, packhouse.Archived, packhouse.Disposed}

	versionsByText = versionList{"t", `(v.version, v.id) > ($2, $3)`, `v.version, v.id`, func(v *VersionRow) string { return v.Ref.Version }}
	versionsByTime = versionList{"n", `(v.published_at, v.id) < ($2, $3)`, `v.published_at DESC, v.id DESC`, func(v *VersionRow) string {
		return strconv.FormatInt(micros(v.Published), 10)
	}}
)

// query returns the statement of a page: $1 is the package, limit the number of the
// argument that is its LIMIT; with of the status that is argument $4, else of all.
func (l *versionList) query(d *dialect, ofOne bool, limit string) string {
	const list = `SELECT ` + versionColumns + `, n.domain_id FROM (`
	ordered := `) v JOIN revisions n ON n.id = v.revision_id ORDER BY ` + l.order + ` LIMIT ` + limit
	of := func(status string) string {
		return `SELECT v.* FROM versions v WHERE v.package_id = $1 AND v.deleted_at IS NULL AND v.status = ` + status + ` AND ` + l.behind
	}
	if ofOne {
		return list + of(`$4`) + ordered
	}
	var each []string
	for _, s := range statuses {
		each = append(each, d.branch(of(`'`+string(s)+`'`), l.order, limit))
	}
	return list + strings.Join(each, ` UNION ALL `) + ordered
}

// start reads a cursor: the row behind which a page begins. Errors: Invalid
// "invalid_page_token", also for a cursor of the other order.
func (l *versionList) start(cursor string) (place any, id int64, err error) {
	after, begin, err := parseCursor(cursor, 3)
	newest := l.name == versionsByTime.name
	switch {
	case err != nil:
		return nil, 0, err
	case begin && newest:
		return int64(math.MaxInt64), math.MaxInt64, nil
	case begin:
		return "", 0, nil
	case after[0] != l.name:
		return nil, 0, errCursor()
	}
	place = after[1]
	if newest {
		place, err = cursorInt(after[1])
	}
	if err == nil {
		id, err = cursorInt(after[2])
	}
	return place, id, err
}

// Versions returns one page; next is the cursor of the page after it, "" on the last. A
// page of an origin type may be short, see maxExamined. Errors: Invalid
// "invalid_page_token", also for a cursor of the other order.
func (tx *Tx) Versions(ctx context.Context, f VersionFilter) (rows []VersionRow, next string, err error) {
	l := &versionsByText
	if f.NewestFirst {
		l = &versionsByTime
	}
	place, id, err := l.start(f.After)
	if err != nil {
		return nil, "", err
	}
	args := []any{f.PackageID, place, id}
	if f.Status != "" {
		args = append(args, f.Status)
	}
	q := l.query(&tx.db.dialect, f.Status != "", placeholders(len(args)+1, 1))
	var keep func(*VersionRow) bool
	if f.OriginType != "" {
		keep = func(v *VersionRow) bool { return v.Origin.Type == f.OriginType }
	}
	var domainID int64
	rows, next, err = sift(ctx, tx, q, args, f.Limit, func(rows *sql.Rows) (v VersionRow, err error) {
		return v, rows.Scan(append(v.dest(), &domainID)...)
	}, keep, func(v *VersionRow) string { return cursor(l.name, l.place(v), strconv.FormatInt(v.ID, 10)) })
	if err != nil {
		return nil, "", err
	}
	return rows, next, tx.openOverlays(ctx, domainID, rows)
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
