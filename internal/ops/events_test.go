package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/events"
	"github.com/packhouse/packhouse/internal/format"
)

// told is what the tests look at of an event.
type told struct {
	DetailType string `json:"detail-type"`
	Account    string
	Detail     struct {
		RepositoryName, PackageName, PackageVersion, PackageVersionState, OperationType string
		SequenceNumber                                                                  int64
		Changes                                                                         events.Changes
	}
}

func (e told) String() string {
	c := e.Detail.Changes
	return fmt.Sprintf("%s %s/%s@%s %s +%d -%d ~%d metadata=%v status=%v", e.Detail.OperationType, e.Detail.RepositoryName, e.Detail.PackageName, e.Detail.PackageVersion,
		e.Detail.PackageVersionState, c.AssetsAdded, c.AssetsRemoved, c.AssetsUpdated, c.MetadataUpdated, c.StatusChanged)
}

// events reads everything that who may read behind a place, and the place to go on from.
func (e *env) events(who packhouse.Principal, q EventQuery) (list []told, next int64) {
	e.t.Helper()
	for {
		page, next, more, err := e.s.Events(e.ctx, who, q)
		e.must(err)
		for _, p := range page {
			var one told
			e.must(json.Unmarshal(p.JSON, &one))
			list = append(list, one)
		}
		if q.After = next; !more {
			return list, next
		}
	}
}

