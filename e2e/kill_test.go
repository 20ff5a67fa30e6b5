package e2e

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
)

// killRounds is how often the server is killed; PACKHOUSE_KILLS asks for more.
const killRounds = 50

// ledger remembers, outside the server, every write that was acknowledged.
type ledger struct {
	mu    sync.Mutex
	acked []ackedVersion
}

// ackedVersion is a published version with the integrity of its archive.
type ackedVersion struct {
	name, version, integrity string
}

func (l *ledger) add(v ackedVersion) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked = append(l.acked, v)
}

func (l *ledger) all() []ackedVersion {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]ackedVersion(nil), l.acked...)
}

// R1, R2, R7, R8: under concurrent publishes the server is killed without warning, again
// and again. Every acknowledged version is there afterwards, whole; every version that
// a packument shows can be fetched whole; and publishing goes on where it stopped.
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
	var (
		book    ledger
		serial  atomic.Int64
		checked int
	)
	for round := range rounds {
		before := len(book.all())
		publishUntilKilled(t, s, token, &book, &serial, round)
		s.start()
		acked := book.all()
		// Versions acknowledged in this round are checked at once; all of them at the end.
		for _, v := range acked[before:] {
			checkVersion(t, s, token, v)
			checked++
		}
		checkNothingPartial(t, s, token)
		if t.Failed() {
			t.Fatalf("after kill %d; the server said:\n%s", round+1, tail(s.log.String(), 4000))
		}
	}
	all := book.all()
	for _, v := range all {
		checkVersion(t, s, token, v)
	}
	if len(all) < rounds {
		t.Fatalf("only %d versions were acknowledged in %d rounds: the test did not test", len(all), rounds)
	}
	t.Logf("%d kills, %d acknowledged versions, %d checks right after a kill", rounds, len(all), checked)
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

// publishUntilKilled publishes from several clients and kills the server after a random
// number of acknowledgements, while others are under way.
func publishUntilKilled(t testing.TB, s *server, token string, book *ledger, serial *atomic.Int64, round int) {
	t.Helper()
	const clients = 6
	target := int64(1 + rand.IntN(25))
	var (
		wg    sync.WaitGroup
		acked atomic.Int64
		stop  = make(chan struct{})
		once  sync.Once
	)
	for c := range clients {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n := serial.Add(1)
				// Half of the writes go to packages that all clients share, so that
				// they meet on one record.
				name := fmt.Sprintf("@kill/shared-%d", round%5)
				if n%2 == 0 {
					name = fmt.Sprintf("@kill/own-%d-%d", round, c)
				}
				v, ok := publishOne(t, s, token, name, fmt.Sprintf("1.0.%d", n))
				if !ok {
					return // the server is gone
				}
				book.add(v)
				if acked.Add(1) >= target {
					once.Do(func() { close(stop) })
				}
			}
		})
	}
	<-stop
	s.kill()
	wg.Wait()
}

// publishOne publishes a version with content of its own and reports whether it was
// acknowledged.
func publishOne(t testing.TB, s *server, token, name, version string) (ackedVersion, bool) {
	p := npmPackage{Name: name, Version: version, Files: map[string]string{"self.txt": name + "@" + version + string(bytes.Repeat([]byte("x"), rand.IntN(200_000)))}}
	tgz := p.tarball(t)
	req, err := http.NewRequest(http.MethodPut, s.base("npm", "main", "store")+url.PathEscape(name), bytes.NewReader(p.publishDoc(t, tgz)))
	if err != nil {
		t.Error(err)
		return ackedVersion{}, false
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ackedVersion{}, false
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		b, _ := io.ReadAll(resp.Body)
		if len(b) > 0 {
			t.Errorf("publish %s@%s: %s: %s", name, version, resp.Status, b)
		}
		return ackedVersion{}, false
	}
	sum := sha512.Sum512(tgz)
	return ackedVersion{name: name, version: version, integrity: "sha512-" + base64.StdEncoding.EncodeToString(sum[:])}, true
}

// packument is the part of a packument that the checks read.
type packument struct {
	Versions map[string]struct {
		Dist struct {
			Tarball   string `json:"tarball"`
			Integrity string `json:"integrity"`
		} `json:"dist"`
	} `json:"versions"`
	Time map[string]string `json:"time"`
}

// checkVersion fetches an acknowledged version and compares its bytes.
func checkVersion(t testing.TB, s *server, token string, v ackedVersion) {
	t.Helper()
	status, b := do(t, http.MethodGet, s.base("npm", "main", "store")+url.PathEscape(v.name), token, nil)
	if status != http.StatusOK {
		t.Errorf("lost: packument of %s@%s answers %d %s", v.name, v.version, status, b)
		return
	}
	got, ok := decode[packument](t, b).Versions[v.version]
	if !ok {
		t.Errorf("lost: %s@%s was acknowledged and is not in the packument", v.name, v.version)
		return
	}
	if got.Dist.Integrity != v.integrity {
		t.Errorf("%s@%s has integrity %s, published was %s", v.name, v.version, got.Dist.Integrity, v.integrity)
	}
	checkTarball(t, token, v.name+"@"+v.version, got.Dist.Tarball, v.integrity)
}

func checkTarball(t testing.TB, token, what, address, integrity string) {
	t.Helper()
	status, tgz := do(t, http.MethodGet, address, token, nil)
	sum := sha512.Sum512(tgz)
	if status != http.StatusOK || "sha512-"+base64.StdEncoding.EncodeToString(sum[:]) != integrity {
		t.Errorf("partial: %s answers %d with %d bytes that do not match its integrity", what, status, len(tgz))
	}
}

// checkNothingPartial fetches everything that the shared packages show.
func checkNothingPartial(t testing.TB, s *server, token string) {
	t.Helper()
	client := s.sdk()
	pages := codeartifact.NewListPackagesPaginator(client, &codeartifact.ListPackagesInput{Domain: aws.String("main"), Repository: aws.String("store")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			t.Errorf("list packages: %v", err)
			return
		}
		for _, p := range page.Packages {
			if rand.IntN(4) != 0 { // a sample each round; every package over the run
				continue
			}
			name := "@" + aws.ToString(p.Namespace) + "/" + aws.ToString(p.Package)
			status, b := do(t, http.MethodGet, s.base("npm", "main", "store")+url.PathEscape(name), token, nil)
			if status != http.StatusOK {
				t.Errorf("package %s is listed and its packument answers %d", name, status)
				continue
			}
			for version, v := range decode[packument](t, b).Versions {
				if rand.IntN(4) == 0 {
					checkTarball(t, token, name+"@"+version, v.Dist.Tarball, v.Dist.Integrity)
				}
			}
		}
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return s[len(s)-n:]
	}
	return s
}
