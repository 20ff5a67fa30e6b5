package catalogtest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// same compares what was read with what was written.
func (w *world) same(what string, got, want any) {
	w.t.Helper()
	if !reflect.DeepEqual(got, want) {
		w.t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func testRoundTrip(t *testing.T, w *world) {
	w.view(func(tx *catalog.Tx) error {
		if _, err := tx.Installation(w.ctx); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("installation before the first start: %v", err)
		}
		d, err := tx.Domain(w.ctx, w.domain.Ref)
		w.same("domain", d, w.domain)
		return err
	})
	installation := catalog.Installation{UUID: "u", TokenEpoch: 3, Keyset: []byte("ks"), KeyID: "k", Created: w.now}
	change := packhouse.Change{At: w.now, Principal: "arn", RequestID: "r", Door: "d", Kind: packhouse.ChangeTagSet, DomainID: w.domain.ID, RepoID: w.a.ID,
		Domain: w.domain.Ref, Repo: "a", Package: name("box"), Version: "1", Tag: "t", RevisionBefore: "x", RevisionAfter: "y",
		StatusBefore: packhouse.Archived, StatusAfter: packhouse.Published, Sequence: 7, DedupID: "dd", Detail: "more",
		AssetsAdded: 1, AssetsRemoved: 2, AssetsUpdated: 3, MetadataUpdated: true, Administrator: account}
	remote := catalog.RemoteRow{DomainID: w.domain.ID, Connection: "c", CredentialID: "cr", Name: name("box"), ETag: "e", LastModified: "lm",
		Fetched: w.now, FreshUntil: w.now.Add(time.Minute), Body: []byte("body"), BodyName: "b1"}
	principal := catalog.PrincipalRow{Account: account, Kind: packhouse.KindUser, Name: "Ann", ARN: "arn:ann", Epoch: 2, Created: w.now}
	key := catalog.AccessKeyRow{ID: "AKIA", Secret: "secret", Active: true, Created: w.now}
	token := catalog.TokenRow{PublicID: "pub", SHA256: []byte("0123"), Kind: "person", Name: "laptop", ReadOnly: true, Enabled: true, Created: w.now}
	w.update(func(tx *catalog.Tx) (err error) {
		if principal.ID, err = tx.InsertPrincipal(w.ctx, principal); err != nil {
			return err
		}
		key.Principal, token.Principal = principal, principal
		return errors.Join(tx.InsertInstallation(w.ctx, installation), tx.Record(w.ctx, change), tx.PutRemoteIndex(w.ctx, w.domain.Key, remote),
			tx.InsertAccessKey(w.ctx, key), tx.InsertToken(w.ctx, token),
			tx.ReplaceUpstreams(w.ctx, w.b.ID, []int64{w.a.ID}), tx.AddConnection(w.ctx, w.b.ID, "public:x"), tx.AddConnection(w.ctx, w.b.ID, "public:y"))
	})
	var version catalog.VersionRow
	w.update(func(tx *catalog.Tx) (err error) {
		version, err = w.publish(tx, w.a, name("box"), "1.0", "main", "signature")
		return err
	})
	w.update(func(tx *catalog.Tx) error {
		other := principal
		other.Name, other.ARN = "aNN", "arn:other"
		_, same := tx.InsertPrincipal(w.ctx, other)
		for what, err := range map[string]error{
			"installation": tx.InsertInstallation(w.ctx, installation), "account": tx.InsertAccount(w.ctx, account, "again"),
			"domain": func() error { _, err := tx.InsertDomain(w.ctx, w.domain); return err }(), "access key": tx.InsertAccessKey(w.ctx, key),
			"token": tx.InsertToken(w.ctx, token), "connection": tx.AddConnection(w.ctx, w.b.ID, "public:x"), "principal in another case": same,
			"repository": func() error { _, err := tx.InsertRepository(w.ctx, w.a); return err }(),
			"collision": func() error {
				_, err := tx.InsertPackage(w.ctx, catalog.NewPackage{RepoID: w.a.ID, DomainID: w.domain.ID, Name: name("Box"), CollisionKey: "acme/box"})
				return err
			}(),
		} {
			if !errors.Is(err, catalog.ErrExists) {
				return fmt.Errorf("a second %s: %w, want ErrExists", what, err)
			}
		}
		return nil
	})
	w.view(func(tx *catalog.Tx) error {
		gotInstallation, err1 := tx.Installation(w.ctx)
		w.same("installation", gotInstallation, installation)
		changes, err2 := tx.Changes(w.ctx, 0, 10)
		change.ID = changes[0].ID
		w.same("changes", changes, []packhouse.Change{change})
		gotRemote, err3 := tx.RemoteIndex(w.ctx, w.domain.Key, "c", "cr", name("box"))
		w.same("remote index", gotRemote, remote)
		gotKey, err4 := tx.AccessKey(w.ctx, "AKIA")
		w.same("access key", gotKey, key)
		gotToken, err5 := tx.TokenByPublicID(w.ctx, "pub")
		token.ID = gotToken.ID
		w.same("token", gotToken, token)
		b, err6 := tx.Repository(w.ctx, w.b.Ref)
		want := w.b
		want.UpstreamIDs, want.Upstreams, want.Connections = []int64{w.a.ID}, []string{"a"}, []string{"public:x", "public:y"}
		w.same("repository", b, want)
		graph, err7 := tx.Graph(w.ctx, w.domain.ID)
		w.same("graph", graph, []catalog.RepositoryRow{w.a, want})

		p, err8 := tx.Package(w.ctx, w.a.ID, name("box"))
		w.same("package", p, packhouse.Package{Ref: packhouse.PackageRef{Repo: w.a.Ref, Package: name("box")}, ID: p.ID, RepoID: w.a.ID, DisplayName: "box!",
			Controls: packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block}, Seq: 1, Created: w.now, Updated: w.now})
		byKey, err9 := tx.VersionsByKey(w.ctx, p.ID, []string{"1.0", "absent", "other"})
		w.same("versions by key", byKey, map[string]catalog.VersionRow{"1.0": version})
		if version.Published != w.now || version.Origin.Repository != "a" || string(version.Overlay) != `{"deprecated":"no"}` || version.Ref.Version != "1.0" {
			t.Errorf("version %+v", version)
		}
		gotFacts, err10 := tx.Facts(w.ctx, version.RevisionID)
		w.same("facts", gotFacts, facts(version.Revision))
		assets, err11 := tx.Assets(w.ctx, version.RevisionID)
		if len(assets) != 2 || assets[0].Name != "file-0" || assets[0].Digest != digest("main") || assets[0].Side || !assets[1].Side || assets[0].MediaType != "text/plain" {
			t.Errorf("assets %+v", assets)
		}
		found, packages, err12 := tx.ResolveAsset(w.ctx, []int64{w.b.ID, w.a.ID}, name("box"), "1.0", "file-0")
		if len(found) != 1 || len(packages) != 1 || found[0].RepoID != w.a.ID || packages[w.a.ID].Controls != p.Controls {
			t.Fatalf("found %+v, packages %+v", found, packages)
		}
		w.same("resolved asset", *found[0].Asset, assets[0])
		version.Ref.Package = name("box")
		w.same("resolved version", found[0].Version, version)
		found, _, err13 := tx.ResolveAsset(w.ctx, []int64{w.a.ID}, name("box"), "1.0", "absent")
		if len(found) != 1 || found[0].Asset != nil {
			t.Errorf("absent asset %+v", found)
		}
		return errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9, err10, err11, err12, err13)
	})
	remote.ETag, remote.FreshUntil = "e2", w.now.Add(time.Hour)
	w.update(func(tx *catalog.Tx) error {
		if err := tx.TouchRemoteIndex(w.ctx, remote); err != nil {
			return err
		}
		got, err := tx.RemoteIndex(w.ctx, w.domain.Key, "c", "cr", name("box"))
		w.same("renewed index", got, remote)
		return err
	})
}

