package pages

import (
	"net/http"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/ops"
)

// loginView is the page on which somebody approves a login of npm's or another client.
type loginView struct {
	view
	State    identity.LoginState
	Login    identity.Login
	Asked    string // when, in UTC
	Until    string
	Name     string
	NeedCode bool
	Problem  string // what was wrong with the form; "" at first
	Field    string // the field that it is about
}

// showLogin serves GET /ui/login/{id}.
func (p *Pages) showLogin(w http.ResponseWriter, r *http.Request, vars map[string]string) error {
	login, err := p.Service.Login(r.Context(), vars["id"])
	if err != nil {
		return p.goneOr(w, r, err)
	}
	return p.renderLogin(w, r, loginView{State: login.State, Login: login})
}

// goneOr shows that a login is over, or passes the error on.
func (p *Pages) goneOr(w http.ResponseWriter, r *http.Request, err error) error {
	if packhouse.KindOf(err) != packhouse.KindNotFound {
		return err
	}
	return p.renderLogin(w, r, loginView{State: identity.LoginExpired})
}

// renderLogin writes the page, with a status that scripts can tell apart.
func (p *Pages) renderLogin(w http.ResponseWriter, r *http.Request, v loginView) error {
	v.view = view{Title: "Sign in", Version: p.Version}
	v.Asked, v.Until = clock(v.Login.Created), clock(v.Login.Expires)
	status := http.StatusOK
	switch {
	case v.State == identity.LoginExpired, v.State == identity.LoginTaken:
		status = http.StatusGone
	case w.Header().Get("Retry-After") != "":
		status = http.StatusTooManyRequests
	case v.Problem != "":
		status = http.StatusForbidden
	}
	return p.render(w, r, status, "login", v)
}

func clock(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05") + " UTC" }

// decideLogin serves POST /ui/login/{id}: approve with a name and a password, or deny.
func (p *Pages) decideLogin(w http.ResponseWriter, r *http.Request, vars map[string]string) error {
	form, err := p.form(r)
	if err != nil {
		return err
	}
	id, ctx := vars["id"], r.Context()
	login, err := p.Service.Login(ctx, id)
	if err != nil {
		return p.goneOr(w, r, err)
	}
	if login.State != identity.LoginPending {
		return p.renderLogin(w, r, loginView{State: login.State, Login: login})
	}
	switch form.Get("action") {
	case "approve":
	case "deny":
		if err := p.Service.DenyLogin(ctx, id, form.Get("form_token")); err != nil {
			return p.goneOr(w, r, err)
		}
		return p.renderLogin(w, r, loginView{State: identity.LoginDenied, Login: login})
	default:
		return packhouse.Invalidf("invalid_form", "The form is not complete.")
	}
	v := loginView{State: identity.LoginPending, Login: login, Name: form.Get("name"), NeedCode: form.Get("code") != ""}
	err = p.Service.ApproveLogin(ctx, id, ops.Approval{FormToken: form.Get("form_token"), Credentials: format.Credentials{
		Name: v.Name, Password: form.Get("password"), Code: form.Get("code"), Client: httpx.Client(ctx)}})
	switch {
	case err == nil:
		v.State = identity.LoginApproved
		return p.renderLogin(w, r, v)
	case packhouse.KindOf(err) == packhouse.KindThrottled:
		httpx.SetRetryAfter(w.Header(), err)
		v.Field = "password"
	case packhouse.ReasonOf(err) == identity.ReasonWrongPassword:
		v.Field = "password"
	case packhouse.ReasonOf(err) == identity.ReasonCodeMissing, packhouse.ReasonOf(err) == identity.ReasonCodeWrong:
		v.Field, v.NeedCode = "code", true
	default:
		return p.goneOr(w, r, err)
	}
	httpx.RecordOf(ctx).Err = err // the page tells it; the log is to know, too
	v.Problem = httpx.Message(err)
	return p.renderLogin(w, r, v)
}
