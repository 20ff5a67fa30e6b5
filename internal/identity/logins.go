package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

const (
	// loginLife is how long a login waits for somebody to approve it.
	loginLife = 5 * time.Minute
	// pollPrefix makes the secret recognisable, for the log and for scanners.
	pollPrefix = "phs_"
	// loginIDLength is that of a page's id and of a secret without its prefix: 256 random
	// bits each.
	loginIDLength = 52
	// maxAgent bounds what is kept of a client's own name, in bytes.
	maxAgent = 120
)

// loginLimits keep strangers from filling the table.
var loginLimits = catalog.LoginLimits{PerOrigin: 20, Total: 5000}

// BeginLogin starts a login that is finished on a page: page is the id of the page,
// secret what EndLogin takes. Only hashes of both are stored. Errors: Throttled.
func (s *Service) BeginLogin(ctx context.Context, repo packhouse.RepoRef, client, agent string) (page, secret string, err error) {
	page = tokenAlphabet.EncodeToString(randomBytes(tokenSecret))
	secret = pollPrefix + tokenAlphabet.EncodeToString(randomBytes(tokenSecret))
	now := s.now().UTC()
	row := catalog.LoginRow{Page: sumOf(page), Poll: sumOf(secret), Origin: Origin(client), Address: client, Agent: plainText(agent, maxAgent),
		Repo: repo, Created: now, Expires: now.Add(loginLife)}
	err = s.db.Update(ctx, func(tx *catalog.Tx) error { return tx.InsertLogin(ctx, row, loginLimits) })
	switch {
	case errors.Is(err, catalog.ErrFull):
		return "", "", &packhouse.Error{Kind: packhouse.KindThrottled, Reason: "too_many_logins", RetryAfter: time.Minute,
			Message: "Too many logins wait to be approved; finish those, or wait five minutes."}
	case err != nil:
		return "", "", unavailable(err)
	}
	return page, secret, nil
}

func sumOf(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// plainText cuts a text of a client's own making to what can be shown.
func plainText(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// LoginState is how far a login is.
type LoginState string

// The states of a login. A pending one can be approved or denied; what is approved or
// denied stays so for the page until the token is taken or the time is over.
const (
	LoginPending  LoginState = "pending"
	LoginApproved LoginState = "approved"
	LoginDenied   LoginState = "denied"
	LoginTaken    LoginState = "taken"
	LoginExpired  LoginState = "expired"
)

// loginState is the state of a row at this moment.
func (s *Service) loginState(row catalog.LoginRow) LoginState {
	undecided := row.State == catalog.LoginPending || row.State == catalog.LoginApproved
	if undecided && s.clock() >= row.Expires.UnixNano() {
		return LoginExpired
	}
	return LoginState(row.State)
}

// Login is a login as the page shows it.
type Login struct {
	State   LoginState
	Repo    packhouse.RepoRef
	Client  string // address
	Agent   string
	Created time.Time
	Expires time.Time
	// FormToken must come back with the form (S10).
	FormToken string
}

// Login returns the login behind a page's id. Errors: NotFound "login_not_found";
// Unavailable.
func (s *Service) Login(ctx context.Context, page string) (Login, error) {
	if len(page) != loginIDLength {
		return Login{}, loginNotFound()
	}
	var row catalog.LoginRow
	found, err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		row, err = tx.LoginByPage(ctx, sumOf(page))
		return err
	})
	if err != nil {
		return Login{}, err
	}
	if !found {
		return Login{}, loginNotFound()
	}
	return Login{State: s.loginState(row), Repo: row.Repo, Client: row.Address, Agent: row.Agent,
		Created: row.Created, Expires: row.Expires, FormToken: s.formToken(page)}, nil
}

func loginNotFound() error {
	return packhouse.NotFoundf("login", "", "There is no such login, or it has expired; start again.")
}

// formToken is what the form of a page carries: made from the page's id by a key that
// only the installation's nodes have.
func (s *Service) formToken(page string) string {
	mac := hmac.New(sha256.New, s.formKey)
	mac.Write([]byte(page))
	return hex.EncodeToString(mac.Sum(nil))
}

// ApproveLogin signs somebody in and lets the login be theirs. note is the ledger's row,
// which ApproveLogin completes. Errors: Invalid "form_token"; NotFound for a login that
// is not pending any more; those of SignIn.
func (s *Service) ApproveLogin(ctx context.Context, page, formToken string, a Attempt, note packhouse.Change) error {
	login, err := s.decidable(ctx, page, formToken)
	if err != nil {
		return err
	}
	who, err := s.SignIn(ctx, a)
	if err != nil {
		return err
	}
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := tx.ApproveLogin(ctx, sumOf(page), who.ID); err != nil {
			return err
		}
		note.Kind, note.Principal, note.Detail = packhouse.ChangeSignedIn, who.ARN, "login of a client at "+login.Client+" approved"
		return tx.Record(ctx, note)
	})
	return decided(err)
}

// DenyLogin ends a pending login. Errors: those of ApproveLogin but for signing in.
func (s *Service) DenyLogin(ctx context.Context, page, formToken string) error {
	if _, err := s.decidable(ctx, page, formToken); err != nil {
		return err
	}
	return decided(s.db.Update(ctx, func(tx *catalog.Tx) error { return tx.DenyLogin(ctx, sumOf(page)) }))
}

// decidable returns a login that can be decided with this form.
func (s *Service) decidable(ctx context.Context, page, formToken string) (Login, error) {
	login, err := s.Login(ctx, page)
	switch {
	case err != nil:
		return login, err
	case !hmac.Equal([]byte(formToken), []byte(login.FormToken)):
		return login, packhouse.Invalidf("form_token", "The form is not from this page; load the page again.")
	case login.State != LoginPending:
		return login, loginNotFound()
	}
	return login, nil
}

func decided(err error) error {
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return loginNotFound()
	case err != nil:
		return unavailable(err)
	}
	return nil
}

// EndLogin makes the token of an approved login, once: of several that ask at the same
// time one gets it. It returns "" while nobody has decided. Errors: Denied
// "login_denied"; NotFound "login_not_found" for all that will never yield a token;
// those of IssueToken.
func (s *Service) EndLogin(ctx context.Context, secret string, t NewToken, note packhouse.Change) (token string, err error) {
	if len(secret) != len(pollPrefix)+loginIDLength || !strings.HasPrefix(secret, pollPrefix) {
		return "", loginNotFound()
	}
	poll := sumOf(secret)
	var row catalog.LoginRow
	found, err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		row, err = tx.LoginByPoll(ctx, poll)
		return err
	})
	if err != nil {
		return "", err
	}
	if !found {
		return "", loginNotFound()
	}
	switch s.loginState(row) {
	case LoginPending:
		return "", nil
	case LoginDenied:
		return "", packhouse.Deniedf("login_denied", "The login was denied in the browser.")
	case LoginExpired, LoginTaken:
		return "", loginNotFound()
	}
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := tx.TakeLogin(ctx, poll); err != nil {
			return err
		}
		token, _, err = s.issueIn(ctx, tx, row.Principal, t, note)
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) {
		return "", loginNotFound()
	}
	if err != nil {
		return "", fmt.Errorf("end login: %w", err)
	}
	return token, nil
}
