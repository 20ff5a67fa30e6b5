package catalog

import (
	"context"
	"time"

	"github.com/packhouse/packhouse"
)

// LoginState is how far a login is that somebody finishes in a browser.
type LoginState string

// The states of a login. Only pending ones can be decided, only approved ones taken.
const (
	LoginPending  LoginState = "pending"
	LoginApproved LoginState = "approved"
	LoginDenied   LoginState = "denied"
	LoginTaken    LoginState = "taken"
)

// LoginRow is a login that somebody finishes in a browser.
type LoginRow struct {
	ID         int64
	Page, Poll []byte // SHA-256 of the page's id and of the secret that polls
	State      LoginState
	Origin     string // what the number of logins is limited by: an address or a network
	Address    string // of the client, for people
	Agent      string // what the client calls itself
	Repo       packhouse.RepoRef
	Principal  int64 // who approved; 0 while nobody has
	Created    time.Time
	Expires    time.Time
}

// LoginLimits bound how many logins wait at the same time.
type LoginLimits struct{ PerOrigin, Total int }

const (
	// keepLogins is how long an expired login is still told from an unknown one.
	keepLogins = 10 * time.Minute
	// sweepLogins bounds the work of forgetting.
	sweepLogins = 1000
)

// InsertLogin adds a pending login and forgets old ones. Errors: ErrFull when too many
// are there already.
func (tx *Tx) InsertLogin(ctx context.Context, l LoginRow, limits LoginLimits) error {
	const sweep = `DELETE FROM logins WHERE id IN (SELECT id FROM logins WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`
	const count = `SELECT (SELECT count(*) FROM (SELECT 1 FROM logins WHERE origin = $1 AND expires_at > $2 LIMIT $3) AS o),
		(SELECT count(*) FROM (SELECT 1 FROM logins WHERE expires_at > $2 LIMIT $4) AS t)`
	const q = `INSERT INTO logins (page, poll, state, origin, address, agent, domain_owner, domain, repository, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING RETURNING id`
	now := tx.db.now()
	if _, err := tx.exec(ctx, sweep, micros(now.Add(-keepLogins)), sweepLogins); err != nil {
		return err
	}
	var ofOrigin, all int
	if err := tx.one(ctx, count, []any{l.Origin, micros(now), limits.PerOrigin, limits.Total}, &ofOrigin, &all); err != nil {
		return err
	}
	if ofOrigin >= limits.PerOrigin || all >= limits.Total {
		return ErrFull
	}
	_, err := tx.insert(ctx, q, l.Page, l.Poll, LoginPending, l.Origin, l.Address, l.Agent,
		l.Repo.Domain.Owner, l.Repo.Domain.Name, l.Repo.Name, micros(l.Created), micros(l.Expires))
	return err
}

const selectLogin = `SELECT id, page, poll, state, origin, address, agent, domain_owner, domain, repository,
	COALESCE(principal_id, 0), created_at, expires_at FROM logins`

func (l *LoginRow) scan() []any {
	return []any{&l.ID, &l.Page, &l.Poll, &l.State, &l.Origin, &l.Address, &l.Agent, &l.Repo.Domain.Owner, &l.Repo.Domain.Name,
		&l.Repo.Name, &l.Principal, moment{&l.Created}, moment{&l.Expires}}
}

// LoginByPage returns a login by the hash of its page's id, expired or not. Errors:
// ErrNotFound.
func (tx *Tx) LoginByPage(ctx context.Context, page []byte) (LoginRow, error) {
	const q = selectLogin + ` WHERE page = $1`
	var l LoginRow
	err := tx.one(ctx, q, []any{page}, l.scan()...)
	return l, err
}

// LoginByPoll returns a login by the hash of the secret that polls, expired or not.
// Errors: ErrNotFound.
func (tx *Tx) LoginByPoll(ctx context.Context, poll []byte) (LoginRow, error) {
	const q = selectLogin + ` WHERE poll = $1`
	var l LoginRow
	err := tx.one(ctx, q, []any{poll}, l.scan()...)
	return l, err
}

// ApproveLogin lets a pending login that has not expired become a principal's. Errors:
// ErrNotFound when there is none, or no longer.
func (tx *Tx) ApproveLogin(ctx context.Context, page []byte, principalID int64) error {
	const q = `UPDATE logins SET state = $2, principal_id = $3 WHERE page = $1 AND state = $4 AND expires_at > $5`
	return tx.execOne(ctx, q, page, LoginApproved, principalID, LoginPending, micros(tx.db.now()))
}

// DenyLogin ends a pending login. Errors: ErrNotFound when there is none, or no longer.
func (tx *Tx) DenyLogin(ctx context.Context, page []byte) error {
	const q = `UPDATE logins SET state = $2 WHERE page = $1 AND state = $3 AND expires_at > $4`
	return tx.execOne(ctx, q, page, LoginDenied, LoginPending, micros(tx.db.now()))
}

// TakeLogin takes an approved login that has not expired, which one caller at most can
// do. Errors: ErrNotFound for all others.
func (tx *Tx) TakeLogin(ctx context.Context, poll []byte) error {
	const q = `UPDATE logins SET state = $2 WHERE poll = $1 AND state = $3 AND expires_at > $4`
	return tx.execOne(ctx, q, poll, LoginTaken, LoginApproved, micros(tx.db.now()))
}