func testIdentityEpoch(t *testing.T, w *world) {
	p := catalog.PrincipalRow{Account: account, Kind: packhouse.KindUser, Name: "u", ARN: "arn:u"}
	var policy int64
	epoch := func() (n int64) {
		w.view(func(tx *catalog.Tx) (err error) { n, err = tx.IdentityEpoch(w.ctx); return err })
		return n
	}
	for _, step := range []struct {
		name string
		fn   func(*catalog.Tx) error
	}{
		{"InsertPrincipal", func(tx *catalog.Tx) (err error) { p.ID, err = tx.InsertPrincipal(w.ctx, p); return err }},
		{"InsertAccessKey", func(tx *catalog.Tx) error {
			return tx.InsertAccessKey(w.ctx, catalog.AccessKeyRow{ID: "A", Principal: p, Secret: "s"})
		}},
		{"SetAccessKeyActive", func(tx *catalog.Tx) error { return tx.SetAccessKeyActive(w.ctx, "A", true) }},
		{"InsertToken", func(tx *catalog.Tx) error {
			return tx.InsertToken(w.ctx, catalog.TokenRow{PublicID: "t", SHA256: []byte{1}, Principal: p})
		}},
		{"DisableToken", func(tx *catalog.Tx) error { return tx.DisableToken(w.ctx, "t") }},
		{"PutPolicy", func(tx *catalog.Tx) (err error) {
			policy, err = tx.PutPolicy(w.ctx, catalog.PolicyRow{Account: account, Name: "pol", Document: "1"})
			return err
		}},
		{"PutPolicy again", func(tx *catalog.Tx) error {
			id, err := tx.PutPolicy(w.ctx, catalog.PolicyRow{Account: account, Name: "pol", Document: "2"})
			if id != policy {
				t.Errorf("a replaced policy is %d, was %d", id, policy)
			}
			return err
		}},
		{"AttachPolicy", func(tx *catalog.Tx) error { return tx.AttachPolicy(w.ctx, policy, p.ID) }},
		{"AttachPolicy again", func(tx *catalog.Tx) error { return tx.AttachPolicy(w.ctx, policy, p.ID) }},
		{"DisablePrincipal", func(tx *catalog.Tx) error { return tx.DisablePrincipal(w.ctx, p.ID, true) }},
	} {
		before := epoch()
		w.update(step.fn)
		if after := epoch(); after != before+1 {
			t.Errorf("%s: epoch %d, then %d", step.name, before, after)
		}
	}
	w.view(func(tx *catalog.Tx) error {
		got, err := tx.Principal(w.ctx, p.ID)
		if !got.Disabled || got.Epoch != p.Epoch+1 {
			t.Errorf("disabled principal %+v", got)
		}
		policies, err2 := tx.PoliciesOf(w.ctx, p.ID)
		w.same("policies", policies, []catalog.PolicyRow{{ID: policy, Account: account, Name: "pol", Path: "/", Document: "2"}})
		return errors.Join(err, err2)
	})
	w.update(func(tx *catalog.Tx) error { return tx.DeletePrincipal(w.ctx, p.ID) })
	for _, table := range []string{"principals", "access_keys", "tokens", "policy_attachments"} {
		if n := w.number(`SELECT count(*) FROM ` + table); n != 0 {
			t.Errorf("%d rows of %s outlive the principal", n, table)
		}
	}
}

