package catalogtest

import (
	"errors"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// testPlaces is about paths, permissions boundaries and the versions of policies.
func testPlaces(t *testing.T, w *world) {
	row := func(name, path string) catalog.PrincipalRow {
		return catalog.PrincipalRow{Account: account, Kind: packhouse.KindUser, Name: name, Path: path, ARN: "arn:" + path + name, Created: w.now}
	}
	ann, bob, eve := row("ann", "/team/x/"), row("bob", "/team/y/"), row("eve", "/")
	policy := catalog.ManagedPolicyRow{PolicyRow: catalog.PolicyRow{Account: account, Name: "Limit", Path: "/limits/", Document: "{}"},
		Tags: []packhouse.ResourceTag{{Key: "k", Value: "v"}}, Created: w.now, Updated: w.now}
	w.update(func(tx *catalog.Tx) (err error) {
		if policy.ID, err = tx.InsertPolicy(w.ctx, policy); err != nil {
			return err
		}
		again := policy
		again.Name, again.Path = "LIMIT", "/"
		if _, err := tx.InsertPolicy(w.ctx, again); !errors.Is(err, catalog.ErrExists) {
			t.Errorf("a policy of the name in other case and under another path: %v, want ErrExists", err)
		}
		ann.BoundaryID = policy.ID
		for _, p := range []*catalog.PrincipalRow{&ann, &bob, &eve} {
			if p.ID, err = tx.InsertPrincipal(w.ctx, *p); err != nil {
				return err
			}
		}
		return tx.AttachPolicy(w.ctx, policy.ID, bob.ID)
	})
	w.view(func(tx *catalog.Tx) error {
		for prefix, want := range map[string][]catalog.PrincipalRow{"/": {ann, bob, eve}, "/team/": {ann, bob}, "/team/x": {ann}, "/%": nil, "/team/x/ann": nil} {
			got, err := tx.PrincipalsAfter(w.ctx, account, packhouse.KindUser, prefix, "", 10)
			if err != nil {
				return err
			}
			w.same("users below "+prefix, got, want)
		}
		policy.Attachments, policy.Boundaries, policy.Version = 1, 1, 1
		got, err := tx.PolicyByName(w.ctx, account, "Limit")
		w.same("policy", got, policy)
		under, err2 := tx.PrincipalsUnder(w.ctx, policy.ID)
		w.same("identities under the policy", under, []catalog.PrincipalRow{ann, bob})
		byID, err3 := tx.PolicyByID(w.ctx, policy.ID)
		w.same("policy by id", byID, policy.PolicyRow)
		for prefix, want := range map[string]int{"/": 1, "/limits/": 1, "/other/": 0} {
			if list, err := tx.ManagedPolicies(w.ctx, account, prefix, "", 10); err != nil || len(list) != want {
				t.Errorf("policies below %s: %+v: %v", prefix, list, err)
			}
		}
		return errors.Join(err, err2, err3)
	})
	w.update(func(tx *catalog.Tx) error {
		second, err := tx.InsertPolicyVersion(w.ctx, policy.ID, `{"b":1}`)
		if err != nil || second.Version != 2 {
			t.Errorf("second version %+v: %v", second, err)
		}
		if err := tx.DeletePolicyVersion(w.ctx, policy.ID, 1); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("removal of the default version: %v, want ErrNotFound", err)
		}
		if err := tx.SetDefaultPolicyVersion(w.ctx, policy.ID, 3); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("a default version that is not there: %v, want ErrNotFound", err)
		}
		return errors.Join(tx.SetDefaultPolicyVersion(w.ctx, policy.ID, 2), tx.DeletePolicyVersion(w.ctx, policy.ID, 1), tx.SetPolicyTags(w.ctx, policy.ID, nil))
	})
	w.update(func(tx *catalog.Tx) error {
		third, err := tx.InsertPolicyVersion(w.ctx, policy.ID, `{"c":1}`)
		versions, err2 := tx.PolicyVersions(w.ctx, policy.ID)
		if len(versions) != 2 || versions[0] != third || third.Version != 3 || versions[1].Document != `{"b":1}` {
			t.Errorf("versions %+v", versions)
		}
		got, err3 := tx.PolicyByName(w.ctx, account, "Limit")
		if got.Document != `{"b":1}` || got.Version != 2 || len(got.Tags) > 0 {
			t.Errorf("policy %+v", got)
		}
		if err := errors.Join(err, err2, err3, tx.DetachPolicy(w.ctx, policy.ID, bob.ID)); err != nil {
			return err
		}
		if err := tx.DeletePolicy(w.ctx, policy.ID); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("removal of somebody's boundary: %v, want ErrNotFound", err)
		}
		ann.BoundaryID, ann.Path = 0, "/"
		return errors.Join(tx.UpdatePrincipal(w.ctx, ann), tx.DeletePolicy(w.ctx, policy.ID), tx.SetPassword(w.ctx, ann.ID, "hash"))
	})
	w.view(func(tx *catalog.Tx) error {
		for id, has := range map[int64]bool{ann.ID: true, eve.ID: false} {
			if since, ok, err := tx.PasswordSince(w.ctx, id); err != nil || ok != has || has && !since.Equal(w.now) {
				t.Errorf("password since %v, %t: %v", since, ok, err)
			}
		}
		got, err := tx.PrincipalByName(w.ctx, account, packhouse.KindUser, "ann")
		w.same("after the move", got, ann)
		accounts, err2 := tx.AccountRows(w.ctx)
		if len(accounts) == 0 || accounts[0].ID != account || accounts[0].Name == "" {
			t.Errorf("accounts %+v", accounts)
		}
		return errors.Join(err, err2)
	})
	if n := w.number(`SELECT count(*) FROM identity_policy_versions`); n != 0 {
		t.Errorf("%d versions outlive their policy", n)
	}
}

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
		policy.Attachments, policy.Version = 1, 1
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
