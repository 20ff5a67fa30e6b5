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

// writes are the methods of Tx that testTombstones need not call: they change things.
var writes = []string{"AddConnection", "ApproveLogin", "DenyLogin", "InsertLogin", "PutSecondFactor", "RemoveSecondFactor", "RevokeSealed",
	"AppendPart", "DeleteUpload", "EndUpload", "InsertUpload", "KeepUpload", "SetPassword", "TakeLogin", "UseStep", "AttachPolicy", "BumpPackage", "DeleteDomain", "DeletePackage", "DeletePrincipal", "DeleteRepository",
	"DeleteVersion", "DisablePrincipal", "DisableToken", "EnsureRevision", "FillHashes", "ForgetSignature", "InsertAccessKey", "InsertAccount",
	"InsertDomain", "InsertInstallation", "InsertPackage", "InsertPrincipal", "InsertRepository", "InsertToken", "InsertVersion", "PutPolicy",
	"PutRemoteIndex", "PutResourceTags", "PutSetting", "Record", "RememberSignature", "RemoveConnection", "RemoveResourceTags", "RemoveTag",
	"ReplaceUpstreams", "RepointVersion", "SetAccessKeyActive", "SetControls", "SetDescription", "SetOrigin", "SetOverlay", "SetStatus", "SetTag",
	"TakeLease", "KeepLease", "HoldLease", "DropLease", "PutPass", "QuarantineBlob", "ReleaseBlob", "ReplaceBlob",
	"TouchRemoteIndex", "UseBlob", "IndexPackages", "Star", "Unstar", "InsertSigningKey", "ExpireSigningKey", "InsertPackageGroup", "SetPackageGroupTexts", "SetPackageGroupOrigin", "DeletePackageGroup",
	"InsertWebhook", "EnableWebhook", "MoveWebhook", "DeleteWebhook", "InsertDeliveries", "PutDelivery", "Redeliver", "PruneDeliveries",
	"AccessKeyUsed", "AddMember", "DeleteAccessKey", "DeleteInlinePolicy", "DeletePolicy", "DeleteProvider", "DetachPolicy", "InsertPolicy",
	"InsertProvider", "PutInlinePolicy", "RemoveMember", "UpdatePrincipal", "InsertPolicyVersion", "SetDefaultPolicyVersion", "DeletePolicyVersion", "SetPolicyTags",
	"AppendAudit", "InsertBlock", "DeleteBlock", "PutResourcePolicy", "DeleteResourcePolicy"}

// others are reads of what has no tombstones: identities, the ledger, and content,
// which is reached through live versions only.
var others = []string{"CountUploads", "ExpiredUploads", "Upload", "UploadParts", "LiveTokens", "LoginByPage", "LoginByPoll", "PasswordByName", "Revoked", "SecondFactor", "AccessKey", "Accounts", "Assets", "AssetsFrom", "CountStars", "Summaries", "BlobsWithoutHashes", "Changes", "LatestChange", "ChangeBefore", "AssetNames", "Webhook", "WebhookByID", "Webhooks", "EnabledWebhooks",
	"DueDeliveries", "Deliveries", "CountWaiting", "Facts", "FindBlob", "BlobToKeep", "Body", "Bodies", "IdentityEpoch", "Installation",
	"NextGeneration", "Audit", "AuditBefore", "PoliciesOf", "Principal", "PrincipalByName", "Principals", "SigningKeys", "CurrentSigningKey", "KnownRemotes", "RemoteIndex", "Setting", "TokenByPublicID", "Tokens", "DomainPackageAt", "PackageGroupTexts",
	"AccessKeys", "CountPolicies", "CountPrincipals", "GroupsOf", "InlinePolicies", "ManagedPolicies", "Members", "PolicyByName", "PrincipalsAfter",
	"Provider", "Providers", "RightsOf", "Pass", "StoredBlobs", "NewestBlob", "BlobOfObject", "KnownObjects", "CountQuarantined", "BlobUses", "AccountRows", "PasswordSince", "PolicyByID", "PolicyVersions", "PrincipalsUnder"}

