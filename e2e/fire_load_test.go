package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
)

// loader is a client that does everything to a server that packages need done, notes in
// the ledger what it asks and what was acknowledged, and reads what others wrote.
type loader struct {
	t      testing.TB
	s      *server
	token  string
	book   *ledger
	serial *atomic.Int64 // of versions, over all loaders
	scope  string
	own    string // a package that only this loader writes
	shared string // one that all write, a version each

	large bool // whether all content is, not only that of some numbers

	versions []string // of own, oldest first, known to be there
	files    []string // versions of the generic package, known to be there

	// faulty is set while faults are injected: answers of 500 and more are counted then,
	// and what they refused stays open in the ledger.
	faulty  bool
	answers map[int]int
}

// errGone tells that the connection ended before the answer: the outcome is open.
// errRefused tells that the answer was no success.
var (
	errGone    = errors.New("the server is gone")
	errRefused = errors.New("the server refused")
)

func newLoader(t testing.TB, s *server, token string, book *ledger, serial *atomic.Int64, name string) *loader {
	return &loader{t: t, s: s, token: token, book: book, serial: serial, scope: "kill", own: "@kill/" + name, answers: map[int]int{}}
}

// burning is a server with a client that has written some things already.
func burning(t *testing.T, s *server) *loader {
	t.Helper()
	makeStore(t, s, "main", "store")
	l := newLoader(t, s, s.token("main"), newLedger(t), new(atomic.Int64), "own")
	for range 4 {
		if err := errors.Join(l.publish(l.own, false), l.steady()); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// act does one thing, chosen at random. It returns errGone when there was no answer.
func (l *loader) act() error {
	switch n := rand.IntN(100); {
	case n < 20:
		return l.publish(l.shared, false)
	case n < 45 || len(l.versions) < 2:
		return l.publish(l.own, true)
	case n < 60:
		return l.upload()
	case n < 68:
		return l.tag()
	case n < 76:
		return l.deprecate()
	case n < 82:
		return l.remove()
	case n < 86:
		return l.removeFile()
	default:
		return l.install()
	}
}

// payload is content that tells whose it is and what it must be: an id, and the sum of
// noise that follows. Nothing can be cut off or put in its place unnoticed. What is large
// does not fit into a row of the database.
func payload(id string, large bool) string {
	size := rand.IntN(60_000)
	if large {
		size += 64 << 10
	}
	noise := make([]byte, size)
	seed := sha256.Sum256([]byte(id))
	_, _ = rand.NewChaCha8(seed).Read(noise)
	sum := sha256.Sum256(noise)
	return id + " " + hex.EncodeToString(sum[:]) + "\n" + string(noise)
}

// isLarge chooses two of any four numbers in a row. It is not every second one, because
// publishes and uploads take turns.
func (l *loader) isLarge(number int64) bool { return l.large || number%4 < 2 }

// checkPayload looks whether content is what payload made for the id.
func checkPayload(id string, b []byte) error {
	head, noise, _ := strings.Cut(string(b), "\n")
	sum := sha256.Sum256([]byte(noise))
	if want := id + " " + hex.EncodeToString(sum[:]); head != want {
		return fmt.Errorf("%d bytes that begin with %.100q and should with %q", len(b), head, want)
	}
	return nil
}

// send sends a request and returns the status. Anything but an answer is errGone; an
// answer that refuses fails the test.
func (l *loader) send(method, address string, body []byte, header ...string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+l.token)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, errGone
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil && (method == http.MethodGet || resp.StatusCode >= 300) {
		return 0, nil, errGone
	}
	return resp.StatusCode, b, nil
}

// change sends a request that changes something; the ledger knows before and after.
func (l *loader) change(method, address string, body []byte, changes ...change) error {
	w := l.book.begin(changes...)
	status, b, err := l.send(method, address, body, "Content-Type", "application/json")
	if err != nil {
		return err
	}
	if status < 200 || status > 299 {
		l.refused(w, status, fmt.Sprintf("%s %s: %s", method, address, b))
		return errRefused
	}
	l.book.end(w, acknowledged)
	return nil
}

// refused counts a refusal, or fails the test where none is due.
func (l *loader) refused(w write, status int, what string) {
	if l.faulty && status >= 500 {
		l.answers[status]++
		return
	}
	l.t.Errorf("%d: %s", status, what)
	l.book.end(w, dropped)
}

// steady does one of each thing, each about facts that no other write is about.
func (l *loader) steady() error {
	for _, do := range []func() error{func() error { return l.publish(l.own, false) }, l.upload, l.remove, l.removeFile} {
		if err := do(); err != nil && !errors.Is(err, errRefused) {
			return err
		}
	}
	return nil
}

func (l *loader) base() string { return l.s.base("npm", "main", "store") }

// publish publishes a version; tagged says that the ledger follows the tag, too, that a
// publish moves.
func (l *loader) publish(name string, tagged bool) error {
	number := l.serial.Add(1)
	version := fmt.Sprintf("1.0.%d", number)
	p := npmPackage{Name: name, Version: version, Files: map[string]string{"self.txt": payload(name+"@"+version, l.isLarge(number))}}
	tgz := p.tarball(l.t)
	changes := []change{{fact{"version", name, version}, integrityOf(tgz)}}
	if tagged {
		changes = append(changes, change{fact{"tag", name, "latest"}, version})
	}
	err := l.change(http.MethodPut, l.base()+url.PathEscape(name), p.publishDoc(l.t, tgz), changes...)
	if err == nil && name == l.own {
		l.versions = append(l.versions, version)
	}
	return err
}

// publishes tries until a publish is taken, which proves that writes work again without
// a restart.
func (l *loader) publishes() {
	l.t.Helper()
	eventually(l.t, "publishes to be taken again", func() bool {
		l.faulty = true
		defer func() { l.faulty = false }()
		return l.publish(l.own, false) == nil
	})
}

// everything checks all facts, settled by what is seen, and that nothing is left in
// staging; then the same after a kill.
func (l *loader) everything() {
	l.t.Helper()
	for _, killed := range []bool{false, true} {
		if killed {
			l.s.kill()
			l.s.start()
		}
		v := newViewer(l.t, l.s, l.token)
		l.book.settle(v.see)
		_, want := readLedger(l.t, l.book.path)
		all, _ := l.book.since(0)
		check(l.t, want, all, v.see)
		v.checkOnePackage()
		if !killed {
			continue
		}
		checkStagingEmpty(l.t, l.s)
	}
}

func integrityOf(tgz []byte) string {
	sum := sha512.Sum512(tgz)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

// tag points a tag at one of the newer versions, so that old ones may go.
func (l *loader) tag() error {
	version := l.versions[len(l.versions)-1]
	return l.change(http.MethodPut, l.base()+"-/package/"+url.PathEscape(l.own)+"/dist-tags/stable", []byte(`"`+version+`"`),
		change{fact{"tag", l.own, "stable"}, version})
}

func (l *loader) deprecate() error {
	version := l.versions[rand.IntN(len(l.versions))]
	text := fmt.Sprintf("do not use, says %d", l.serial.Add(1))
	doc, err := json.Marshal(map[string]any{"_id": l.own, "name": l.own, "versions": map[string]any{
		version: map[string]any{"name": l.own, "version": version, "deprecated": text}}})
	if err != nil {
		return err
	}
	return l.change(http.MethodPut, l.base()+url.PathEscape(l.own), doc, change{fact{"deprecated", l.own, version}, text})
}

// remove disposes of the oldest version or deletes it, through the CodeArtifact API.
func (l *loader) remove() error {
	if len(l.versions) < 2 {
		return nil
	}
	version := l.versions[0]
	if version == l.book.value(fact{"tag", l.own, "stable"}) {
		return nil
	}
	l.versions = l.versions[1:]
	w := l.book.begin(change{fact{"version", l.own, version}, ""}, change{fact{"deprecated", l.own, version}, ""})
	_, name, _ := strings.Cut(l.own, "/")
	var err error
	var failed map[string]types.PackageVersionError
	if rand.IntN(2) == 0 {
		var out *codeartifact.DisposePackageVersionsOutput
		if out, err = l.s.sdk().DisposePackageVersions(context.Background(), &codeartifact.DisposePackageVersionsInput{Domain: aws.String("main"),
			Repository: aws.String("store"), Format: types.PackageFormatNpm, Namespace: &l.scope, Package: &name, Versions: []string{version}}); err == nil {
			failed = out.FailedVersions
		}
	} else {
		var out *codeartifact.DeletePackageVersionsOutput
		if out, err = l.s.sdk().DeletePackageVersions(context.Background(), &codeartifact.DeletePackageVersionsInput{Domain: aws.String("main"),
			Repository: aws.String("store"), Format: types.PackageFormatNpm, Namespace: &l.scope, Package: &name, Versions: []string{version}}); err == nil {
			failed = out.FailedVersions
		}
	}
	var answered interface{ HTTPStatusCode() int }
	switch {
	case errors.As(err, &answered) && answered.HTTPStatusCode() != 0:
		l.refused(w, answered.HTTPStatusCode(), "remove "+l.own+"@"+version+": "+err.Error())
		return errRefused
	case len(failed) > 0:
		l.t.Errorf("remove %s@%s: %v", l.own, version, failed)
		l.book.end(w, dropped)
	case err != nil:
		return errGone
	default:
		l.book.end(w, acknowledged)
	}
	return nil
}

func (l *loader) filePackage() string { return strings.TrimPrefix(l.own, "@"+l.scope+"/") }

func (l *loader) fileURL(pkg, version string) string {
	return l.s.base("generic", "main", "store") + "-/" + pkg + "/" + version
}

// upload stores a file of a new version over plain HTTP.
func (l *loader) upload() error {
	number := l.serial.Add(1)
	version := fmt.Sprintf("1.0.%d", number)
	content := []byte(payload(l.filePackage()+"@"+version, l.isLarge(number)))
	sum := sha256.Sum256(content)
	err := l.change(http.MethodPut, l.fileURL(l.filePackage(), version)+"/self.bin", content,
		change{fact{"file", l.filePackage(), version}, hex.EncodeToString(sum[:])})
	if err == nil {
		l.files = append(l.files, version)
	}
	return err
}

func (l *loader) removeFile() error {
	if len(l.files) == 0 {
		return nil
	}
	version := l.files[0]
	l.files = l.files[1:]
	return l.change(http.MethodDelete, l.fileURL(l.filePackage(), version), nil, change{fact{"file", l.filePackage(), version}, ""})
}

// install reads while others write: what was acknowledged to this loader must be there
// (R10), and whatever a packument shows must come whole (R8).
func (l *loader) install() error {
	newest := l.versions[len(l.versions)-1]
	for _, name := range []string{l.own, l.shared} {
		status, b, err := l.send(http.MethodGet, l.base()+url.PathEscape(name), nil)
		if err != nil {
			return err
		}
		if status == http.StatusNotFound && name == l.shared {
			continue // nobody has published it yet
		}
		versions := decode[packument](l.t, b).Versions
		for version, v := range versions { // one of them
			status, tgz, err := l.send(http.MethodGet, v.Dist.Tarball, nil)
			if err != nil {
				return err
			}
			if removed := name == l.own && l.book.value(fact{"version", name, version}) == ""; status != http.StatusOK && !removed || status == http.StatusOK && integrityOf(tgz) != v.Dist.Integrity {
				l.t.Errorf("R8: %s@%s is in the packument and answers %d with %d bytes", name, version, status, len(tgz))
			}
			break
		}
		if _, ok := versions[newest]; name == l.own && !ok {
			l.t.Errorf("R10: %s@%s was acknowledged and is not in the packument", name, newest)
		}
	}
	return nil
}
