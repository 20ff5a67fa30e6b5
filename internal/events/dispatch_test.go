package events_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
	"github.com/packhouse/packhouse/internal/events"
	"github.com/packhouse/packhouse/internal/fetch"
)

const owner packhouse.AccountID = "111122223333"

const secret = "whsec-0123456789abcdef"

// post is a catalog with a ledger, a clock, and a receiver of webhooks.
type post struct {
	t     *testing.T
	db    *catalog.DB
	bell  *events.Bell
	now   atomic.Int64 // unix nanoseconds
	repo  catalog.RepositoryRow
	hook  catalog.WebhookRow
	serve *httptest.Server

	mu     sync.Mutex
	got    []string // "package version" of what was delivered, in order
	asked  []string // the same of every attempt
	answer func(r *http.Request, what string) int
}

func newPost(t *testing.T) *post {
	p := &post{t: t, bell: &events.Bell{}, answer: func(*http.Request, string) int { return http.StatusNoContent }}
	p.now.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	p.db = catalogtest.OpenWith(t, catalog.Options{Now: p.clock, OnCommit: p.bell.Ring})
	p.serve = httptest.NewServer(http.HandlerFunc(p.receive))
	t.Cleanup(p.serve.Close)
	domain := catalog.DomainRow{Ref: packhouse.DomainRef{Owner: owner, Name: "acme"}, KeyARN: "arn", Mode: "sealed", Key: packhouse.KeyRef{Keyset: []byte("k")}, Created: p.clock()}
	p.update(func(tx *catalog.Tx) (err error) {
		if err := tx.InsertAccount(t.Context(), owner, "main"); err != nil {
			return err
		}
		if domain.ID, err = tx.InsertDomain(t.Context(), domain); err != nil {
			return err
		}
		p.repo = catalog.RepositoryRow{UUID: "u", DomainID: domain.ID, Ref: packhouse.RepoRef{Domain: domain.Ref, Name: "team"}, Administrator: owner, Created: p.clock()}
		if p.repo.ID, err = tx.InsertRepository(t.Context(), p.repo); err != nil {
			return err
		}
		p.hook = catalog.WebhookRow{Secret: secret, Webhook: packhouse.Webhook{Account: owner, Name: "ci", URL: p.serve.URL + "/hook", Enabled: true, Created: p.clock()}}
		p.hook.ID, err = tx.InsertWebhook(t.Context(), p.hook)
		return err
	})
	return p
}

func (p *post) clock() time.Time { return time.Unix(0, p.now.Load()).UTC() }

// later moves the clock and wakes whoever waits for it.
func (p *post) later(d time.Duration) {
	p.now.Add(int64(d))
	p.bell.Ring([]packhouse.Change{{Kind: packhouse.ChangeVersionPublished}})
}

func (p *post) update(fn func(*catalog.Tx) error) {
	p.t.Helper()
	if err := p.db.Update(p.t.Context(), fn); err != nil {
		p.t.Fatal(err)
	}
}

// publish records versions, each "package version".
func (p *post) publish(list ...string) {
	p.t.Helper()
	for _, what := range list {
		name, version, _ := strings.Cut(what, " ")
		p.update(func(tx *catalog.Tx) error {
			return tx.Record(p.t.Context(), packhouse.Change{At: p.clock(), Kind: packhouse.ChangeVersionPublished, DomainID: p.repo.DomainID, RepoID: p.repo.ID,
				Domain: p.repo.Ref.Domain, Repo: "team", Package: packhouse.PackageName{Format: "npm", Name: name}, Version: version,
				StatusAfter: packhouse.Published, RevisionAfter: "r", AssetsAdded: 1, DedupID: "dedup of " + what})
		})
	}
}

