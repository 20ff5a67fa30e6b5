package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
)

// killRounds is how often the server is killed under load, and earlyKills how often in
// each round while it starts and recovers. PACKHOUSE_KILLS asks for other rounds.
const (
	killRounds = 200
	earlyKills = 3
)

// R1, R2, R7, R8, R10, R11, R18: under a mixed load the server is killed without warning,
// and killed again while it recovers. Every acknowledged write is there afterwards,
// whole; of those without an answer everything or nothing is visible; whatever an index
// shows can be fetched whole; staging is empty; and work goes on where it stopped.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	rounds := killRounds
	if v := os.Getenv("PACKHOUSE_KILLS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("PACKHOUSE_KILLS=%q is not a number", v)
		}
		rounds = n
	}
	if testing.Short() {
		rounds = 3
	}
	s := startServer(t)
	makeStore(t, s, "main", "store")
	token := s.token("main")
	book := newLedger(t)
	var (
		serial  atomic.Int64
		last    = 50 * time.Millisecond // a start took
		slowest time.Duration
		settled int
		seen    int
	)
	for round := range rounds {
		loadUntilKilled(t, s, token, book, &serial, round)
		for range earlyKills {
			// Anywhere between the first instruction and readiness: the delay is drawn, nobody waits.
			s.startAndKill(rand.N(min(last, 200*time.Millisecond)))
		}
		began := time.Now()
		s.start()
		last = time.Since(began)
		slowest = max(slowest, last)

		v := newViewer(t, s, token)
		open := len(book.open)
		settled += open
		book.settle(v.see)
		var facts []fact
		facts, seen = book.since(seen)
		_, want := readLedger(t, book.path)
		check(t, want, facts, v.see)
		v.checkOnePackage()
		checkStagingEmpty(t, s)
		if t.Failed() {
			t.Fatalf("after kill %d; the server said:\n%s", round+1, tail(s.log.String(), 4000))
		}
	}
	// Once more, by what the ledger's file says, everything.
	_, want := readLedger(t, book.path)
	all, _ := book.since(0)
	check(t, want, all, newViewer(t, s, token).see)
	if book.count() < rounds {
		t.Fatalf("only %d writes were acknowledged in %d rounds: the test did not test", book.count(), rounds)
	}
	t.Logf("table: kills under load %d, while starting %d; acknowledged writes %d, lost 0; without an answer %d, half visible 0; slowest start to ready %d ms",
		rounds, rounds*earlyKills, book.count(), settled, slowest.Milliseconds())
}

// makeStore makes a domain and a repository.
func makeStore(t testing.TB, s *server, domain, repo string, upstreams ...string) {
	t.Helper()
	ctx := context.Background()
	if _, err := s.sdk().DescribeDomain(ctx, &codeartifact.DescribeDomainInput{Domain: &domain}); err != nil {
		if _, err := s.sdk().CreateDomain(ctx, &codeartifact.CreateDomainInput{Domain: &domain}); err != nil {
			t.Fatal(err)
		}
	}
	in := &codeartifact.CreateRepositoryInput{Domain: &domain, Repository: &repo}
	for _, u := range upstreams {
		in.Upstreams = append(in.Upstreams, types.UpstreamRepository{RepositoryName: aws.String(u)})
	}
	if _, err := s.sdk().CreateRepository(ctx, in); err != nil {
		t.Fatal(err)
	}
}

// loadUntilKilled works with several clients and kills the server after a random number
// of acknowledgements, while others are under way.
func loadUntilKilled(t testing.TB, s *server, token string, book *ledger, serial *atomic.Int64, round int) {
	t.Helper()
	const clients = 6
	target := book.count() + 1 + rand.IntN(25)
	var wg sync.WaitGroup
	enough := make(chan struct{})
	once := sync.OnceFunc(func() { close(enough) })
	for c := range clients {
		l := newLoader(t, s, token, book, serial, fmt.Sprintf("own-%d-%d", round, c))
		l.shared = fmt.Sprintf("@kill/shared-%d", round/10)
		wg.Go(func() {
			defer once() // a client that ends early ends the round
			for l.act() == nil && !t.Failed() {
				if book.count() >= target {
					once()
				}
			}
		})
	}
	<-enough
	s.kill()
	wg.Wait()
}

// startAndKill starts the process, and kills it after a while.
func (s *server) startAndKill(after time.Duration) {
	s.t.Helper()
	cmd := s.command()
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	kill := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	if kill.Stop() {
		s.t.Errorf("the server ended by itself while it started: %s", cmd.ProcessState)
	}
}