// What happens to versions is told with what it did (codeartifact.md 3.13).
func TestEventsOfOperations(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	team, prod := e.repo(d, "team"), e.repo(d, "prod")
	lib := in(team, "lib")
	place := int64(0)
	step := func(what string, want ...string) {
		t.Helper()
		list, next := e.events(e.admin, EventQuery{Domain: d, After: place})
		place = next
		var got []string
		for _, one := range list {
			got = append(got, one.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	e.publish(lib, "1.0", "one")
	e.publish(lib, "2.0", "two")
	step("publish", "Created team/lib@1.0 Published +1 -0 ~0 metadata=true status=true", "Created team/lib@2.0 Published +1 -0 ~0 metadata=true status=true")
	e.publish(lib, "2.0", "two")
	step("the same again")
	e.status(lib, packhouse.Unlisted, "1.0")
	step("status", "Updated team/lib@1.0 Unlisted +0 -0 ~0 metadata=false status=true")
	overlay := []byte(`{"deprecated":"old"}`)
	e.must(e.s.Amend(e.ctx, e.admin, lib, format.Amendments{Versions: []format.Amendment{{Version: "1.0", Overlay: &overlay}}}))
	step("overlay", "Updated team/lib@1.0 Unlisted +0 -0 ~0 metadata=true status=false")
	copyIt := func(overwrite bool) {
		t.Helper()
		b, err := e.s.CopyVersions(e.ctx, e.admin, CopyVersions{Domain: d, Source: "team", Destination: "prod", Package: lib.Package, Versions: []string{"2.0"}, AllowOverwrite: overwrite})
		e.must(err)
		if len(b.Done) != 1 {
			t.Fatalf("copy: %+v", b)
		}
	}
	copyIt(false)
	step("copy", "Created prod/lib@2.0 Published +1 -0 ~0 metadata=true status=true")
	_, err := e.s.DeleteVersions(e.ctx, e.admin, ChangeVersions{Package: in(prod, "lib"), Versions: []string{"2.0"}})
	e.must(err)
	step("delete", "Deleted prod/lib@2.0 Published +0 -1 ~0 metadata=false status=true")
	e.must(func() error {
		_, err := e.s.PutControls(e.ctx, e.admin, in(prod, "lib"), packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block})
		return err
	}())
	e.publish(in(prod, "lib"), "2.0", "other bytes")
	copyIt(true)
	step("copy over", "Created prod/lib@2.0 Published +1 -0 ~0 metadata=true status=true", "Updated prod/lib@2.0 Published +0 -0 ~1 metadata=true status=false")
	e.status(lib, packhouse.Disposed, "1.0")
	step("dispose", "Updated team/lib@1.0 Disposed +0 -1 ~0 metadata=false status=true")
	_, err = e.s.DeletePackage(e.ctx, e.admin, lib)
	e.must(err)
	step("delete package: one per version", "Deleted team/lib@1.0 Disposed +0 -0 ~0 metadata=false status=true", "Deleted team/lib@2.0 Published +0 -1 ~0 metadata=false status=true")
	_, err = e.s.DeleteRepository(e.ctx, e.admin, prod)
	e.must(err)
	step("delete repository: one per version", "Deleted prod/lib@2.0 Published +0 -1 ~0 metadata=false status=true")
}

// Deleting a large repository goes in steps of bounded transactions, and leaves a change
// for every version and every package, each once, and the repository's own last.
func TestDeleteRepositoryTellsOfEveryVersion(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	r := e.repo(d, "team")
	const big, small = 450, 130
	for i := range big {
		e.publish(in(r, "big"), fmt.Sprintf("1.%03d", i), "same bytes")
	}
	for i := range small {
		e.publish(in(r, fmt.Sprintf("small-%03d", i)), "1.0", "same bytes")
	}
	e.recorded()
	transactions := 0
	for done := false; !done; transactions++ {
		var err error
		_, done, err = e.s.deletionStep(e.ctx, e.admin, r)
		e.must(err)
		if got := e.recorded(); len(got) > stepVersions+stepPackages+1 {
			t.Errorf("one step recorded %d changes, want at most %d", len(got), stepVersions+stepPackages+1)
		}
	}
	if transactions < 3 {
		t.Errorf("%d transactions, want several", transactions)
	}
	deleted, packages, last := map[string]int{}, 0, packhouse.ChangeKind("")
	e.must(e.db.View(e.ctx, func(tx *catalog.Tx) error {
		for after := int64(0); ; {
			page, err := tx.Changes(e.ctx, after, 1000)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, c := range page {
				after, last = c.ID, c.Kind
				switch c.Kind {
				case packhouse.ChangeVersionDeleted:
					deleted[c.Package.Name+"@"+c.Version]++
				case packhouse.ChangePackageDeleted:
					packages++
				}
			}
		}
	}))
	for what, n := range deleted {
		if n != 1 {
			t.Errorf("%s was told %d times", what, n)
		}
	}
	if len(deleted) != big+small || packages != small+1 || last != packhouse.ChangeRepositoryDeleted {
		t.Errorf("%d versions and %d packages were told of, last %s; want %d, %d and the repository", len(deleted), packages, last, big+small, small+1)
	}
	if e.size(d) != 0 {
		t.Errorf("the domain still holds %d bytes", e.size(d))
	}
}

// S20: a reader sees the events of the domains that it may describe, and nothing of
// others, by whatever way it asks.
func TestEventsFollowRights(t *testing.T) {
	e := newEnv(t)
	one, two := e.domain("one"), e.domain("two")
	e.publish(in(e.repo(one, "team"), "lib"), "1.0", "x")
	e.publish(in(e.repo(one, "other"), "lib"), "1.0", "x")
	e.publish(in(e.repo(two, "team"), "lib"), "1.0", "x")
	reader := e.allowed("reader", `{"Effect":"Allow","Action":["codeartifact:ListDomains"],"Resource":"*"}`,
		`{"Effect":"Allow","Action":"codeartifact:DescribeDomain","Resource":"arn:aws:codeartifact:us-west-2:111122223333:domain/one"}`)
	if list, _ := e.events(e.admin, EventQuery{}); len(list) != 3 {
		t.Errorf("the administrator reads %v, want all three", list)
	}
	if list, _ := e.events(reader, EventQuery{}); len(list) != 2 {
		t.Errorf("the reader reads %v, want those of domain one", list)
	}
	if list, _ := e.events(reader, EventQuery{Domain: one, Repo: "other"}); len(list) != 1 || list[0].Detail.RepositoryName != "other" {
		t.Errorf("of one repository the reader reads %v", list)
	}
	_, _, _, err := e.s.Events(e.ctx, reader, EventQuery{Domain: two})
	e.wantError(err, packhouse.KindDenied, "")
	list, next := e.events(e.stranger, EventQuery{})
	if len(list) != 0 || next == 0 {
		t.Errorf("another account reads %v and goes on from %d, want nothing and the end", list, next)
	}
}

func TestEventPlaces(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	lib := in(e.repo(d, "team"), "lib")
	e.publish(lib, "1.0", "x")
	e.now.Add(int64(time.Hour))
	middle := time.Unix(0, e.now.Load())
	e.publish(lib, "2.0", "y")
	place, err := e.s.EventPlace(e.ctx, e.admin, d, middle)
	e.must(err)
	if list, _ := e.events(e.admin, EventQuery{Domain: d, After: place, Since: middle}); len(list) != 1 || list[0].Detail.PackageVersion != "2.0" {
		t.Errorf("since an hour later: %v, want 2.0", list)
	}
	now, err := e.s.EventPlace(e.ctx, e.admin, d, time.Time{})
	e.must(err)
	if list, _ := e.events(e.admin, EventQuery{Domain: d, After: now}); len(list) != 0 {
		t.Errorf("from now on: %v, want nothing", list)
	}
}

// taker is a Sender that takes everything.
type taker struct{ sent int }

func (s *taker) Check(address string) error {
	if !strings.HasPrefix(address, "https://") {
		return fmt.Errorf("it must be an address of the form https://host/path")
	}
	return nil
}

func (s *taker) Post(context.Context, string, http.Header, []byte) (int, []byte, error) {
	s.sent++
	return http.StatusTeapot, []byte("short and stout"), nil
}

func TestWebhooks(t *testing.T) {
	to := &taker{}
	e := newEnv(t, func(o *Options) { o.Webhooks, o.Quotas.WebhooksPerAccount = to, 2 })
	create := func(in CreateWebhook) error {
		_, _, err := e.s.CreateWebhook(e.ctx, e.admin, in)
		return err
	}
	good := CreateWebhook{Name: "ci", URL: "https://ci.example/hook"}
	for sentence, tt := range map[string]struct {
		change func(*CreateWebhook)
		reason string
	}{
		"name with a slash":           {func(in *CreateWebhook) { in.Name = "a/b" }, "invalid_name"},
		"no name":                     {func(in *CreateWebhook) { in.Name = "" }, "invalid_name"},
		"address that is not allowed": {func(in *CreateWebhook) { in.URL = "http://10.0.0.1/" }, "invalid_url"},
		"secret that can be guessed":  {func(in *CreateWebhook) { in.Secret = "fifteen letters" }, "invalid_secret"},
		"repository without domain":   {func(in *CreateWebhook) { in.Filter.Repository = "team" }, "invalid_filter"},
		"unknown detail type":         {func(in *CreateWebhook) { in.Filter.DetailTypes = []string{"x"} }, "invalid_filter"},
	} {
		in := good
		tt.change(&in)
		t.Run(sentence, func(t *testing.T) { e.wantError(create(in), packhouse.KindInvalid, tt.reason) })
	}
	hook, secret, err := e.s.CreateWebhook(e.ctx, e.admin, good)
	e.must(err)
	if len(secret) < 40 || !hook.Enabled {
		t.Errorf("secret of %d characters, enabled %v", len(secret), hook.Enabled)
	}
	e.wantError(create(good), packhouse.KindConflict, "webhook_exists")
	e.must(create(CreateWebhook{Name: "second", URL: good.URL, Disabled: true}))
	e.wantError(create(CreateWebhook{Name: "third", URL: good.URL}), packhouse.KindQuotaExceeded, "webhooks_per_account")

	list, err := e.s.Webhooks(e.ctx, e.admin)
	e.must(err)
	if len(list) != 2 || list[0].Name != "ci" || list[1].Enabled {
		t.Errorf("webhooks %v", list)
	}
	attempt, err := e.s.TestWebhook(e.ctx, e.admin, "ci")
	e.must(err)
	if attempt.Delivered || attempt.Status != http.StatusTeapot || attempt.Error != "short and stout" || to.sent != 1 {
		t.Errorf("test %+v, %d sent", attempt, to.sent)
	}
	// Another account has its own names and sees nothing of ours.
	if theirs, err := e.s.Webhooks(e.ctx, e.stranger); err != nil || len(theirs) != 0 {
		t.Errorf("another account sees %v, %v", theirs, err)
	}
	_, err = e.s.Webhook(e.ctx, e.stranger, "ci")
	e.wantError(err, packhouse.KindNotFound, "webhook_not_found")
	// No managed policy and no read-only credential opens webhooks.
	_, err = e.s.Webhooks(e.ctx, e.allowed("reader", `{"Effect":"Allow","Action":"codeartifact:*","Resource":"*"}`))
	e.wantError(err, packhouse.KindDenied, "")

	second, err := e.s.EnableWebhook(e.ctx, e.admin, "second", true)
	e.must(err)
	if !second.Enabled {
		t.Error("not enabled")
	}
	_, err = e.s.Redeliver(e.ctx, e.admin, "ci", 99)
	e.wantError(err, packhouse.KindNotFound, "delivery_not_found")
	_, _, err = e.s.Deliveries(e.ctx, e.admin, "ci", "lost", 0, 10)
	e.wantError(err, packhouse.KindInvalid, "delivery_state")
	e.must(e.s.DeleteWebhook(e.ctx, e.admin, "ci"))
	e.wantError(e.s.DeleteWebhook(e.ctx, e.admin, "ci"), packhouse.KindNotFound, "webhook_not_found")
	changes := 0
	for _, c := range e.recorded() {
		if c.Kind == packhouse.ChangeWebhook {
			changes++
		}
	}
	if changes != 4 {
		t.Errorf("%d changes of webhooks recorded, want 2 creations, 1 switch, 1 deletion", changes)
	}
}
