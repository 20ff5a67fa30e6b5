package fileblob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/blob/fileblob"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/formats"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/ops"
	"github.com/packhouse/packhouse/internal/resolve"
	"github.com/packhouse/packhouse/internal/server"
)

// machine is the engine over a real database and blobs on the model of a disk.
type machine struct {
	t     *testing.T
	dir   string
	disk  *fileblob.Disk
	off   bool // the power is cut: nothing is committed any more
	step  func(what string)
	store *server.Store
	s     *ops.Service
	who   packhouse.Principal
	stop  func()
}

var repo = packhouse.RepoRef{Domain: packhouse.DomainRef{Owner: "111122223333", Name: "main"}, Name: "store"}

// start opens the engine, making what is missing.
func start(t *testing.T, dir string, disk *fileblob.Disk, who packhouse.Principal) *machine {
	t.Helper()
	m := &machine{t: t, dir: dir, disk: disk, who: who, step: func(string) {}}
	ctx := t.Context()
	var blobs *fileblob.Store
	clock := feed.NewClock()
	var err error
	m.store, err = server.OpenStore(ctx, server.StoreOptions{Dir: dir, Create: true, Account: repo.Domain.Owner,
		Guard: func(blob.Store) blob.Store {
			var err error
			if blobs, err = disk.Open(); err != nil {
				t.Fatal(err)
			}
			return blobs
		},
		OnCommit: func(changes []packhouse.Change) { clock.Advance(changes); m.step("commit") }})
	if err != nil {
		t.Fatal(err)
	}
	rooms := map[packhouse.FormatID]format.Format{}
	for _, f := range formats.All() {
		rooms[f.Spec().ID] = f
	}
	identities, err := identity.New(ctx, identity.Options{Catalog: m.store.Catalog, TokenKey: m.store.TokenKey})
	if err != nil {
		t.Fatal(err)
	}
	resolver := resolve.New(resolve.Options{Catalog: m.store.Catalog, Vault: m.store.Vault, Clock: clock, Formats: rooms, Fetch: fetch.New(fetch.Options{})})
	m.s = ops.New(ops.Options{Catalog: m.store.Catalog, Vault: m.store.Vault, Keys: m.store.Keys, Identity: identities, Resolver: resolver,
		Clock: clock, Formats: rooms, Region: "us-east-1", Account: repo.Domain.Owner,
		KeyARN: func(_ packhouse.AccountID, keyID string) string { return keyID }})
	m.stop = func() {
		_ = resolver.Close(context.WithoutCancel(ctx))
		_ = m.store.Close()
		disk.EndProcess()
	}
	return m
}

