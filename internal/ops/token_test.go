package ops

import (
	"fmt"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
)

// Case 001-10.
func TestRegistryTokenDuration(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	now := e.s.now()
	role := e.admin
	role.Temporary, role.Expires = true, now.Add(15*time.Minute)
	seconds := func(n int64) *int64 { return &n }
	for _, row := range []struct {
		who     packhouse.Principal
		seconds *int64
		want    time.Duration // 0 for Invalid
	}{
		{e.admin, nil, 12 * time.Hour},
		{e.admin, seconds(43200), 12 * time.Hour},
		{e.admin, seconds(900), 15 * time.Minute},
		{e.admin, seconds(899), 0},
		{e.admin, seconds(1), 0},
		{e.admin, seconds(-1), 0},
		{e.admin, seconds(43201), 0},
		{e.admin, seconds(0), 0},
		{role, seconds(0), 15 * time.Minute},
		{role, seconds(3600), time.Hour},
	} {
		name := "no duration"
		if row.seconds != nil {
			name = fmt.Sprintf("%d seconds, temporary credentials %v", *row.seconds, row.who.Temporary)
		}
		t.Run(name, func(t *testing.T) {
			token, expires, err := e.s.RegistryToken(e.ctx, row.who, d, row.seconds)
			if row.want == 0 {
				e.wantError(err, packhouse.KindInvalid, "duration")
				return
			}
			e.must(err)
			if got := expires.Sub(now); got != row.want {
				t.Errorf("lasts %s, want %s", got, row.want)
			}
			who, err := e.identity.Token(e.ctx, token)
			e.must(err)
			if who.ID != e.admin.ID || who.Scope.Domain != d {
				t.Errorf("the token is of %+v", who)
			}
		})
	}
	_, _, err := e.s.RegistryToken(e.ctx, e.admin, packhouse.DomainRef{Owner: ours, Name: "absent"}, nil)
	e.wantError(err, packhouse.KindNotFound, "domain_not_found")
}

// Case 001-11.
func TestRegistryTokenNeedsBothRights(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	const get = `{"Effect":"Allow","Action":"codeartifact:GetAuthorizationToken","Resource":"*"}`
	const bearer = `{"Effect":"Allow","Action":"sts:GetServiceBearerToken","Resource":"*"%s}`
	for sentence, row := range map[string]struct {
		who     packhouse.Principal
		allowed bool
	}{
		"only the first":              {e.allowed("a", get), false},
		"only the second":             {e.allowed("b", fmt.Sprintf(bearer, "")), false},
		"both":                        {e.allowed("c", get, fmt.Sprintf(bearer, "")), true},
		"the second for this service": {e.allowed("d", get, fmt.Sprintf(bearer, `,"Condition":{"StringEquals":{"sts:AWSServiceName":"codeartifact.amazonaws.com"}}`)), true},
		"the second for another":      {e.allowed("e", get, fmt.Sprintf(bearer, `,"Condition":{"StringEquals":{"sts:AWSServiceName":"ecr.amazonaws.com"}}`)), false},
		"the second for a short time": {e.allowed("f", get, fmt.Sprintf(bearer, `,"Condition":{"NumericLessThanEquals":{"sts:DurationSeconds":"3600"}}`)), false},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, _, err := e.s.RegistryToken(e.ctx, row.who, d, nil)
			if row.allowed {
				e.must(err)
				return
			}
			e.wantError(err, packhouse.KindDenied, "")
		})
	}
}
