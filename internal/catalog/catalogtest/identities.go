package catalogtest

import (
	"errors"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

func testIdentities(t *testing.T, w *world) {
	dana := w.person()
	readers := catalog.PrincipalRow{Account: account, Kind: packhouse.KindGroup, Name: "Readers", ARN: "arn:readers", Created: w.now}
	role := catalog.PrincipalRow{Account: account, Kind: packhouse.KindRole, Name: "deploy", ARN: "arn:deploy", Created: w.now, Trust: "{}",
		MaxSession: 2 * time.Hour, Description: "deploys", Tags: []packhouse.ResourceTag{{Key: "team", Value: "web"}}}
	policy := catalog.ManagedPolicyRow{PolicyRow: catalog.PolicyRow{Account: account, Name: "list", Document: "{}"},
		Description: "lists", Created: w.now, Updated: w.now}
	inline := catalog.InlinePolicyRow{Name: "own", Document: `{"a":1}`}
	provider := catalog.ProviderRow{Provider: packhouse.Provider{Account: account, Issuer: "ci.example.com", URL: "https://ci.example.com",
		Audiences: []string{"packhouse", "other"}, Thumbprints: []string{}, Created: w.now}}
	w.update(func(tx *catalog.Tx) (err error) {
		if readers.ID, err = tx.InsertPrincipal(w.ctx, readers); err != nil {
			return err
		}
		if role.ID, err = tx.InsertPrincipal(w.ctx, role); err != nil {
			return err
		}
		if policy.ID, err = tx.InsertPolicy(w.ctx, policy); err != nil {
			return err
		}
		if _, err := tx.InsertPolicy(w.ctx, policy); !errors.Is(err, catalog.ErrExists) {
			t.Errorf("a second policy of the name: %v, want ErrExists", err)
		}
		if provider.ID, err = tx.InsertProvider(w.ctx, provider.Provider); err != nil {
			return err
		}
		if _, err := tx.InsertProvider(w.ctx, provider.Provider); !errors.Is(err, catalog.ErrExists) {
			t.Errorf("a second provider of the issuer: %v, want ErrExists", err)
		}
		policy.Attachments = 1
		return errors.Join(tx.AddMember(w.ctx, readers.ID, dana.ID), tx.AddMember(w.ctx, readers.ID, dana.ID),
			tx.AttachPolicy(w.ctx, policy.ID, readers.ID), tx.PutInlinePolicy(w.ctx, dana.ID, inline),
			tx.InsertAccessKey(w.ctx, catalog.AccessKeyRow{ID: "AKIA1", Principal: dana, Secret: Canary, Active: true, Created: w.now}),
			tx.AccessKeyUsed(w.ctx, "AKIA1", "iam", w.now.Add(time.Minute)), tx.AccessKeyUsed(w.ctx, "AKIA1", "sts", w.now))
	})
	w.view(func(tx *catalog.Tx) error {
		gotRole, err1 := tx.PrincipalByName(w.ctx, account, packhouse.KindRole, "deploy")
		w.same("role", gotRole, role)
		members, err2 := tx.Members(w.ctx, readers.ID, "", 10)
		w.same("members", members, []catalog.PrincipalRow{dana})
		if rest, err := tx.Members(w.ctx, readers.ID, dana.Name, 10); err != nil || len(rest) > 0 {
			t.Errorf("members after the last one: %+v: %v", rest, err)
		}
		groups, err3 := tx.GroupsOf(w.ctx, dana.ID)
		w.same("groups", groups, []catalog.PrincipalRow{readers})
		gotPolicy, err4 := tx.PolicyByName(w.ctx, account, "list")
		w.same("policy", gotPolicy, policy)
		inlines, err5 := tx.InlinePolicies(w.ctx, dana.ID)
		w.same("inline policies", inlines, []catalog.InlinePolicyRow{inline})
		rights, err6 := tx.RightsOf(w.ctx, dana.ID)
		if len(rights) != 2 {
			t.Errorf("rights %+v, want her own and the group's", rights)
		}
		gotProvider, err7 := tx.Provider(w.ctx, account, "ci.example.com")
		w.same("provider", gotProvider, provider)
		keys, err8 := tx.AccessKeys(w.ctx, dana.ID)
		w.same("access keys", keys, []packhouse.AccessKey{{ID: "AKIA1", Active: true, Created: w.now, LastUsed: w.now.Add(time.Minute), Service: "iam"}})
		return errors.Join(err1, err2, err3, err4, err5, err6, err7, err8)
	})
	w.update(func(tx *catalog.Tx) error {
		if err := tx.DeletePolicy(w.ctx, policy.ID); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("removal of an attached policy: %v, want ErrNotFound", err)
		}
		renamed := role
		renamed.Name, renamed.Trust, renamed.Tags = "release", `{"b":1}`, nil
		return errors.Join(tx.UpdatePrincipal(w.ctx, renamed), tx.DeleteProvider(w.ctx, provider.ID), tx.DeletePrincipal(w.ctx, readers.ID),
			tx.DeletePolicy(w.ctx, policy.ID), tx.DeleteInlinePolicy(w.ctx, dana.ID, "own"))
	})
	w.view(func(tx *catalog.Tx) error {
		if _, err := tx.PrincipalByName(w.ctx, account, packhouse.KindRole, "release"); err != nil {
			t.Errorf("the renamed role: %v", err)
		}
		groups, err1 := tx.GroupsOf(w.ctx, dana.ID)
		rights, err2 := tx.RightsOf(w.ctx, dana.ID)
		providers, err3 := tx.Providers(w.ctx, account)
		if len(groups)+len(rights)+len(providers) > 0 {
			t.Errorf("left over: groups %+v, rights %+v, providers %+v", groups, rights, providers)
		}
		return errors.Join(err1, err2, err3)
	})
}
