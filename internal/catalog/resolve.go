package catalog

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/packhouse/packhouse"
)

// Found is one repository's part of a resolution: the package record and its versions
// with what rendering needs.
type Found struct {
	RepoID   int64
	Package  packhouse.Package // Ref.Repo is not filled in
	Versions []FoundVersion
	Tags     map[string]string // tag to version text
}

// FoundVersion is a version row as rendering needs it.
type FoundVersion struct {
	VersionRow
	Fragment        []byte
	FragmentVersion int
}

// FoundAsset is a version row of one repository with the asked asset, if it has it.
type FoundAsset struct {
	RepoID  int64
	Version VersionRow
	Asset   *AssetRow // nil when the version exists without that asset (disposed, or another name)
}

// ofPackage is the package records of a name ($1 to $3) in the repositories that follow.
const ofPackage = ` WHERE p.deleted_at IS NULL AND p.format = $1 AND p.namespace = $2 AND p.name = $3 AND p.repository_id IN `

// scannedVersion is a version row that may be absent, for outer joins.
type scannedVersion struct {
	id, packageID, revisionID, published, recorded        sql.NullInt64
	version, key, revision, status, origin, from, through sql.NullString
	overlay                                               []byte
}

// dest returns the destinations of versionColumns.
func (s *scannedVersion) dest() []any {
	return []any{&s.id, &s.packageID, &s.version, &s.key, &s.revisionID, &s.revision, &s.status, &s.origin, &s.from, &s.through,
		&s.published, &s.recorded, &s.overlay}
}

func (s *scannedVersion) row(n packhouse.PackageName) VersionRow {
	v := VersionRow{PackageID: s.packageID.Int64, VersionKey: s.key.String}
	v.Ref.Package, v.Ref.Version = n, s.version.String
	v.ID, v.RevisionID, v.Revision = s.id.Int64, s.revisionID.Int64, s.revision.String
	v.Status = packhouse.Status(s.status.String)
	v.Origin = packhouse.Origin{Type: packhouse.OriginType(s.origin.String), Repository: s.from.String, Connection: s.through.String}
	v.Published, v.Recorded, v.Overlay = fromMicros(s.published.Int64), fromMicros(s.recorded.Int64), s.overlay
	return v
}