// testTombstones buries everything and calls every read. A new method of Tx must be
// put on one of the lists.
func testTombstones(t *testing.T, w *world) {
	var p packhouse.Package
	var v catalog.VersionRow
	var who int64
	w.update(func(tx *catalog.Tx) (err error) {
		who, err = tx.InsertPrincipal(w.ctx, catalog.PrincipalRow{Account: account, Kind: packhouse.KindUser, Name: "ann", ARN: "arn:ann"})
		return err
	})
	fill := func(tx *catalog.Tx) (err error) {
		if v, err = w.publish(tx, w.a, name("box"), "1.0.0", "content"); err != nil {
			return err
		}
		if p, err = tx.Package(w.ctx, w.a.ID, name("box")); err != nil {
			return err
		}
		return errors.Join(tx.Star(w.ctx, who, p.ID), tx.SetTag(w.ctx, p.ID, "latest", v.ID, w.now), tx.ReplaceUpstreams(w.ctx, w.a.ID, []int64{w.b.ID}),
			tx.ReplaceUpstreams(w.ctx, w.b.ID, []int64{w.a.ID}),
			tx.PutResourceTags(w.ctx, catalog.TaggedDomain, w.domain.ID, []packhouse.ResourceTag{{Key: "k", Value: "v"}}),
			tx.PutResourceTags(w.ctx, catalog.TaggedRepository, w.a.ID, []packhouse.ResourceTag{{Key: "k", Value: "v"}}),
			tx.PutResourcePolicy(w.ctx, packhouse.ResourceDomain, w.domain.ID, catalog.ResourcePolicyRow{Revision: "1", Document: "{}"}),
			tx.PutResourcePolicy(w.ctx, packhouse.ResourceRepository, w.a.ID, catalog.ResourcePolicyRow{Revision: "1", Document: "{}"}))
	}
	both := []int64{w.a.ID, w.b.ID}
	reads := map[string]func(*catalog.Tx) ([]any, error){
		"Domain":            func(tx *catalog.Tx) ([]any, error) { return result(tx.Domain(w.ctx, w.domain.Ref)) },
		"DomainByID":        func(tx *catalog.Tx) ([]any, error) { return result(tx.DomainByID(w.ctx, w.domain.ID)) },
		"Domains":           func(tx *catalog.Tx) ([]any, error) { return result(tx.Domains(w.ctx, account, "", 10)) },
		"CountDomains":      func(tx *catalog.Tx) ([]any, error) { return result(tx.CountDomains(w.ctx, account)) },
		"Repository":        func(tx *catalog.Tx) ([]any, error) { return result(tx.Repository(w.ctx, w.a.Ref)) },
		"CountRepositories": func(tx *catalog.Tx) ([]any, error) { return result(tx.CountRepositories(w.ctx, w.domain.ID)) },
		"RepositoryBytes":   func(tx *catalog.Tx) ([]any, error) { return result(tx.RepositoryBytes(w.ctx, w.a.ID)) },
		"Graph":             func(tx *catalog.Tx) ([]any, error) { return result(tx.Graph(w.ctx, w.domain.ID)) },
		"Origins": func(tx *catalog.Tx) ([]any, error) {
			return result(tx.Origins(w.ctx, both, []packhouse.PackageName{name("box")}))
		},
		"PulledAssets": func(tx *catalog.Tx) ([]any, error) {
			return result(tx.PulledAssets(w.ctx, both, name("box"), ""))
		},
		"Receivers": func(tx *catalog.Tx) ([]any, error) {
			return result(tx.Receivers(w.ctx, both, name("box"), "1.0.0"))
		},
		"Receivers, versions": func(tx *catalog.Tx) ([]any, error) {
			found, err := tx.Receivers(w.ctx, both, name("box"), "1.0.0")
			return []any{slices.DeleteFunc(found, func(r catalog.Receiver) bool { return !r.Has })}, err
		},
		"RepositoryLives": func(tx *catalog.Tx) ([]any, error) { return result(tx.RepositoryLives(w.ctx, w.a.ID)) },
		"Package":         func(tx *catalog.Tx) ([]any, error) { return result(tx.Package(w.ctx, w.a.ID, name("box"))) },
		"LockPackage":     func(tx *catalog.Tx) ([]any, error) { return result(tx.LockPackage(w.ctx, w.a.ID, name("box"))) },
		"Version":         func(tx *catalog.Tx) ([]any, error) { return result(tx.Version(w.ctx, p.ID, "1.0.0")) },
		"VersionsByKey":   func(tx *catalog.Tx) ([]any, error) { return result(tx.VersionsByKey(w.ctx, p.ID, []string{"1.0.0"})) },
		"AllVersions":     func(tx *catalog.Tx) ([]any, error) { return result(tx.AllVersions(w.ctx, p.ID)) },
		"Tags":            func(tx *catalog.Tx) ([]any, error) { return result(tx.Tags(w.ctx, p.ID)) },
		"Resolve":         func(tx *catalog.Tx) ([]any, error) { return result(tx.Resolve(w.ctx, both, name("box"))) },
		"DomainUsage": func(tx *catalog.Tx) ([]any, error) {
			bytes, repositories, err := tx.DomainUsage(w.ctx, w.domain.ID)
			return []any{bytes, repositories}, err
		},
		"PackageGroups": func(tx *catalog.Tx) ([]any, error) {
			list, err := tx.PackageGroups(w.ctx, w.domain.ID)
			if err != nil || len(list) == 0 {
				return []any{nothing, nothing}, err
			}
			texts, err := tx.PackageGroupTexts(w.ctx, []int64{list[0].ID})
			return []any{list, texts}, err
		},
		"DomainPackages": func(tx *catalog.Tx) ([]any, error) {
			return result(tx.DomainPackages(w.ctx, w.domain.ID, catalog.DomainPackage{}, "/", "0", 10))
		},
		"Blocks":         func(tx *catalog.Tx) ([]any, error) { return result(tx.Blocks(w.ctx, w.domain.ID)) },
		"CountBlocks":    func(tx *catalog.Tx) ([]any, error) { return result(tx.CountBlocks(w.ctx, w.domain.ID)) },
		"RepositoryTags": func(tx *catalog.Tx) ([]any, error) { return result(tx.RepositoryTags(w.ctx, w.domain.ID, "k")) },
		"ResourceTags": func(tx *catalog.Tx) ([]any, error) {
			a, err := tx.ResourceTags(w.ctx, catalog.TaggedDomain, w.domain.ID)
			b, err2 := tx.ResourceTags(w.ctx, catalog.TaggedRepository, w.a.ID)
			return []any{a, b}, errors.Join(err, err2)
		},
		"Access": func(tx *catalog.Tx) ([]any, error) { return result(tx.Access(w.ctx, w.a.Ref)) },
		"ResourcePolicy": func(tx *catalog.Tx) ([]any, error) {
			a, err := tx.ResourcePolicy(w.ctx, packhouse.ResourceDomain, w.domain.ID)
			b, err2 := tx.ResourcePolicy(w.ctx, packhouse.ResourceRepository, w.a.ID)
			return []any{a, b}, errors.Join(err, err2)
		},
		"PolicyHolders": func(tx *catalog.Tx) ([]any, error) { return result(tx.PolicyHolders(w.ctx, account)) },
		"Repositories": func(tx *catalog.Tx) ([]any, error) {
			a, _, err := tx.Repositories(w.ctx, catalog.RepositoryFilter{Limit: 10})
			b, _, err2 := tx.Repositories(w.ctx, catalog.RepositoryFilter{DomainID: w.domain.ID, Limit: 10})
			return []any{a, b}, errors.Join(err, err2)
		},
		"Search": func(tx *catalog.Tx) ([]any, error) {
			var found []catalog.Match
			_, err := tx.Search(w.ctx, catalog.Search{DomainID: w.domain.ID, RepoIDs: both, Format: "npm", Exact: name("box"), Wanted: text("box").Wanted},
				func(m []catalog.Match) (bool, error) { found = append(found, m...); return true, nil })
			return []any{found}, err
		},
		"Listed": func(tx *catalog.Tx) ([]any, error) {
			return result(tx.Listed(w.ctx, []catalog.Match{{PackageID: p.ID}}, both))
		},
		"Held": func(tx *catalog.Tx) ([]any, error) {
			return result(tx.Held(w.ctx, []catalog.VersionOf{{PackageID: p.ID, VersionKey: "1.0.0"}}))
		},
		"Starred": func(tx *catalog.Tx) ([]any, error) { return result(tx.Starred(w.ctx, who, w.a.ID, "npm")) },
		"Packages": func(tx *catalog.Tx) ([]any, error) {
			a, _, err := tx.Packages(w.ctx, catalog.PackageFilter{RepoID: w.a.ID, Limit: 10})
			b, _, err2 := tx.Packages(w.ctx, catalog.PackageFilter{RepoID: w.a.ID, Format: "npm", Limit: 10})
			return []any{a, b}, errors.Join(err, err2)
		},
		"Versions": func(tx *catalog.Tx) ([]any, error) {
			a, _, err := tx.Versions(w.ctx, catalog.VersionFilter{PackageID: p.ID, Limit: 10})
			b, _, err2 := tx.Versions(w.ctx, catalog.VersionFilter{PackageID: p.ID, NewestFirst: true, Limit: 10})
			return []any{a, b}, errors.Join(err, err2)
		},
		"Resolve, versions and tags": func(tx *catalog.Tx) ([]any, error) {
			found, err := tx.Resolve(w.ctx, both, name("box"))
			if err != nil || len(found) == 0 {
				return []any{nothing, nothing}, err
			}
			return []any{found[0].Versions, found[0].Tags}, nil
		},
		"ResolveAsset, versions": func(tx *catalog.Tx) ([]any, error) {
			found, _, err := tx.ResolveAsset(w.ctx, both, name("box"), "1.0.0", "file-0")
			return []any{found}, err
		},
		"ResolveAsset": func(tx *catalog.Tx) ([]any, error) {
			found, packages, err := tx.ResolveAsset(w.ctx, both, name("box"), "1.0.0", "file-0")
			return []any{found, packages}, err
		},
	}
	methods := reflect.TypeFor[*catalog.Tx]()
	for i := range methods.NumMethod() {
		m := methods.Method(i).Name
		if _, read := reads[m]; !read && !slices.Contains(writes, m) && !slices.Contains(others, m) {
			t.Errorf("Tx.%s is on none of the lists of this test", m)
		}
	}
	check := func(when string, hidden bool, names ...string) {
		t.Helper()
		w.update(func(tx *catalog.Tx) error {
			for m, read := range reads {
				if len(names) > 0 && !slices.Contains(names, m) {
					continue
				}
				values, err := read(tx)
				if err != nil && !errors.Is(err, catalog.ErrNotFound) {
					t.Errorf("%s: %s: %v", when, m, err)
				}
				for i, v := range values {
					if empty := errors.Is(err, catalog.ErrNotFound) || isEmpty(v); empty != hidden {
						t.Errorf("%s: %s, value %d: %v, hidden %v, want %v", when, m, i, v, empty, hidden)
					}
				}
			}
			return errUndo
		})
	}
	below := []string{"RepositoryBytes", "Receivers, versions", "Version", "VersionsByKey", "AllVersions", "Versions", "Tags", "Resolve, versions and tags", "ResolveAsset, versions", "Held"}
	record := []string{"Package", "LockPackage", "Packages", "Resolve", "Search", "Listed", "Starred", "DomainPackages"}
	w.update(fill)
	w.update(func(tx *catalog.Tx) error {
		return tx.InsertBlock(w.ctx, w.domain.ID, catalog.BlockRow{BlockEntry: packhouse.BlockEntry{Target: "npm/box"}, Name: name("box")})
	})
	check("before", false)
	w.update(func(tx *catalog.Tx) error { return tx.DeleteVersion(w.ctx, v.ID) })
	check("version deleted", true, below...)
	check("version deleted", false, record...)
	w.update(fill) // the coordinates are free again
	check("version published again", false)
	w.update(func(tx *catalog.Tx) error { return tx.DeletePackage(w.ctx, p.ID) })
	check("package deleted", true, append(slices.Clone(below), append(record, "ResolveAsset")...)...)
	w.update(fill)
	check("package made again", false)
	w.update(func(tx *catalog.Tx) error { return tx.DeleteRepository(w.ctx, w.a.ID) })
	w.view(func(tx *catalog.Tx) error {
		rows, err := tx.Graph(w.ctx, w.domain.ID)
		if len(rows) != 1 || len(rows[0].Upstreams) != 0 {
			t.Errorf("the other repository is %+v", rows)
		}
		return err
	})
	w.update(func(tx *catalog.Tx) error {
		return errors.Join(tx.DeleteRepository(w.ctx, w.b.ID), tx.DeleteDomain(w.ctx, w.domain.ID))
	})
	check("everything deleted", true)

	// Writes do not reach the buried either.
	for what, write := range map[string]func(*catalog.Tx) error{
		"SetStatus":      func(tx *catalog.Tx) error { return tx.SetStatus(w.ctx, v.ID, packhouse.Archived) },
		"SetOverlay":     func(tx *catalog.Tx) error { return tx.SetOverlay(w.ctx, v.ID, []byte("x")) },
		"SetOrigin":      func(tx *catalog.Tx) error { return tx.SetOrigin(w.ctx, v.ID, packhouse.Origin{}, time.Time{}) },
		"RepointVersion": func(tx *catalog.Tx) error { return tx.RepointVersion(w.ctx, v.ID, v.RevisionID, packhouse.Published) },
		"DeleteVersion":  func(tx *catalog.Tx) error { return tx.DeleteVersion(w.ctx, v.ID) },
		"SetTag":         func(tx *catalog.Tx) error { return tx.SetTag(w.ctx, p.ID, "t", v.ID, w.now) },
		"SetControls":    func(tx *catalog.Tx) error { return tx.SetControls(w.ctx, p.ID, packhouse.OriginControls{}) },
		"BumpPackage":    func(tx *catalog.Tx) error { _, err := tx.BumpPackage(w.ctx, p.ID, w.now); return err },
		"DeletePackage":  func(tx *catalog.Tx) error { return tx.DeletePackage(w.ctx, p.ID) },
		"SetDescription": func(tx *catalog.Tx) error { return tx.SetDescription(w.ctx, w.a.ID, "x") },
	} {
		if err := w.DB.Update(w.ctx, write); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("%s on what is deleted: %v", what, err)
		}
	}
}

