package ops

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/identity"
)

// LoginPages is the path below which the pages of logins are, one segment each.
const LoginPages = "/ui/login/"

// loginName is the label of tokens that come from signing in.
const loginName = "login"

// defaultLoginTokenLife is how long a token from signing in is good.
const defaultLoginTokenLife = 30 * 24 * time.Hour

// SignIn trades a name and a password for a token; see format.Desk.
func (s *Service) SignIn(ctx context.Context, c format.Credentials) (string, error) {
	who, err := s.identity.SignIn(ctx, s.attempt(c))
	if err != nil {
		return "", askForCode(err)
	}
	token, _, err := s.identity.IssueToken(ctx, who, s.loginToken(), s.note(ctx))
	return token, storeError("issue token", err)
}

func (s *Service) attempt(c format.Credentials) identity.Attempt {
	return identity.Attempt{Account: s.account, Name: c.Name, Password: c.Password, Code: c.Code, Client: c.Client}
}

// loginToken is what signing in makes.
func (s *Service) loginToken() identity.NewToken {
	return identity.NewToken{Name: loginName, Kind: identity.TokenLogin, Expires: s.now().UTC().Add(s.loginTokenLife)}
}

// note begins a ledger row about an identity; who and what are the store's to fill in.
func (s *Service) note(ctx context.Context) packhouse.Change {
	return packhouse.Change{At: s.now().UTC(), RequestID: httpx.RequestID(ctx), Door: httpx.Door(ctx), DedupID: uuid.NewString()}
}

// askForCode turns what the store said of a code into the reason that rooms know.
func askForCode(err error) error {
	switch packhouse.ReasonOf(err) {
	case identity.ReasonCodeMissing, identity.ReasonCodeWrong:
		return &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: format.ReasonSecondFactor, Message: httpx.Message(err), Err: err}
	}
	return storeError("sign in", err)
}

// secondFactor decides whether a request that policies allow lacks the second factor of
// its principal: changing anything needs it, reading does not. Access keys, registry
// tokens and tokens for automation owe none.
func secondFactor(who packhouse.Principal, action packhouse.Action) error {
	if authz.Reading(action) {
		return nil
	}
	return factorProved(who)
}

func factorProved(who packhouse.Principal) error {
	text := "This operation needs a one-time password from your authenticator; for machines use a token made with --automation."
	switch who.Scope.SecondFactor {
	case packhouse.FactorNone, packhouse.FactorProved:
		return nil
	case packhouse.FactorRefused:
		text = "The one-time password is wrong or was used before; wait for the next one."
	}
	return &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: format.ReasonSecondFactor, Message: text}
}

// SignOut ends a token; see format.Desk.
func (s *Service) SignOut(ctx context.Context, token string) error {
	return storeError("sign out", s.identity.SignOut(ctx, token, s.note(ctx)))
}

// Profile tells about the caller; see format.Desk.
func (s *Service) Profile(ctx context.Context, who packhouse.Principal, repo packhouse.RepoRef) (format.Profile, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, repo); err != nil {
		return format.Profile{}, err
	}
	row, err := s.identity.Account(ctx, who)
	if err != nil {
		return format.Profile{}, storeError("look up user", err)
	}
	return format.Profile{Name: row.Name, Created: row.Created, SecondFactor: row.SecondFactor}, nil
}

// Tokens lists the caller's own tokens; see format.Desk.
func (s *Service) Tokens(ctx context.Context, who packhouse.Principal, repo packhouse.RepoRef) ([]format.Token, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, repo); err != nil {
		return nil, err
	}
	own, err := s.identity.OwnTokens(ctx, who)
	if err != nil {
		return nil, storeError("list tokens", err)
	}
	list := make([]format.Token, len(own))
	for i, t := range own {
		list[i] = shown(t)
	}
	return list, nil
}

func shown(t identity.OwnToken) format.Token {
	return format.Token{Key: t.PublicID, Prefix: t.Prefix(), Name: t.Name, ReadOnly: t.ReadOnly,
		Automation: t.Kind == identity.TokenAutomation, Created: t.Created, Expires: t.Expires}
}

