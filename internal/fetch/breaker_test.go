package fetch_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
)

// pipes is a listener whose connections are in memory, for tests with a clock that is not
// the machine's.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p.conns <- there
	return here, nil
}

// inBubble runs a test against a server in memory under a fake clock.
func inBubble(t *testing.T, h http.HandlerFunc, test func(t *testing.T, get func() error)) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		s := &http.Server{Handler: h, ReadHeaderTimeout: time.Hour}
		go func() { _ = s.Serve(p) }() // ends by Close
		c := fetch.New(fetch.Options{Dial: p.dial})
		defer func() {
			c.Close()
			_ = s.Close()
		}()
		test(t, func() error {
			_, err := c.Get(t.Context(), fetch.Connection{Name: "test:up", URL: "http://127.0.0.1/"}, "doc", http.Header{}, format.Validators{})
			return err
		})
	})
}

// R28, with the defaults and a fake clock: at half of at least 20 failures within ten
// seconds the breaker opens, lets one probe through every five, and closes with the first
// that succeeds.
func TestBreakerByTheClock(t *testing.T) {
	var requests, healthy atomic.Int64
	inBubble(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		if healthy.Load() == 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, "{}")
	}, func(t *testing.T, get func() error) {
		for packhouse.ReasonOf(get()) != fetch.ReasonPaused {
			if requests.Load() > 30 {
				t.Fatal("it did not open")
			}
		}
		opened := requests.Load()
		if opened < 20 {
			t.Errorf("it opened after %d requests, want 20 at least", opened)
		}
		time.Sleep(4 * time.Second)
		if err := get(); packhouse.ReasonOf(err) != fetch.ReasonPaused || requests.Load() != opened {
			t.Errorf("after 4 s: %v, %d further requests", err, requests.Load()-opened)
		}
		time.Sleep(1100 * time.Millisecond)
		if err := get(); err == nil || requests.Load() != opened+1 {
			t.Errorf("after 5 s: %v, %d further requests, want one probe", err, requests.Load()-opened)
		}
		if err := get(); packhouse.ReasonOf(err) != fetch.ReasonPaused || requests.Load() != opened+1 {
			t.Errorf("after a probe that failed: %v, %d further requests", err, requests.Load()-opened)
		}
		healthy.Store(1)
		time.Sleep(5100 * time.Millisecond)
		for range 3 {
			if err := get(); err != nil {
				t.Errorf("healed: %v", err)
			}
		}
	})
}

// R28: failures that are spread out do not open it.
func TestBreakerForgetsWhatIsLongAgo(t *testing.T) {
	var requests atomic.Int64
	inBubble(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	}, func(t *testing.T, get func() error) {
		for range 30 {
			if err := get(); packhouse.ReasonOf(err) != fetch.ReasonFailed {
				t.Fatalf("after %d requests: %v", requests.Load(), err)
			}
			time.Sleep(4 * time.Second)
		}
	})
}

// npm.md 5: Retry-After is kept to, in seconds and as a date, for five minutes at most.
func TestRetryAfterByTheClock(t *testing.T) {
	for name, tt := range map[string]struct {
		value string
		wait  time.Duration
	}{
		"seconds":          {"20", 20 * time.Second},
		"a date":           {"date", 20 * time.Second},
		"a long time":      {"86400", 5 * time.Minute},
		"nothing":          {"", 5 * time.Second},
		"what is no time":  {"soon", 5 * time.Second},
		"a negative time":  {"-5", 5 * time.Second},
		"no time to waste": {"0", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			inBubble(t, func(w http.ResponseWriter, _ *http.Request) {
				if requests.Add(1) > 1 {
					_, _ = io.WriteString(w, "{}")
					return
				}
				value := tt.value
				if value == "date" {
					value = time.Now().Add(tt.wait).UTC().Format(http.TimeFormat)
				}
				w.Header().Set("Retry-After", value)
				w.WriteHeader(http.StatusTooManyRequests)
			}, func(t *testing.T, get func() error) {
				if err := get(); packhouse.ReasonOf(err) != fetch.ReasonThrottled {
					t.Fatal(err)
				}
				time.Sleep(tt.wait - 500*time.Millisecond)
				if err := get(); packhouse.ReasonOf(err) != fetch.ReasonPaused || requests.Load() != 1 {
					t.Errorf("half a second before it is over: %v after %d requests", err, requests.Load())
				}
				time.Sleep(time.Second)
				if err := get(); err != nil || requests.Load() != 2 {
					t.Errorf("half a second after: %v after %d requests", err, requests.Load())
				}
			})
		})
	}
}