// template is a data directory with an administrator, a domain and a repository.
func template(t *testing.T) (dir string, admin packhouse.Principal) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	m := start(t, dir, fileblob.NewDisk(t), admin)
	defer m.stop()
	c, err := identity.CreateUser(t.Context(), m.store.Catalog, admin, identity.NewUser{Account: repo.Domain.Owner, Name: "tester",
		Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`})
	if err != nil {
		t.Fatal(err)
	}
	m.who = c.Principal
	if _, err := m.s.CreateDomain(t.Context(), m.who, ops.CreateDomain{Name: repo.Domain.Name}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.s.CreateRepository(t.Context(), m.who, ops.CreateRepository{Ref: repo}); err != nil {
		t.Fatal(err)
	}
	return dir, m.who
}

// copyOf copies a data directory, so that each round begins with the same.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	// The blobs are on the model; and a copy's modes are not the original's.
	if err := errors.Join(os.RemoveAll(filepath.Join(to, "blobs")), os.Chmod(to, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"packhouse.db", "keys.json"} {
		if err := os.Chmod(filepath.Join(to, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// The scenario's versions. Two have the same bytes; one is so small that its bytes lie in
// the database; the last is taken away again.
var scenarioVersions = []string{"1.0", "1.1", "2.0", smallVersion, "3.0"}

const (
	smallVersion = "2.1"
	goneVersion  = "3.0"
)

func bytesOf(version string) []byte {
	times := 5000 // more than one sealed chunk
	switch version {
	case "1.1":
		version = "1.0"
	case smallVersion:
		times = 100
	}
	return bytes.Repeat([]byte("content of "+version+"; "), times)
}

func versionRef(version string) packhouse.VersionRef {
	return packhouse.VersionRef{Version: version, PackageRef: packhouse.PackageRef{Repo: repo,
		Package: packhouse.PackageName{Format: "generic", Namespace: "default", Name: "tool"}}}
}

func (m *machine) publish(ctx context.Context, version string) error {
	ref := versionRef(version)
	staged, err := m.s.Stage(ctx, m.who, ref.PackageRef, bytes.NewReader(bytesOf(version)), 0)
	if err != nil {
		return err
	}
	_, err = m.s.Publish(ctx, m.who, format.Publication{Package: ref.PackageRef, DisplayName: "tool", Version: version,
		Assets: []format.NewAsset{{Name: "tool.bin", Content: staged}}})
	return err
}

// run works through the scenario and returns what was acknowledged.
func (m *machine) run() (acked []string, gone bool) {
	ctx := m.t.Context()
	for _, version := range scenarioVersions {
		if m.off {
			return acked, false
		}
		if m.publish(ctx, version) == nil {
			acked = append(acked, version)
		}
	}
	if m.off {
		return acked, false
	}
	b, err := m.s.DeleteVersions(ctx, m.who, ops.ChangeVersions{Package: versionRef("").PackageRef, Versions: []string{goneVersion}})
	return acked, err == nil && len(b.Failed) == 0
}

// read returns a version's bytes: nil where there is no such version.
func (m *machine) read(version string) ([]byte, error) {
	_, content, err := m.s.Asset(m.t.Context(), m.who, packhouse.AssetRef{VersionRef: versionRef(version), Asset: "tool.bin"})
	if packhouse.KindOf(err) == packhouse.KindNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = content.Close() }()
	return io.ReadAll(io.NewSectionReader(content.At, 0, content.Size))
}

// violations says what is wrong with what a start finds: R1, R8 and R11. maybe tells that
// the deletion was asked for and may have happened.
func (m *machine) violations(acked []string, gone, maybe bool) (wrong []string) {
	for _, version := range scenarioVersions {
		got, err := m.read(version)
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("R8: %s is there and cannot be read: %v", version, err))
		case got != nil && !bytes.Equal(got, bytesOf(version)):
			wrong = append(wrong, fmt.Sprintf("R8: %s has %d wrong bytes", version, len(got)))
		case got == nil && slices.Contains(acked, version) && (version != goneVersion || !gone && !maybe):
			wrong = append(wrong, "R1: acknowledged and lost: "+version)
		case got != nil && gone && version == goneVersion:
			wrong = append(wrong, "R1: an acknowledged deletion is undone")
		}
	}
	if _, err := m.store.Blobs.SweepStaging(m.t.Context()); err != nil {
		wrong = append(wrong, "cannot sweep: "+err.Error())
	}
	if left := m.disk.Files("staging"); len(left) > 0 {
		wrong = append(wrong, "R11: left in staging: "+strings.Join(left, " "))
	}
	return wrong
}

// R1, R2, R8, A10: the power is cut before each call that publishes make of the disk, and
// after each commit. Whatever became of what was not synced, every version that the
// database shows is there, whole, and every acknowledged one is shown.
func TestPowerCutAtEveryStepOfAPublish(t *testing.T) {
	from, admin := template(t)
	for at := 1; ; at++ {
		disk := fileblob.NewDisk(t)
		m := start(t, copyOf(t, from), disk, admin)
		steps, where := 0, ""
		step := func(what string) bool {
			if steps++; steps >= at {
				if !m.off {
					where = what
				}
				m.off = true
			}
			return m.off
		}
		disk.Inject(func(_ int, what string) error {
			if step(what) {
				return fileblob.ErrPowerCut
			}
			return nil
		})
		m.step = func(what string) { step(what) }
		acked, gone := m.run()
		past := !m.off
		m.stop()
		for fate, after := range disk.AfterPowerCut(2) {
			next := start(t, m.dir, after, admin)
			for _, wrong := range next.violations(acked, gone, true) {
				t.Errorf("cut before step %d (%s), %s: %s", at, where, fate, wrong)
			}
			next.stop()
		}
		if past {
			if len(acked) != len(scenarioVersions) || !gone {
				t.Errorf("without a power cut: acknowledged %v, deleted %v", acked, gone)
			}
			return
		}
	}
}

// R1, R4, R7, R8, R11, A10: each call that publishes make of the disk fails, once or from
// then on. What was acknowledged is there, nothing else is, nothing stays behind, and when
// the disk works again so do publishes, without a restart.
func TestEveryCallOfAPublishMayFail(t *testing.T) {
	from, admin := template(t)
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC, syscall.EINTR, io.ErrShortWrite} {
		for _, forever := range []bool{false, true} {
			if forever && !errors.Is(cause, syscall.EIO) {
				continue // the cause makes no difference to those that follow
			}
			for n := 1; failingAt(t, start(t, copyOf(t, from), fileblob.NewDisk(t), admin), cause, n, forever); n++ {
			}
		}
	}
}

// failingAt runs the scenario with a failure at call n, and reports whether there was such
// a call.
func failingAt(t *testing.T, m *machine, cause error, n int, forever bool) (reached bool) {
	t.Helper()
	what := ""
	m.disk.Inject(func(call int, name string) error {
		if call == n {
			what, reached = name, true
		}
		if call == n || forever && call > n {
			return cause
		}
		return nil
	})
	acked, gone := m.run()
	m.disk.Inject(nil)
	where := fmt.Sprintf("%v at call %d (%s), forever %v", cause, n, what, forever)
	for _, version := range scenarioVersions {
		got, err := m.read(version)
		if want := slices.Contains(acked, version) && (version != goneVersion || !gone); err != nil || (got != nil) != want {
			t.Errorf("%s: %s is there: %v, want %v, error %v", where, version, got != nil, want, err)
		}
	}
	// Two versions share their bytes, and the deletion keeps its object for the collector.
	// What a failed removal leaves is swept or collected later.
	if removed := !forever && what != "remove"; removed {
		if objects := m.disk.Files("objects"); len(objects) != distinct(acked) {
			t.Errorf("%s: %d objects for acknowledged %v", where, len(objects), acked)
		}
		if left := m.disk.Files("staging"); len(left) > 0 {
			t.Errorf("%s: left in staging: %v", where, left)
		}
	}
	for _, version := range scenarioVersions { // R7: no leftover blocks the next try
		if err := m.publish(t.Context(), version); err != nil {
			t.Errorf("%s: publish %s again: %v", where, version, err)
		}
	}
	m.stop()
	if errors.Is(cause, syscall.EIO) {
		next := start(t, m.dir, m.disk, m.who)
		defer next.stop()
		for _, wrong := range next.violations(scenarioVersions, false, false) {
			t.Errorf("%s, after a restart: %s", where, wrong)
		}
	}
	return reached
}

// distinct counts different contents that do not lie in the database.
func distinct(versions []string) int {
	contents := map[string]bool{}
	for _, v := range versions {
		if v != smallVersion {
			contents[string(bytesOf(v))] = true
		}
	}
	return len(contents)
}

// R2, performance row 11: what lies in the database asks nothing of the disk, so that the
// transaction's sync is the only one, and is there after a restart.
func TestSmallPublishMakesNoFile(t *testing.T) {
	from, admin := template(t)
	m := start(t, copyOf(t, from), fileblob.NewDisk(t), admin)
	calls := 0
	m.disk.Inject(func(int, string) error { calls++; return nil })
	if err := m.publish(t.Context(), smallVersion); err != nil || calls != 0 {
		t.Errorf("%d calls of the disk, %v", calls, err)
	}
	if err := m.publish(t.Context(), "1.0"); err != nil || calls == 0 {
		t.Errorf("%d calls of the disk for large content, %v", calls, err)
	}
	m.disk.Inject(nil)
	m.stop()
	next := start(t, m.dir, m.disk, admin)
	defer next.stop()
	if got, err := next.read(smallVersion); err != nil || !bytes.Equal(got, bytesOf(smallVersion)) {
		t.Errorf("after a restart: %d bytes, %v", len(got), err)
	}
}

// R4, R21: what a door answers for each cause.
func TestCausesBecomeKinds(t *testing.T) {
	from, admin := template(t)
	for cause, want := range map[error]packhouse.Kind{
		syscall.ENOSPC: packhouse.KindDiskLow, syscall.EDQUOT: packhouse.KindDiskLow, syscall.EIO: packhouse.KindUnavailable,
		syscall.EROFS: packhouse.KindUnavailable, syscall.EMFILE: packhouse.KindUnavailable,
	} {
		for _, call := range []string{"create", "write", "sync", "link", "sync directory"} {
			disk := fileblob.NewDisk(t)
			m := start(t, copyOf(t, from), disk, admin)
			disk.Inject(func(_ int, what string) error {
				if what == call {
					return cause
				}
				return nil
			})
			if err := m.publish(t.Context(), "1.0"); packhouse.KindOf(err) != want || !errors.Is(err, cause) {
				t.Errorf("%v at %s: %v of kind %s, want %s", cause, call, err, packhouse.KindOf(err), want)
			}
			m.stop()
		}
	}
}
