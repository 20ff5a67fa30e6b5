package catalog

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/packhouse/packhouse"
)

// NameOrigin is one kind of origin that versions of a package have in a repository.
type NameOrigin struct {
	RepoID   int64
	Name     packhouse.PackageName
	Upstream packhouse.Restriction
	// Origin of some versions; zero where the record has no version. Repository is not
	// filled in.
	Origin packhouse.Origin
}

// nameBatch is how many names one statement asks about.
const nameBatch = 100

// askedNames is the beginning of statements about many names, $1 and on. A short batch
// is filled up with its last name, so that there is one text to keep prepared.
func askedNames(names []packhouse.PackageName) (string, []any) {
	args := make([]any, 0, 2*nameBatch+8)
	for i := range nameBatch {
		n := names[min(i, len(names)-1)]
		args = append(args, n.Namespace, n.Name)
	}
	return `WITH asked (namespace, name) AS (VALUES ` + tuples(nameBatch, 2) + `) `, args
}

// Origins tells from where the repositories have what they hold of many packages, which
// are of one format: a row for each record and kind of origin, order unspecified. Names
// without a record have none.
func (tx *Tx) Origins(ctx context.Context, repoIDs []int64, names []packhouse.PackageName) ([]NameOrigin, error) {
	var out []NameOrigin
	for len(names) > 0 {
		batch := names[:min(len(names), nameBatch)]
		names = names[len(batch):]
		with, args := askedNames(batch)
		set, ids := in(len(args)+2, repoIDs)
		q := with + fmt.Sprintf(`SELECT DISTINCT p.repository_id, p.namespace, p.name, p.upstream, v.origin_type, v.origin_connection FROM asked a
			JOIN packages p ON p.format = $%d AND p.namespace = a.namespace AND p.name = a.name AND p.deleted_at IS NULL AND p.repository_id IN `, len(args)+1) + set + `
			LEFT JOIN versions v ON v.package_id = p.id AND v.deleted_at IS NULL`
		args = append(append(args, batch[0].Format), ids...)
		err := tx.each(ctx, q, args, func(rows *sql.Rows) (bool, error) {
			o := NameOrigin{Name: packhouse.PackageName{Format: batch[0].Format}}
			var kind, connection sql.NullString
			if err := rows.Scan(&o.RepoID, &o.Name.Namespace, &o.Name.Name, restriction{&o.Upstream}, &kind, &connection); err != nil {
				return false, err
			}
			o.Origin = packhouse.Origin{Type: packhouse.OriginType(kind.String), Connection: connection.String}
			out = append(out, o)
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// KnownRemotes returns those of many packages of one format of which an index of the
// connection is kept, order unspecified.
func (tx *Tx) KnownRemotes(ctx context.Context, domainID int64, connection, credentialID string, names []packhouse.PackageName) ([]packhouse.PackageName, error) {
	var out []packhouse.PackageName
	for len(names) > 0 {
		batch := names[:min(len(names), nameBatch)]
		names = names[len(batch):]
		with, args := askedNames(batch)
		n := len(args)
		q := with + fmt.Sprintf(`SELECT DISTINCT r.namespace, r.name FROM asked a
			JOIN remote_indexes r ON r.domain_id = $%d AND r.format = $%d AND r.namespace = a.namespace AND r.name = a.name
				AND r.connection = $%d AND r.credential_id = $%d AND r.absent = 0`, n+1, n+2, n+3, n+4)
		err := tx.each(ctx, q, append(args, domainID, batch[0].Format, connection, credentialID), func(rows *sql.Rows) (bool, error) {
			name := packhouse.PackageName{Format: batch[0].Format}
			err := rows.Scan(&name.Namespace, &name.Name)
			out = append(out, name)
			return true, err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
