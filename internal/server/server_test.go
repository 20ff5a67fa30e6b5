package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob/memblob"
	"github.com/packhouse/packhouse/internal/client"
	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/formats"
)

// testConfig is a configuration for a data directory of its own. Every known
// connection has an address that nobody answers at, so that nothing is discovered.
func testConfig(t testing.TB, flags map[string]string) *config.Config {
	t.Helper()
	in := config.Input{Flags: map[string]string{"listen": "127.0.0.1:0", "data_dir": filepath.Join(t.TempDir(), "data")},
		Known: formats.ServiceConnections(), Formats: PullFormats(formats.All())}
	for k, v := range flags {
		in.Flags[k] = v
	}
	for name := range in.Known {
		in.Connections = append(in.Connections, name+"=http://127.0.0.1:1/")
	}
	c, err := config.Load(in)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// start runs a server until the test ends or stop is called.
func start(t *testing.T, c *config.Config, log *slog.Logger) (s *Server, stop func() error) {
	t.Helper()
	s, err := Build(t.Context(), c, Options{Log: log, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var stopped bool
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s, stop
}

func listDomains(t *testing.T, dataDir string) error {
	t.Helper()
	conf, err := client.Load(dataDir, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	return c.Call(t.Context(), "POST", "/v1/domains", nil, struct{}{}, nil)
}

func TestFirstStart(t *testing.T) {
	c := testConfig(t, nil)
	log := &buffer{}
	s, stop := start(t, c, slog.New(slog.NewJSONHandler(log, nil)))
	if !s.Fresh {
		t.Error("not a first start")
	}
	if err := listDomains(t, c.DataDir); err != nil {
		t.Errorf("a signed call with the key of the first start: %v", err)
	}
	for _, path := range []string{AWSCredentialsFile(c.DataDir), AWSConfigFile(c.DataDir), KeyFile(c.DataDir)} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600 (reliability.md S39)", filepath.Base(path), info.Mode(), err)
		}
	}
	if info, err := os.Stat(c.DataDir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data directory: %v, %v; want 0700 (S39)", info.Mode(), err)
	}
	conf, err := client.Load(c.DataDir, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(c.DataDir, databaseFile))
	if err != nil || bytes.Contains(text, []byte(conf.Secret)) {
		t.Errorf("the secret lies in the database in the clear, or %v (S36)", err)
	}
	if strings.Contains(log.String(), conf.Secret) {
		t.Error("the secret stands in the log (S38)")
	}

	t.Run("a second server on the same data is refused (R18)", func(t *testing.T) {
		_, err := Build(t.Context(), c, Options{})
		var inUse *InUseError
		if !errors.As(err, &inUse) || !strings.Contains(err.Error(), c.DataDir) || !strings.Contains(err.Error(), "process") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an orderly stop frees everything, and the next start knows the same key (R19)", func(t *testing.T) {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(AWSConfigFile(c.DataDir)); err != nil {
			t.Fatal(err)
		}
		again, _ := start(t, c, nil)
		if again.Fresh || again.URL == s.URL {
			t.Errorf("fresh %v, at %s again", again.Fresh, again.URL)
		}
		if err := listDomains(t, c.DataDir); err != nil { // at the new port, by the file
			t.Error(err)
		}
		if now, err := client.Load(c.DataDir, func(string) string { return "" }); err != nil || now.AccessKeyID != conf.AccessKeyID {
			t.Errorf("the key changed: %v, %v", now, err)
		}
	})
}

// TestBootstrapGoesOnAfterACrash: the first start may end between any two steps.
func TestBootstrapGoesOnAfterACrash(t *testing.T) {
	for _, tt := range []struct {
		name string
		undo string // setting that was not written yet
	}{
		{"before the key was noted", settingAdminKey},
		{"before the files were written", settingAdminFile},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig(t, nil)
			s, err := Build(t.Context(), c, Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{tt.undo, settingAdminFile} {
				if err := s.store.putSetting(t.Context(), key, ""); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(c.DataDir, awsFolder)); err != nil {
				t.Fatal(err)
			}
			start(t, c, nil)
			if err := listDomains(t, c.DataDir); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("files that the operator took away stay away", func(t *testing.T) {
		c := testConfig(t, nil)
		for range 2 {
			s, err := Build(t.Context(), c, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			_ = os.Remove(AWSCredentialsFile(c.DataDir))
		}
		if _, err := os.Stat(AWSCredentialsFile(c.DataDir)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the credentials are back: %v", err)
		}
	})
}

func TestDataDirectory(t *testing.T) {
	t.Run("one that others can look into is refused (S39)", func(t *testing.T) {
		c := testConfig(t, nil)
		s, err := Build(t.Context(), c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(c.DataDir, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := Build(t.Context(), c, Options{}); err == nil || !strings.Contains(err.Error(), "chmod 700") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("commands do not make one", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "none")
		if _, err := OpenStore(t.Context(), StoreOptions{Dir: dir}); !errors.Is(err, ErrNoData) {
			t.Errorf("got %v", err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Error("it was made")
		}
	})
	t.Run("commands open it beside a server", func(t *testing.T) {
		c := testConfig(t, nil)
		start(t, c, nil)
		s, err := OpenStore(t.Context(), StoreOptions{Dir: c.DataDir})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestNotReadyWhileStopping(t *testing.T) {
	c := testConfig(t, map[string]string{"shutdown.delay": "10m"})
	s, err := Build(t.Context(), c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ready := func() int {
		resp, err := http.Get(s.URL + "/readyz") //nolint:noctx // a test's own server
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode
	}
	if got := ready(); got != 200 {
		t.Fatalf("readyz %d before the stop", got)
	}
	cancel()
	for !s.health.stopping.Load() {
		time.Sleep(time.Millisecond) // a condition, not a delay
	}
	if got := ready(); got != 503 {
		t.Errorf("readyz %d while stopping, want 503 and still accepting (reliability.md R19)", got)
	}
	_ = s.http.Close() // ends the delay
	<-done
}

func TestDiskLow(t *testing.T) {
	free := uint64(10 << 30)
	g := &diskGuard{marks: config.Disk{LowPercent: 5, LowBytes: 2 << 30}, log: slog.New(slog.DiscardHandler),
		space: func(string) (uint64, uint64, error) { return free, 20 << 30, nil }}
	store := g.wrap(memblob.New())
	stage := func() packhouse.Kind {
		st, err := store.Stage(t.Context())
		if err == nil {
			_ = st.Discard()
			return 0
		}
		return packhouse.KindOf(err)
	}
	for _, step := range []struct {
		name string
		free uint64
		low  bool
	}{
		{"plenty", 10 << 30, false},
		{"below the mark", 1 << 30, true},
		{"above the mark but below twice", 3 << 30, true},
		{"twice the mark", 4 << 30, false},
	} {
		free = step.free
		g.check(t.Context())
		if got := stage() == packhouse.KindDiskLow; got != step.low {
			t.Errorf("%s: refused %v, want %v (reliability.md R21)", step.name, got, step.low)
		}
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1, time.Now().Add(-time.Hour))
	c, err := loadCertificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		c.looked = time.Time{} // as if the last look were long ago
		got, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(got.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.Int64()
	}
	if serial() != 1 {
		t.Fatal("another certificate")
	}
	writeCertificate(t, certFile, keyFile, 2, time.Now())
	if got := serial(); got != 2 {
		t.Errorf("serial %d after the files changed (reliability.md S42)", got)
	}
	if err := os.WriteFile(certFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 {
		t.Errorf("serial %d while the files are being written", got)
	}

	writeCertificate(t, certFile, keyFile, 3, time.Now())
	s, _ := start(t, testConfig(t, map[string]string{"tls.cert": certFile, "tls.key": keyFile}), nil)
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}).DialContext(t.Context(), "tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if state := conn.(*tls.Conn).ConnectionState(); state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "h2" || !strings.HasPrefix(s.URL, "https://") {
		t.Errorf("version %x, protocol %q at %s", state.Version, state.NegotiatedProtocol, s.URL)
	}
}

func writeCertificate(t *testing.T, certFile, keyFile string, serial int64, modified time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReplayMemory(t *testing.T) {
	s, err := OpenStore(t.Context(), StoreOptions{Dir: filepath.Join(t.TempDir(), "d"), Create: true, Account: "000000000000"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	m := replays{s.Catalog}
	hash, end := [32]byte{1}, time.Now().Add(time.Hour)
	for i, want := range []bool{true, false} {
		if fresh, err := m.Remember(t.Context(), hash, end); err != nil || fresh != want {
			t.Fatalf("use %d: fresh %v, %v; want %v (reliability.md S7)", i, fresh, err, want)
		}
	}
	if err := m.Forget(t.Context(), hash); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false} {
		if fresh, err := m.Remember(t.Context(), hash, end); err != nil || fresh != want {
			t.Fatalf("use %d after it was given back: fresh %v, %v; want %v", i, fresh, err, want)
		}
	}
	if fresh, err := (replays{s.Catalog}).Remember(t.Context(), hash, end); err != nil || fresh {
		t.Errorf("after a restart: fresh %v, %v", fresh, err)
	}
}
