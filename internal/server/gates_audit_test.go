package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/identity"
)

// recorded waits until the audit log has the records that ok wants, and returns it all.
func (g *guarded) recorded(what string, ok func(all []packhouse.AuditRecord) bool) []packhouse.AuditRecord {
	g.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var all []packhouse.AuditRecord
		if err := g.store.Catalog.View(g.t.Context(), func(tx *catalog.Tx) (err error) {
			all, err = tx.Audit(g.t.Context(), 0, 100_000)
			return err
		}); err != nil {
			g.t.Fatal(err)
		}
		if ok(all) {
			return all
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("the audit log has %d records and not %s", len(all), what)
		}
	}
}

// decisions: at every gate, the record of a request that policies refuse names the
// statement that decided (reliability.md S40).
func (g *guarded) decisions(t *testing.T) {
	g.t = t
	query := func(form string) string {
		return g.must(gate{service: "iam", method: "POST", target: "/", content: "application/x-www-form-urlencoded", body: form + "&Version=2010-05-08"})
	}
	query("Action=CreateUser&UserName=shut")
	query("Action=PutUserPolicy&UserName=shut&PolicyName=own&PolicyDocument=" + url.QueryEscape(`{"Version":"2012-10-17","Statement":[`+
		`{"Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"closed","Effect":"Deny","NotAction":"sts:GetCallerIdentity","Resource":"*"}]}`))
	made := query("Action=CreateAccessKey&UserName=shut")
	g.keys["shut"] = aws.Credentials{AccessKeyID: element(made, "AccessKeyId"), SecretAccessKey: element(made, "SecretAccessKey")}
	token, err := identity.CreateToken(t.Context(), g.store.Catalog, packhouse.Principal{}, g.Account(), "shut", identity.NewToken{Name: "ci", Kind: identity.TokenAutomation})
	if err != nil {
		t.Fatal(err)
	}
	g.tokens["shut"] = token
	asked := 0
	for _, at := range gates {
		for _, signed := range []bool{true, false} {
			if signed && at.service == "" || !signed && !at.bearer {
				continue
			}
			r := g.request(at)
			if signed {
				g.sign(r, "shut", at.service, "us-east-1", 0)
			} else {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			if status, text := g.do(r); status != http.StatusForbidden && !strings.Contains(text, "AccessDeniedException") {
				t.Errorf("%s, signed %t: %d %.300s, want a refusal", at.name, signed, status, text)
			}
			asked++
		}
	}
	of := func(all []packhouse.AuditRecord) (own []packhouse.AuditRecord) {
		for _, r := range all {
			if strings.HasSuffix(r.Principal, ":user/shut") {
				own = append(own, r)
			}
		}
		return own
	}
	all := g.recorded(fmt.Sprint(asked, " of the user that is shut out"), func(all []packhouse.AuditRecord) bool { return len(of(all)) >= asked })
	for _, r := range of(all) {
		reads := r.Name == "StreamEvents"
		if !strings.Contains(r.Decision, `statement "closed"`) || r.Error == "" || r.Name == "" || r.Resource == "" || r.ReadOnly != reads {
			t.Errorf("%s %s: %+v", r.Door, r.Name, r)
		}
	}
}

// records: every request that was not known by its credentials, or had no right, has a
// record that says why; so has a read that was served, which audit.reads asks for; and no
// secret that went through any of the requests is in one (reliability.md S38, S40).
func (g *guarded) records(t *testing.T) {
	g.t = t
	r := g.request(gate{method: http.MethodGet, target: "/npm/acme/team/box"})
	r.Header.Set("Authorization", "Bearer "+g.tokens["good, long-lived"])
	if status, text := g.do(r); status != http.StatusOK {
		t.Fatalf("read: %d %s", status, text)
	}
	byRequest := map[string]packhouse.AuditRecord{}
	all := g.recorded("the read that was served", func(all []packhouse.AuditRecord) bool {
		last := all[len(all)-1]
		return last.Name == "ReadFromRepository" && last.Status == http.StatusOK && last.ReadOnly
	})
	for _, r := range all {
		byRequest[r.RequestID] = r
	}
	if len(g.told) < 150 {
		t.Errorf("only %d requests were refused", len(g.told))
	}
	for id, status := range g.told {
		if r, ok := byRequest[id]; !ok || r.Status != status || r.Error == "" || r.Name == "" {
			t.Errorf("a request refused with %d has the record %+v", status, r)
		}
	}
	text := fmt.Sprintf("%+v", all)
	secrets := map[string]string{"canary": canary}
	for name, key := range g.keys {
		secrets["secret of "+name], secrets["session of "+name] = key.SecretAccessKey, key.SessionToken
	}
	for name, token := range g.tokens {
		secrets["token "+name] = token
	}
	for name, secret := range secrets {
		if i := strings.Index(text, secret); secret != "" && i >= 0 {
			t.Errorf("%s is in the audit log: %.200s", name, text[max(0, i-150):])
		}
	}
}