// CreateToken makes a token of the caller's; see format.Desk. It ends no later than the
// credential that asked for it.
func (s *Service) CreateToken(ctx context.Context, who packhouse.Principal, repo packhouse.RepoRef, t format.NewToken) (string, format.Token, error) {
	none := format.Token{}
	if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, repo); err != nil {
		return "", none, err
	}
	if err := mayKeepTokens(who); err != nil {
		return "", none, err
	}
	if t.Life < 0 {
		return "", none, packhouse.Invalidf("invalid_expiry", "The token would have expired already.")
	}
	if err := s.confirm(ctx, who, t); err != nil {
		return "", none, err
	}
	life := s.loginTokenLife
	if t.Life > 0 {
		life = t.Life
	}
	made := identity.NewToken{Name: t.Name, Kind: identity.TokenLogin, ReadOnly: t.ReadOnly, Expires: s.now().UTC().Add(life)}
	if !who.Expires.IsZero() && made.Expires.After(who.Expires) {
		made.Expires = who.Expires
	}
	if t.Automation {
		made.Kind = identity.TokenAutomation
	}
	if made.Name == "" {
		made.Name = made.Kind
	}
	token, own, err := s.identity.IssueToken(ctx, who, made, s.note(ctx))
	if err != nil {
		return "", none, storeError("issue token", err)
	}
	return token, shown(own), nil
}

// confirm makes sure by password that the owner of the credential is there. The code
// was proved with the request, and is good only once.
func (s *Service) confirm(ctx context.Context, who packhouse.Principal, t format.NewToken) error {
	if who.Kind != packhouse.KindUser {
		return packhouse.Deniedf("denied", "Only users make tokens this way; the operator makes them with: packhouse token create")
	}
	err := s.identity.ConfirmPassword(ctx, identity.Attempt{Account: who.Account, Name: who.Name, Password: t.Password, Client: t.Client})
	if packhouse.ReasonOf(err) == identity.ReasonWrongPassword {
		// The token is good, so 401 would mislead its client.
		return &packhouse.Error{Kind: packhouse.KindDenied, Reason: identity.ReasonWrongPassword, Message: "The password is wrong.", Err: err}
	}
	return storeError("confirm password", err)
}

// mayKeepTokens refuses credentials that hold less than their principal: what they made
// would hold more, or live longer (S14).
func mayKeepTokens(who packhouse.Principal) error {
	switch {
	case who.Scope.Domain.Name != "" || who.Temporary:
		return packhouse.Deniedf("limited_credential", "A registry token cannot make or end long-lived tokens; sign in with a password first.")
	case who.Scope.ReadOnly:
		return packhouse.Deniedf("limited_credential", "A read-only token cannot make or end tokens.")
	}
	return factorProved(who)
}

// RevokeToken ends one of the caller's tokens; see format.Desk.
func (s *Service) RevokeToken(ctx context.Context, who packhouse.Principal, repo packhouse.RepoRef, key string) error {
	if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, repo); err != nil {
		return err
	}
	if err := mayKeepTokens(who); err != nil {
		return err
	}
	return storeError("revoke token", s.identity.RevokeOwnToken(ctx, who, key, s.note(ctx)))
}

// BeginLogin starts a login in a browser; see format.Desk.
func (s *Service) BeginLogin(ctx context.Context, r format.LoginRequest) (format.LoginTicket, error) {
	page, secret, err := s.identity.BeginLogin(ctx, r.Repo, r.Client, r.Agent)
	if err != nil {
		return format.LoginTicket{}, storeError("begin login", err)
	}
	return format.LoginTicket{Page: LoginPages + page, Secret: secret}, nil
}

// EndLogin yields the token of an approved login; see format.Desk.
func (s *Service) EndLogin(ctx context.Context, secret string) (string, error) {
	token, err := s.identity.EndLogin(ctx, secret, s.loginToken(), s.note(ctx))
	return token, storeError("end login", err)
}

// Login returns what the page of a login shows. The page's id is the credential.
// Errors: NotFound.
func (s *Service) Login(ctx context.Context, page string) (identity.Login, error) {
	login, err := s.identity.Login(ctx, page)
	return login, storeError("look up login", err)
}

// Approval is a page's form, filled in.
type Approval struct {
	FormToken string
	format.Credentials
}

// ApproveLogin signs somebody in on a login's page, so that the client gets a token.
// Errors: Invalid "form_token"; NotFound where there is nothing to approve any more;
// Unauthenticated identity.ReasonWrongPassword, identity.ReasonCodeMissing,
// identity.ReasonCodeWrong; Throttled.
func (s *Service) ApproveLogin(ctx context.Context, page string, a Approval) error {
	return storeError("approve login", s.identity.ApproveLogin(ctx, page, a.FormToken, s.attempt(a.Credentials), s.note(ctx)))
}

// DenyLogin ends a login on its page. Errors: those of ApproveLogin but for signing in.
func (s *Service) DenyLogin(ctx context.Context, page, formToken string) error {
	return storeError("deny login", s.identity.DenyLogin(ctx, page, formToken))
}