// receive is the receiver: it checks what every delivery must have.
func (p *post) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var e struct {
		ID     string
		Detail struct{ PackageName, PackageVersion string }
	}
	if err := json.Unmarshal(body, &e); err != nil {
		p.t.Errorf("body %q: %v", body, err)
	}
	if got, want := r.Header.Get(events.HeaderSignature), events.Sign(secret, r.Header.Get(events.HeaderTimestamp), body); got != want {
		p.t.Errorf("signature %q, want %q", got, want)
	}
	if r.Header.Get(events.HeaderDelivery) != e.ID || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		p.t.Errorf("%s of %s with headers %v", r.Method, e.ID, r.Header)
	}
	what := e.Detail.PackageName + " " + e.Detail.PackageVersion
	p.mu.Lock()
	p.asked = append(p.asked, what)
	answer := p.answer
	p.mu.Unlock()
	status := answer(r, what)
	if status < 300 {
		p.mu.Lock()
		p.got = append(p.got, what)
		p.mu.Unlock()
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "said the receiver\x1b[31m")
}

// run starts a dispatcher; stop ends it and waits for it.
func (p *post) run(sender events.Sender) (stop func()) {
	if sender == nil {
		sender = fetch.NewOutward(fetch.Options{}, []string{strings.TrimPrefix(p.serve.URL, "http://")})
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	done := make(chan struct{})
	d := events.NewDispatcher(events.Options{Catalog: p.db, Sender: sender, Region: "us-west-2", Bell: p.bell, Now: p.clock})
	go func() { d.Run(ctx); close(done) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	p.t.Cleanup(stop)
	return stop
}

// until waits for a condition.
func (p *post) until(what string, ok func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.t.Fatalf("never: %s; asked %v, delivered %v", what, p.asked, p.got)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (p *post) delivered() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// rows are the deliveries, the oldest first.
func (p *post) rows() (list []catalog.DeliveryRow) {
	p.t.Helper()
	if err := p.db.View(p.t.Context(), func(tx *catalog.Tx) (err error) {
		list, err = tx.Deliveries(p.t.Context(), p.hook.ID, "", 0, 100)
		return err
	}); err != nil {
		p.t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

func (p *post) setAnswer(f func(r *http.Request, what string) int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

// A receiver that fails three times: the package's next event waits behind the first,
// another package's does not, the pauses grow four-fold, and nothing comes twice.
func TestDeliveryIsRetriedInOrder(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	failures := 0
	p.setAnswer(func(r *http.Request, what string) int {
		if what != "box 1" || failures == 3 {
			return http.StatusOK
		}
		failures++
		return http.StatusServiceUnavailable
	})
	p.run(nil)
	p.publish("box 1", "box 2", "bag 1")
	p.until("the other package's event", func() bool { return slices.Contains(p.delivered(), "bag 1") })
	pause := 15 * time.Second
	for attempt := 1; attempt <= 3; attempt++ {
		p.until(fmt.Sprintf("attempt %d", attempt), func() bool {
			rows := p.rows()
			return len(rows) == 3 && rows[0].Attempts == attempt
		})
		first := p.rows()[0]
		wait := first.Next.Sub(p.clock())
		if wait < pause*94/100 || wait > pause*106/100 || first.Status != 503 || first.Error != "said the receiver [31m" {
			t.Errorf("after attempt %d: next in %s, status %d, %q; want %s, 503 and the printable answer", attempt, wait, first.Status, first.Error, pause)
		}
		p.later(pause * 2)
		pause *= 4
	}
	p.until("all of it", func() bool { return len(p.delivered()) == 3 })
	if got := p.delivered(); !slices.Equal(got, []string{"bag 1", "box 1", "box 2"}) {
		t.Errorf("delivered %v", got)
	}
	p.until("rows", func() bool {
		return !slices.ContainsFunc(p.rows(), func(d catalog.DeliveryRow) bool { return d.State != packhouse.DeliveryDelivered })
	})
}

// After eight attempts a delivery is dead, the package's next one goes, and the dead one
// can be redelivered (reliability.md A8).
func TestDeliveryIsGivenUp(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.setAnswer(func(_ *http.Request, what string) int {
		if what == "box 1" {
			return http.StatusFound // a redirect is a failure too
		}
		return http.StatusOK
	})
	p.run(nil)
	p.publish("box 1", "box 2")
	began := p.clock()
	for attempt := 1; attempt <= 8; attempt++ {
		p.until(fmt.Sprintf("attempt %d", attempt), func() bool { rows := p.rows(); return len(rows) == 2 && rows[0].Attempts == attempt })
		if row := p.rows()[0]; row.State == packhouse.DeliveryWaiting {
			p.later(row.Next.Sub(p.clock()))
		}
	}
	if dead := p.rows()[0]; dead.State != packhouse.DeliveryDead || p.clock().Sub(began) > 24*time.Hour || p.clock().Sub(began) < 20*time.Hour {
		t.Errorf("%s after %s, want dead within 24 h and not before 20 h", dead.State, p.clock().Sub(began))
	}
	p.until("the next event of the package", func() bool { return slices.Contains(p.delivered(), "box 2") })
	p.setAnswer(func(*http.Request, string) int { return http.StatusOK })
	p.update(func(tx *catalog.Tx) error {
		_, err := tx.Redeliver(t.Context(), p.hook.ID, 0, p.clock())
		return err
	})
	p.until("the redelivery", func() bool { return slices.Contains(p.delivered(), "box 1") })
}

// hung is a sender that never comes back, like one in a process that was killed.
type hung struct {
	called chan struct{}
	forget chan struct{}
}

func (h hung) Check(string) error { return nil }

func (h hung) Post(context.Context, string, http.Header, []byte) (int, []byte, error) {
	h.called <- struct{}{}
	<-h.forget
	return 0, nil, context.Canceled
}

// What a process had begun to send when it was killed another one sends once the claim
// has run out, and not before; what it had not begun goes at once.
func TestKilledDispatcherLosesNothing(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	killed := hung{make(chan struct{}, 10), make(chan struct{})}
	p.run(killed)
	t.Cleanup(func() { close(killed.forget) }) // before the dispatcher's end is waited for
	p.publish("box 1")
	<-killed.called
	p.run(nil)
	p.publish("bag 1", "box 2")
	p.until("what was not begun", func() bool { return slices.Contains(p.delivered(), "bag 1") })
	if got := p.delivered(); slices.Contains(got, "box 1") || slices.Contains(got, "box 2") {
		t.Errorf("delivered %v while the claim stands", got)
	}
	p.later(21 * time.Second)
	p.until("the rest", func() bool { return len(p.delivered()) >= 3 })
	if got := p.delivered(); !slices.Equal(got, []string{"bag 1", "box 1", "box 2"}) {
		t.Errorf("delivered %v", got)
	}
}

// An orderly stop gives back what is on its way: it is no failure of the receiver, and
// the next start sends it at once.
func TestStoppedDispatcherGivesBack(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	begun := make(chan struct{}, 1)
	p.setAnswer(func(r *http.Request, _ string) int {
		begun <- struct{}{}
		<-r.Context().Done()
		return http.StatusOK
	})
	stop := p.run(nil)
	p.publish("box 1")
	<-begun
	stop()
	if row := p.rows()[0]; row.State != packhouse.DeliveryWaiting || row.Attempts != 0 || row.Next.After(p.clock()) {
		t.Errorf("after the stop: %s, %d attempts, next %s; want waiting, 0, now", row.State, row.Attempts, row.Next)
	}
	p.setAnswer(func(*http.Request, string) int { return http.StatusOK })
	p.run(nil)
	// The receiver notes both: the one that was broken off, whenever it sees that, and this.
	p.until("delivery after the start", func() bool { return slices.Equal(p.delivered(), []string{"box 1", "box 1"}) })
}

// A disabled webhook gets nothing, keeps its place, and gets later what it missed.
func TestDisabledWebhookKeepsItsPlace(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	enable := func(on bool) {
		p.update(func(tx *catalog.Tx) error { return tx.EnableWebhook(t.Context(), p.hook.ID, on) })
	}
	enable(false)
	stop := p.run(nil)
	p.publish("box 1")
	stop()
	if n := len(p.rows()); n != 0 {
		t.Errorf("%d deliveries of a disabled webhook", n)
	}
	enable(true)
	p.run(nil)
	p.until("what it missed", func() bool { return slices.Equal(p.delivered(), []string{"box 1"}) })
}
