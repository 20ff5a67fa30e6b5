package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/packhouse/packhouse"
)

// RemoteRow is a kept index of a connection, or the memory that there is none.
type RemoteRow struct {
	DomainID     int64
	Connection   string
	CredentialID string
	Name         packhouse.PackageName
	ETag         string
	LastModified string
	Fetched      time.Time
	FreshUntil   time.Time
	Absent       bool   // negative answer
	Body         []byte // sealed at rest; nil when Absent
	BodyName     string // changes exactly when Body does
}

// bodyRow is the row name that the body is bound to.
func (r *RemoteRow) bodyRow() string {
	return fmt.Sprintf("%q %q %q %q %q %q", r.Connection, r.CredentialID, r.Name.Format, r.Name.Namespace, r.Name.Name, r.BodyName)
}

const remoteBody = "remote_indexes.body"

// ofRemote picks one row by its key, $1 to $6.
const ofRemote = ` WHERE domain_id = $1 AND format = $2 AND namespace = $3 AND name = $4 AND connection = $5 AND credential_id = $6`

func remoteArgs(r *RemoteRow) []any {
	return []any{r.DomainID, r.Name.Format, r.Name.Namespace, r.Name.Name, r.Connection, r.CredentialID}
}

// RemoteIndex returns what is kept of a connection's index of a package for a domain,
// body opened. Errors: ErrNotFound.
func (tx *Tx) RemoteIndex(ctx context.Context, key packhouse.KeyRef, connection, credentialID string, n packhouse.PackageName) (RemoteRow, error) {
	const q = `SELECT etag, last_modified, fetched_at, fresh_until, absent, body_name, body FROM remote_indexes` + ofRemote
	r := RemoteRow{DomainID: key.DomainID, Connection: connection, CredentialID: credentialID, Name: n}
	var sealed []byte
	err := tx.one(ctx, q, remoteArgs(&r), &r.ETag, &r.LastModified, moment{&r.Fetched}, moment{&r.FreshUntil}, &r.Absent, &r.BodyName, &sealed)
	if err != nil {
		return r, err
	}
	r.Body, err = tx.unseal(ctx, key, remoteBody, r.bodyRow(), sealed)
	return r, err
}

// PutRemoteIndex keeps an index, replacing the one before.
func (tx *Tx) PutRemoteIndex(ctx context.Context, key packhouse.KeyRef, r RemoteRow) error {
	const q = `INSERT INTO remote_indexes (domain_id, format, namespace, name, connection, credential_id,
			etag, last_modified, fetched_at, fresh_until, absent, body_name, body)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (domain_id, format, namespace, name, connection, credential_id) DO UPDATE
		SET etag = excluded.etag, last_modified = excluded.last_modified, fetched_at = excluded.fetched_at, fresh_until = excluded.fresh_until,
			absent = excluded.absent, body_name = excluded.body_name, body = excluded.body`
	sealed, err := tx.seal(ctx, key, remoteBody, r.bodyRow(), r.Body)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, q, append(remoteArgs(&r), r.ETag, r.LastModified, micros(r.Fetched), micros(r.FreshUntil), flag(r.Absent), r.BodyName, sealed)...)
	return err
}

// TouchRemoteIndex renews freshness and validators without rewriting the body. Errors:
// ErrNotFound.
func (tx *Tx) TouchRemoteIndex(ctx context.Context, r RemoteRow) error {
	const q = `UPDATE remote_indexes SET etag = $7, last_modified = $8, fetched_at = $9, fresh_until = $10` + ofRemote
	return tx.execOne(ctx, q, append(remoteArgs(&r), r.ETag, r.LastModified, micros(r.Fetched), micros(r.FreshUntil))...)
}
