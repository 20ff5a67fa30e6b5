package format

import (
	"context"
	"net/http"
	"time"

	"github.com/packhouse/packhouse"
)

// Desk is where people sign in and out through a format's own protocol, and look after
// their tokens. Whoever is asked to prove something by a password is slowed down after a
// few failures: Throttled, with a time to come back (reliability.md S41).
type Desk interface {
	// SignIn trades a name and a password for a long-lived token. Errors: Unauthenticated
	// ReasonWrongPassword (also for unknown and disabled users), ReasonSecondFactor where
	// a code is missing, wrong or used; Throttled.
	SignIn(ctx context.Context, c Credentials) (token string, err error)
	// BeginLogin starts a login that somebody finishes in a browser. Nothing is decided
	// yet, so anybody may. Errors: Throttled where one address, or all together, have
	// begun too many.
	BeginLogin(ctx context.Context, r LoginRequest) (LoginTicket, error)
	// EndLogin returns the token of a login that was approved, once, and "" while nobody
	// has decided. Errors: Denied "login_denied"; NotFound for an unknown, expired or
	// finished login.
	EndLogin(ctx context.Context, secret string) (token string, err error)
	// SignOut ends a token of either kind; the token itself is the credential. One that
	// has ended already is a success. Errors: Unauthenticated for what is no token.
	SignOut(ctx context.Context, token string) error
	// Profile tells about the caller. Needs ReadFromRepository.
	Profile(ctx context.Context, who packhouse.Principal, repo packhouse.RepoRef) (Profile, error)
	// Tokens lists the caller's own long-lived tokens that are good, oldest first. Needs
	// ReadFromRepository.
	Tokens(ctx context.Context, who packhouse.Principal, repo packhouse.RepoRef) ([]Token, error)
	// CreateToken makes a long-lived token of the caller's, who proves to be there by
	// password. It holds no more than the credential that asks, nor for longer (S14).
	// Needs ReadFromRepository. Errors: Denied ReasonWrongPassword, and for a credential
	// that is limited to a domain, or read-only; Unauthenticated ReasonSecondFactor;
	// Throttled; QuotaExceeded; Invalid.
	CreateToken(ctx context.Context, who packhouse.Principal, repo packhouse.RepoRef, t NewToken) (token string, made Token, err error)
	// RevokeToken ends one of the caller's own tokens, by Token.Key or by the token
	// itself. Needs ReadFromRepository. Errors: NotFound, also for tokens of others;
	// Denied and Unauthenticated as of CreateToken. SignOut ends any token by itself.
	RevokeToken(ctx context.Context, who packhouse.Principal, repo packhouse.RepoRef, key string) error
}

// Credentials are what somebody signs in with.
type Credentials struct {
	Name, Password string
	Code           string // one-time code of the second factor; "" for none
	Client         string // address of the client
}

// LoginRequest is what is shown to whoever is asked to approve a login.
type LoginRequest struct {
	Repo   packhouse.RepoRef
	Client string // address of the client
	Agent  string // what the client calls itself; cut where it is long
}

// LoginTicket are the two ends of a login. Neither is enough alone: the page asks for a
// password, the secret yields nothing before the page has approved.
type LoginTicket struct {
	Page   string // path of the page at the server's own root, with leading slash
	Secret string // for EndLogin; at least 128 random bits
}

// Profile is who the caller is.
type Profile struct {
	Name         string
	Created      time.Time
	SecondFactor bool
}

// Token is a long-lived token as its owner sees it.
type Token struct {
	Key        string // public id
	Prefix     string // how the token begins; not secret
	Name       string
	ReadOnly   bool
	Automation bool // needs no second factor
	Created    time.Time
	Expires    time.Time // zero for never
}

// NewToken is a token to create.
type NewToken struct {
	Password   string
	Name       string // "" for a default
	ReadOnly   bool
	Automation bool          // needs no second factor later
	Life       time.Duration // 0 for the configured one
	Client     string        // address of the client
}

// ReasonSecondFactor marks an Unauthenticated error that a one-time code would heal.
// Formats whose clients can ask for one say so in their answer.
const ReasonSecondFactor = "second_factor_required"

// ReasonWrongPassword marks the answer to a wrong name or password.
const ReasonWrongPassword = "wrong_password"

// OneTimeCodes is the ability of formats whose clients send one-time codes.
type OneTimeCodes interface {
	// OneTimeCode returns the code that a request carries, "" for none.
	OneTimeCode(r *http.Request) string
}