func testReplays(t *testing.T, w *world) {
	remember := func(hash string, life time.Duration) error {
		return w.DB.Update(w.ctx, func(tx *catalog.Tx) error { return tx.RememberSignature(w.ctx, []byte(hash), w.now.Add(life)) })
	}
	if err := errors.Join(remember("a", time.Minute), remember("b", time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := remember("a", time.Minute); !errors.Is(err, catalog.ErrExists) {
		t.Errorf("a replay: %v", err)
	}
	w.now = w.now.Add(2 * time.Minute)
	if err := remember("c", time.Minute); err != nil {
		t.Fatal(err)
	}
	if n := w.number(`SELECT count(*) FROM replays`); n != 2 {
		t.Errorf("%d signatures kept, want 2: an expired one goes", n)
	}
	if err := errors.Join(remember("a", time.Minute)); err != nil {
		t.Errorf("after its end: %v", err)
	}
	if err := remember("b", time.Minute); !errors.Is(err, catalog.ErrExists) {
		t.Errorf("a replay of a longer one: %v", err)
	}
	forget := func(tx *catalog.Tx) error { return tx.ForgetSignature(w.ctx, []byte("b")) }
	w.update(forget)
	if err := remember("b", time.Minute); err != nil {
		t.Errorf("after it was given back: %v", err)
	}
	w.update(forget)
	w.update(forget) // again
}

func testAppendOnly(t *testing.T, w *world) {
	w.update(func(tx *catalog.Tx) error { return tx.Record(w.ctx, change(1)) })
	for _, q := range []string{`UPDATE changes SET detail = 'x'`, `DELETE FROM changes`} {
		if _, err := w.Raw.ExecContext(w.ctx, q); err == nil {
			t.Errorf("%s was not refused", q)
		}
	}
	if n := w.number(`SELECT count(*) FROM changes WHERE detail = ''`); n != 1 {
		t.Errorf("%d changes left", n)
	}
}

func testExhaustion(t *testing.T, w *world) {
	w.update(func(tx *catalog.Tx) error { _, err := w.publish(tx, w.a, name("box"), "1", "x"); return err })
	w.SetNextID("versions", 1<<31-1)
	w.update(func(tx *catalog.Tx) error { _, err := w.publish(tx, w.a, name("box"), "2", "y"); return err })
	err := w.DB.Update(w.ctx, func(tx *catalog.Tx) error { _, err := w.publish(tx, w.a, name("box"), "3", "z"); return err })
	if !errors.Is(err, catalog.ErrExhausted) {
		t.Errorf("after 2^31-1: %v, want ErrExhausted", err)
	}
	w.SetNextID("packages", 1<<31)
	err = w.DB.Update(w.ctx, func(tx *catalog.Tx) error { _, err := w.pkg(tx, w.a, name("other")); return err })
	if !errors.Is(err, catalog.ErrExhausted) {
		t.Errorf("package 2^31: %v, want ErrExhausted", err)
	}
	w.checkUsage("failed inserts")
}

func testPaging(t *testing.T, w *world) {
	var names []packhouse.PackageName
	for _, n := range []packhouse.PackageName{{Format: "generic", Namespace: "z", Name: "1:a"}, {Format: "npm", Name: "a"}, {Format: "npm", Name: "ab"},
		{Format: "npm", Name: "b"}, {Format: "npm", Namespace: "a", Name: "é"}, {Format: "npm", Namespace: "ab", Name: "a"}, {Format: "npm", Namespace: "b", Name: "Ab"}} {
		names = append(names, n)
		w.update(func(tx *catalog.Tx) error { _, err := w.pkg(tx, w.a, n); return err })
	}
	for _, tt := range []struct {
		name   string
		filter catalog.PackageFilter
		want   func(packhouse.PackageName) bool
	}{
		{"all", catalog.PackageFilter{}, func(packhouse.PackageName) bool { return true }},
		{"of a format", catalog.PackageFilter{Format: "npm"}, func(n packhouse.PackageName) bool { return n.Format == "npm" }},
		{"of a namespace prefix", catalog.PackageFilter{Format: "npm", NamespacePrefix: "a"},
			func(n packhouse.PackageName) bool {
				return n.Format == "npm" && n.Namespace != "" && n.Namespace[0] == 'a'
			}},
		{"of a name prefix in any format, case counts", catalog.PackageFilter{NamePrefix: "a"}, func(n packhouse.PackageName) bool { return n.Name[0] == 'a' }},
		{"that may be published to", catalog.PackageFilter{Publish: packhouse.Allow}, func(packhouse.PackageName) bool { return true }},
		{"that upstreams may feed", catalog.PackageFilter{Upstream: packhouse.Allow}, func(packhouse.PackageName) bool { return false }},
	} {
		for limit := 1; limit < 4; limit++ {
			tt.filter.RepoID, tt.filter.Limit, tt.filter.After = w.a.ID, limit, ""
			var got, want []packhouse.PackageName
			for _, n := range names {
				if tt.want(n) {
					want = append(want, n)
				}
			}
			w.view(func(tx *catalog.Tx) error {
				for {
					rows, next, err := tx.Packages(w.ctx, tt.filter)
					if err != nil {
						return err
					}
					for _, p := range rows {
						got = append(got, p.Ref.Package)
					}
					if tt.filter.After = next; next == "" {
						return nil
					}
				}
			})
			w.same(fmt.Sprint("packages ", tt.name, " by ", limit), got, want)
		}
	}

	var p packhouse.Package
	for i, v := range []string{"10", "9", "1:2", "b", "a"} { // two of them published at once
		w.update(func(tx *catalog.Tx) error {
			w.now = w.now.Add(time.Duration(i%2) * time.Second)
			_, err := w.publish(tx, w.b, name("box"), v, "x")
			p, _ = tx.Package(w.ctx, w.b.ID, name("box"))
			return err
		})
	}
	for newest, want := range map[bool][]string{false: {"10", "1:2", "9", "a", "b"}, true: {"a", "b", "1:2", "9", "10"}} {
		var got []string
		f := catalog.VersionFilter{PackageID: p.ID, NewestFirst: newest, Limit: 2, Status: packhouse.Published}
		w.view(func(tx *catalog.Tx) error {
			for {
				rows, next, err := tx.Versions(w.ctx, f)
				if err != nil {
					return err
				}
				for _, v := range rows {
					got = append(got, v.Ref.Version)
				}
				if next == "" {
					return nil
				}
				f.After = next
			}
		})
		w.same(fmt.Sprint("versions, newest first ", newest), got, want)
		f.NewestFirst = !newest
		w.view(func(tx *catalog.Tx) error {
			if _, _, err := tx.Versions(w.ctx, f); packhouse.ReasonOf(err) != "invalid_page_token" {
				t.Errorf("a cursor of the other order: %v", err)
			}
			return nil
		})
	}

	var repos []string
	w.repository("c")
	var second catalog.DomainRow
	w.update(func(tx *catalog.Tx) error { return w.makeDomain(tx, "abc", &second) })
	w.update(func(tx *catalog.Tx) error {
		_, err := tx.InsertRepository(w.ctx, catalog.RepositoryRow{UUID: "x", DomainID: second.ID, Ref: packhouse.RepoRef{Name: "z"}, Administrator: account})
		return err
	})
	f := catalog.RepositoryFilter{Administrator: account, Limit: 2}
	w.view(func(tx *catalog.Tx) error {
		for {
			rows, next, err := tx.Repositories(w.ctx, f)
			if err != nil {
				return err
			}
			for _, r := range rows {
				repos = append(repos, r.Ref.String())
			}
			if f.After = next; next == "" {
				return nil
			}
		}
	})
	if want := []string{"abc/z", "dom/a", "dom/b", "dom/c"}; !slices.Equal(repos, want) {
		t.Errorf("repositories %v, want %v", repos, want)
	}
	w.view(func(tx *catalog.Tx) error {
		rows, next, err := tx.Repositories(w.ctx, catalog.RepositoryFilter{DomainID: w.domain.ID, Prefix: "b", Limit: 5})
		if len(rows) != 1 || rows[0].Ref.Name != "b" || next != "" {
			t.Errorf("prefix b: %+v, %q", rows, next)
		}
		if _, _, err := tx.Repositories(w.ctx, catalog.RepositoryFilter{After: "3:x", Limit: 1}); packhouse.ReasonOf(err) != "invalid_page_token" {
			t.Errorf("a made-up cursor: %v", err)
		}
		domains, err2 := tx.Domains(w.ctx, account, "abc", 5)
		if len(domains) != 1 || domains[0].Ref.Name != "dom" {
			t.Errorf("domains after abc: %+v", domains)
		}
		return errors.Join(err, err2)
	})
}