// nothing is an empty list.
var nothing []int

func result[T any](v T, err error) ([]any, error) { return []any{v}, err }

// isEmpty reports whether a read found nothing.
func isEmpty(v any) bool {
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Slice, reflect.Map:
		return r.Len() == 0
	default:
		return r.IsZero()
	}
}

// testStatementCounts runs the same calls over few rows and over many.
func testStatementCounts(t *testing.T, w *world) {
	count := func(fn func()) int64 {
		before := w.DB.Statements()
		fn()
		return w.DB.Statements() - before
	}
	var v catalog.VersionRow
	fill := func(n packhouse.PackageName, versions, files int) (p packhouse.Package) {
		var contents []string
		for i := range files {
			contents = append(contents, fmt.Sprint(i, " of ", n.Name))
		}
		w.update(func(tx *catalog.Tx) (err error) {
			for i := range versions {
				if v, err = w.publish(tx, w.a, n, fmt.Sprint(i), contents...); err != nil {
					return err
				}
			}
			p, err = tx.Package(w.ctx, w.a.ID, n)
			return err
		})
		return p
	}
	var keys []string
	for i := range 100 {
		keys = append(keys, fmt.Sprint(i))
	}
	// Each case says what runs over a package with few rows and one with many.
	cases := []struct {
		name string
		run  func(tx *catalog.Tx, p packhouse.Package, v catalog.VersionRow) error
	}{
		{"Resolve", func(tx *catalog.Tx, p packhouse.Package, _ catalog.VersionRow) error {
			_, err := tx.Resolve(w.ctx, []int64{w.a.ID, w.b.ID}, p.Ref.Package)
			return err
		}},
		{"AllVersions", func(tx *catalog.Tx, p packhouse.Package, _ catalog.VersionRow) error {
			_, err := tx.AllVersions(w.ctx, p.ID)
			return err
		}},
		{"VersionsByKey", func(tx *catalog.Tx, p packhouse.Package, _ catalog.VersionRow) error {
			_, err := tx.VersionsByKey(w.ctx, p.ID, keys)
			return err
		}},
		{"Versions", func(tx *catalog.Tx, p packhouse.Package, _ catalog.VersionRow) error {
			_, _, err := tx.Versions(w.ctx, catalog.VersionFilter{PackageID: p.ID, Limit: 1000})
			return err
		}},
		{"Assets", func(tx *catalog.Tx, _ packhouse.Package, v catalog.VersionRow) error {
			_, err := tx.Assets(w.ctx, v.RevisionID)
			return err
		}},
		{"SetStatus to Disposed and back", func(tx *catalog.Tx, _ packhouse.Package, v catalog.VersionRow) error {
			return errors.Join(tx.SetStatus(w.ctx, v.ID, packhouse.Disposed), tx.SetStatus(w.ctx, v.ID, packhouse.Published))
		}},
		{"EnsureRevision", func(tx *catalog.Tx, p packhouse.Package, v catalog.VersionRow) error {
			rows, err := tx.Assets(w.ctx, v.RevisionID)
			if err != nil {
				return err
			}
			r := catalog.Revision{Domain: w.domain.Key, Name: "copy of " + p.Ref.Package.Name}
			for _, a := range rows {
				r.Assets = append(r.Assets, catalog.RevisionAsset{Name: a.Name, BlobID: a.Blob.ID})
			}
			_, err = tx.EnsureRevision(w.ctx, r)
			return err
		}},
		{"DeletePackage", func(tx *catalog.Tx, p packhouse.Package, _ catalog.VersionRow) error {
			return tx.DeletePackage(w.ctx, p.ID)
		}},
	}
	few := fill(name("few"), 2, 2)
	fewV := v
	many := fill(name("many"), 40, 60)
	manyV := v
	for _, c := range cases {
		var got [2]int64
		for i, p := range []packhouse.Package{few, many} {
			row := []catalog.VersionRow{fewV, manyV}[i]
			got[i] = count(func() { w.update(func(tx *catalog.Tx) error { return c.run(tx, p, row) }) })
		}
		if got[0] != got[1] || got[0] == 0 {
			t.Errorf("%s: %d statements over few rows, %d over many", c.name, got[0], got[1])
		}
	}
	w.view(func(tx *catalog.Tx) error { _, err := tx.DomainByID(w.ctx, w.domain.ID); return err })
	fill(name("again"), 10, 1)
	warm := func() {
		w.view(func(tx *catalog.Tx) error {
			_, err := tx.Resolve(w.ctx, []int64{w.a.ID, w.b.ID}, name("again"))
			return err
		})
	}
	warm()
	if n := count(warm); n != 2 {
		t.Errorf("a resolution takes %d statements, want 2", n)
	}
}