// Resolve returns what the named repositories hold of a package, for version lists:
// one element per repository that has the package record, order unspecified. One
// statement for records and tags, one for versions. The repositories are of one domain.
func (tx *Tx) Resolve(ctx context.Context, repoIDs []int64, n packhouse.PackageName) ([]Found, error) {
	const records = `SELECT ` + packageColumns + `, p.domain_id, t.name, v.version FROM packages p
		LEFT JOIN tags t ON t.package_id = p.id
		LEFT JOIN versions v ON v.id = t.version_id AND v.deleted_at IS NULL` + ofPackage
	const versions = `SELECT ` + versionColumns + `, n.fragment, n.fragment_version FROM packages p
		JOIN versions v ON v.package_id = p.id AND v.deleted_at IS NULL
		JOIN revisions n ON n.id = v.revision_id` + ofPackage
	if len(repoIDs) == 0 {
		return nil, nil
	}
	set, ids := in(4, repoIDs)
	args := append([]any{n.Format, n.Namespace, n.Name}, ids...)

	var found []Found
	place := make(map[int64]int, len(repoIDs)) // of a package record in found
	var domainID int64
	err := tx.each(ctx, records+set, args, func(rows *sql.Rows) (bool, error) {
		var p packhouse.Package
		var tag, version sql.NullString
		if err := rows.Scan(append(packageDest(&p), &domainID, &tag, &version)...); err != nil {
			return false, err
		}
		i, ok := place[p.ID]
		if !ok {
			i = len(found)
			place[p.ID] = i
			found = append(found, Found{RepoID: p.RepoID, Package: p, Tags: make(map[string]string)})
		}
		if version.Valid {
			found[i].Tags[tag.String] = version.String
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("resolve records of %s: %w", n, err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	var v FoundVersion
	dest := append(v.dest(), &v.Fragment, &v.FragmentVersion)
	err = tx.each(ctx, versions+set, args, func(rows *sql.Rows) (bool, error) {
		if err := rows.Scan(dest...); err != nil {
			return false, err
		}
		v.Ref.Package = n
		f := &found[place[v.PackageID]]
		f.Versions = append(f.Versions, v)
		return true, nil
	})
	if err == nil {
		err = tx.openFound(ctx, domainID, found)
	}
	if err != nil {
		return nil, fmt.Errorf("resolve versions of %s: %w", n, err)
	}
	return found, nil
}

// openFound replaces sealed fragments and overlays by plain ones.
func (tx *Tx) openFound(ctx context.Context, domainID int64, found []Found) error {
	key, err := tx.domainKey(ctx, domainID)
	if err != nil {
		return err
	}
	for i := range found {
		for j := range found[i].Versions {
			v := &found[i].Versions[j]
			if v.Fragment, err = tx.unseal(ctx, key, "revisions.fragment", v.Revision, v.Fragment); err != nil {
				return err
			}
			if err := tx.openOverlay(ctx, key, &v.VersionRow); err != nil {
				return err
			}
		}
	}
	return nil
}

// ResolveAsset returns, for each of the repositories that has the version record, the
// record and the asked asset, order unspecified. packages tells the origin controls of
// each repository that has a package record; their Ref.Repo is not filled in. One
// statement.
func (tx *Tx) ResolveAsset(ctx context.Context, repoIDs []int64, n packhouse.PackageName, versionKey, asset string) (found []FoundAsset, packages map[int64]packhouse.Package, err error) {
	const q = `SELECT ` + packageColumns + `, p.domain_id, ` + versionColumns + `, a.name, a.media_type, a.kind, ` + blobColumns + ` FROM packages p
		LEFT JOIN versions v ON v.package_id = p.id AND v.version_key = $4 AND v.deleted_at IS NULL
		LEFT JOIN revisions n ON n.id = v.revision_id
		LEFT JOIN assets a ON a.revision_id = v.revision_id AND a.name = $5 AND v.status <> 'Disposed'
		LEFT JOIN blobs b ON b.id = a.blob_id` + ofPackage
	packages = make(map[int64]packhouse.Package)
	if len(repoIDs) == 0 {
		return nil, packages, nil
	}
	set, ids := in(6, repoIDs)
	args := append([]any{n.Format, n.Namespace, n.Name, versionKey, asset}, ids...)
	var domainID int64
	err = tx.each(ctx, q+set, args, func(rows *sql.Rows) (bool, error) {
		var p packhouse.Package
		var v scannedVersion
		var name, mediaType, kind sql.NullString
		var b scannedBlob
		dest := append(packageDest(&p), &domainID)
		dest = append(append(dest, v.dest()...), &name, &mediaType, &kind)
		if err := rows.Scan(append(dest, b.dest()...)...); err != nil {
			return false, err
		}
		packages[p.RepoID] = p
		if !v.id.Valid {
			return true, nil
		}
		f := FoundAsset{RepoID: p.RepoID, Version: v.row(n)}
		if name.Valid {
			f.Asset = &AssetRow{MediaType: mediaType.String, Side: kind.String == kindSide}
			f.Asset.Name = name.String
			f.Asset.fill(b.row())
		}
		found = append(found, f)
		return true, nil
	})
	for i := range found {
		if err != nil || len(found[i].Version.Overlay) == 0 {
			continue
		}
		var key packhouse.KeyRef
		if key, err = tx.domainKey(ctx, domainID); err == nil {
			err = tx.openOverlay(ctx, key, &found[i].Version)
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("resolve %s of %s@%s: %w", asset, n, versionKey, err)
	}
	return found, packages, nil
}
