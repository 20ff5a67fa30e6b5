package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Lease is the right to do one kind of work until it expires. Fencing grows with every
// holder, so that one who was late can be told from the present one.
type Lease struct {
	Name    string
	Holder  string
	Fencing int64
	Expires time.Time
}

// TakeLease gives a lease to a holder if nobody else has it. Errors: ErrExists while
// somebody has.
func (tx *Tx) TakeLease(ctx context.Context, name, holder string, expires time.Time) (Lease, error) {
	const q = `INSERT INTO leases (name, holder, fencing, expires_at) VALUES ($1, $2, 1, $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, fencing = leases.fencing + 1, expires_at = excluded.expires_at
		WHERE leases.expires_at <= $4 OR leases.holder = excluded.holder RETURNING fencing`
	l := Lease{Name: name, Holder: holder, Expires: expires}
	err := tx.one(ctx, q, []any{name, holder, micros(expires), micros(tx.db.now())}, &l.Fencing)
	if errors.Is(err, ErrNotFound) {
		err = ErrExists
	}
	return l, err
}

// KeepLease makes a lease expire later. Errors: ErrNotFound when somebody else has taken
// it meanwhile, or it was dropped.
func (tx *Tx) KeepLease(ctx context.Context, l Lease, expires time.Time) error {
	const q = `UPDATE leases SET expires_at = $3 WHERE name = $1 AND fencing = $2 AND expires_at > 0`
	return tx.execOne(ctx, q, l.Name, l.Fencing, micros(expires))
}

// HoldLease makes sure that nobody else takes a lease before the transaction ends. Errors:
// as of KeepLease.
func (tx *Tx) HoldLease(ctx context.Context, l Lease) error {
	const q = `SELECT l.fencing FROM leases l WHERE l.name = $1 AND l.fencing = $2 AND l.expires_at > 0`
	return tx.one(ctx, tx.db.dialect.lock(q, "l"), []any{l.Name, l.Fencing}, &l.Fencing)
}

// DropLease lets others take a lease at once. One that is gone already is not an error.
func (tx *Tx) DropLease(ctx context.Context, l Lease) error {
	_, err := tx.exec(ctx, `UPDATE leases SET expires_at = 0 WHERE name = $1 AND fencing = $2`, l.Name, l.Fencing)
	return err
}

// PassRow is where a pass over the store stands.
type PassRow struct {
	Name  string
	Place int64 // id of the last row that is done, 0 at the beginning
	Begun time.Time
	Ended time.Time // zero while it is under way
}

// Pass returns the last pass of a name. Errors: ErrNotFound before the first.
func (tx *Tx) Pass(ctx context.Context, name string) (PassRow, error) {
	const q = `SELECT name, place, begun_at, ended_at FROM passes WHERE name = $1`
	var p PassRow
	var ended sql.NullInt64
	err := tx.one(ctx, q, []any{name}, &p.Name, &p.Place, moment{&p.Begun}, &ended)
	if ended.Valid {
		p.Ended = fromMicros(ended.Int64)
	}
	return p, err
}

// PutPass replaces what is known of the last pass of a name.
func (tx *Tx) PutPass(ctx context.Context, p PassRow) error {
	const q = `INSERT INTO passes (name, place, begun_at, ended_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET place = excluded.place, begun_at = excluded.begun_at, ended_at = excluded.ended_at`
	ended := sql.NullInt64{Int64: micros(p.Ended), Valid: !p.Ended.IsZero()}
	_, err := tx.exec(ctx, q, p.Name, p.Place, micros(p.Begun), ended)
	return err
}