// checkStagingEmpty waits until the start has swept what the dead process left behind
// (R11): one run's directory, the living one's, with nothing in it.
func checkStagingEmpty(t testing.TB, s *server) {
	t.Helper()
	var left []string
	eventually(t, "staging to be swept", func() bool {
		var err error
		left, err = filepath.Glob(s.inside("blobs", "staging", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(left) == 1
	})
	if files, err := os.ReadDir(left[0]); err != nil || len(files) != 0 {
		t.Errorf("R11: %d files are staged and nobody uploads, error %v", len(files), err)
	}
}

// packument is the part of a packument that the checks read.
type packument struct {
	Versions map[string]struct {
		Deprecated string `json:"deprecated"`
		Dist       struct {
			Tarball   string `json:"tarball"`
			Integrity string `json:"integrity"`
		} `json:"dist"`
	} `json:"versions"`
	Tags map[string]string `json:"dist-tags"`
	Time map[string]string `json:"time"`
}

// viewer sees facts as clients do. It reads each thing once.
type viewer struct {
	t          testing.TB
	s          *server
	token      string
	packuments map[string]packument
	seen       map[fact]string
}

func newViewer(t testing.TB, s *server, token string) *viewer {
	return &viewer{t, s, token, map[string]packument{}, map[fact]string{}}
}

// packument reads a package's; one without versions where there is no package.
func (v *viewer) packument(name string) packument {
	v.t.Helper()
	p, ok := v.packuments[name]
	if !ok {
		status, b := do(v.t, http.MethodGet, v.s.base("npm", "main", "store")+url.PathEscape(name), v.token, nil)
		switch status {
		case http.StatusOK:
			p = decode[packument](v.t, b)
		case http.StatusNotFound:
		default:
			v.t.Errorf("packument of %s: %d %s", name, status, b)
		}
		v.packuments[name] = p
	}
	return p
}

// see returns a fact's value.
func (v *viewer) see(f fact) string {
	v.t.Helper()
	if value, ok := v.seen[f]; ok {
		return value
	}
	value := ""
	switch f.Kind {
	case "version":
		if got, ok := v.packument(f.Name).Versions[f.Item]; ok {
			value = got.Dist.Integrity
			v.checkTarball(f.Name, f.Item, got.Dist.Tarball, value)
		}
	case "deprecated":
		value = v.packument(f.Name).Versions[f.Item].Deprecated
	case "tag":
		value = v.packument(f.Name).Tags[f.Item]
	case "file":
		status, b := do(v.t, http.MethodGet, v.s.base("generic", "main", "store")+"-/"+f.Name+"/"+f.Item+"/self.bin", v.token, nil)
		switch status {
		case http.StatusOK:
			sum := sha256.Sum256(b)
			value = hex.EncodeToString(sum[:])
			if err := checkPayload(f.Name+"@"+f.Item, b); err != nil {
				v.t.Errorf("R8: %s: %v", f, err)
			}
		case http.StatusNotFound:
		default:
			v.t.Errorf("%s: %d %s", f, status, b)
		}
	}
	v.seen[f] = value
	return value
}

// checkTarball fetches what a packument shows: whole, and the package's own.
func (v *viewer) checkTarball(name, version, address, integrity string) {
	v.t.Helper()
	status, tgz := do(v.t, http.MethodGet, address, v.token, nil)
	if status != http.StatusOK || integrityOf(tgz) != integrity {
		v.t.Errorf("R8: %s@%s answers %d with %d bytes that do not match its integrity", name, version, status, len(tgz))
		return
	}
	if err := checkSelf(tgz, name+"@"+version); err != nil {
		v.t.Errorf("R8: %s@%s: %v", name, version, err)
	}
}

// checkSelf looks for the payload of an archive.
func checkSelf(tgz []byte, id string) error {
	z, err := gzip.NewReader(bytes.NewReader(tgz))
	if err != nil {
		return err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err != nil {
			return err
		}
		if h.Name == "package/self.txt" {
			b, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			return checkPayload(id, b)
		}
	}
}

// checkOnePackage fetches everything that one package shows, whoever published it.
func (v *viewer) checkOnePackage() {
	v.t.Helper()
	var names []string
	pages := codeartifact.NewListPackagesPaginator(v.s.sdk(), &codeartifact.ListPackagesInput{
		Domain: aws.String("main"), Repository: aws.String("store"), Format: types.PackageFormatNpm})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			v.t.Errorf("list packages: %v", err)
			return
		}
		for _, p := range page.Packages {
			names = append(names, "@"+aws.ToString(p.Namespace)+"/"+aws.ToString(p.Package))
		}
	}
	if len(names) == 0 {
		return
	}
	name := names[rand.IntN(len(names))]
	for version := range v.packument(name).Versions {
		v.see(fact{"version", name, version})
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return s[len(s)-n:]
	}
	return s
}
