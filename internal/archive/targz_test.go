package archive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse/internal/archive"
	"github.com/packhouse/packhouse/internal/archive/archivetest"
)

var decent = []archivetest.File{
	{Name: "package/package.json", Body: `{"name":"x"}`},
	{Name: "package/lib", Type: '5'},
	{Name: "package/lib/index.js", Body: "1"},
}

func walk(ctx context.Context, b []byte, o archive.Options) (names []string, err error) {
	err = archive.WalkTarGz(ctx, bytes.NewReader(b), int64(len(b)), o, func(e *archive.Entry) error {
		names = append(names, e.Name)
		_, err := e.ReadAll()
		return err
	})
	return names, err
}

func TestDecentArchiveIsWalkedInOrder(t *testing.T) {
	got, err := walk(t.Context(), archivetest.TarGz(t, decent...), archive.Options{})
	if want := []string{"package/package.json", "package/lib", "package/lib/index.js"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("walk = %q, %v; want %q", got, err, want)
	}
}

// Padding up to a record, a commit in a global header and several compressed members
// are what honest tools write.
func TestHonestOddities(t *testing.T) {
	plain := archivetest.Tar(t, decent...)
	half := len(plain) / 2
	for name, b := range map[string][]byte{
		"padding":      archivetest.Gzip(t, append(bytes.Clone(plain), make([]byte, 10240)...)),
		"two members":  append(archivetest.Gzip(t, plain[:half]), archivetest.Gzip(t, plain[half:])...),
		"git's header": archivetest.TarGz(t, append([]archivetest.File{{Name: "pax_global_header", Type: 'g', Raw: true, Body: "52 comment=0123456789012345678901234567890123456789\n"}}, decent...)...),
	} {
		if got, err := walk(t.Context(), b, archive.Options{}); err != nil || len(got) != 3 {
			t.Errorf("%s: walk = %q, %v; want 3 entries", name, got, err)
		}
	}
}

// reliability.md S25: everything that unpacking clients could be led astray by is
// refused, and limits of A8 hold even for tolerant readers.
func TestHostileArchives(t *testing.T) {
	for _, c := range archivetest.Hostile(t, decent...) {
		t.Run(c.Name, func(t *testing.T) {
			if _, err := walk(t.Context(), c.Bytes, archive.Options{}); !archive.IsError(err) {
				t.Errorf("strict walk = %v, want an archive error", err)
			}
			told := 0
			names, err := walk(t.Context(), c.Bytes, archive.Options{Tolerate: func(*archive.Error) { told++ }})
			if c.Readable && (err != nil || told == 0 || !slices.Contains(names, "package/package.json")) {
				t.Errorf("tolerant walk = %q, %v after %d oddities; want the decent entries and at least one oddity", names, err, told)
			}
			if !c.Readable && !archive.IsError(err) {
				t.Errorf("tolerant walk = %v, want an archive error", err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	big := archivetest.TarGz(t, archivetest.File{Name: "a", Body: strings.Repeat("x", 5000)})
	for _, tt := range []struct {
		name   string
		limits archive.Limits
		ok     bool
	}{
		{"defaults let it through", archive.Limits{}, true},
		{"one metadata file of exactly its limit", archive.Limits{MetadataFile: 5000}, true},
		{"one byte more", archive.Limits{MetadataFile: 4999}, false},
		{"inflated bytes", archive.Limits{Inflated: 4096}, false},
		{"ratio past its floor", archive.Limits{Ratio: 2, RatioFloor: 512}, false},
		{"floor of the ratio", archive.Limits{Ratio: 2, RatioFloor: 10240}, true},
		{"name", archive.Limits{Name: 1}, true},
		{"entries", archive.Limits{Entries: 1}, true},
		{"time", archive.Limits{Work: time.Nanosecond}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := walk(t.Context(), big, archive.Options{Limits: tt.limits})
			if tt.ok && err != nil || !tt.ok && !archive.IsError(err) {
				t.Errorf("walk = %v, want ok=%v", err, tt.ok)
			}
		})
	}
}

// reliability.md A8: 100,000 entries. Directories that repeat are no oddity, so that
// only their number can end the walk.
func TestNumberOfEntries(t *testing.T) {
	const end = 1024 // bytes behind the last entry
	plain := archivetest.Tar(t, archivetest.File{Name: "package", Type: '5'})
	header := plain[:len(plain)-end]
	// A thousand at a time, each a compressed member of its own.
	hundredThousand := bytes.Repeat(archivetest.Gzip(t, bytes.Repeat(header, 1000)), 100)
	for _, tt := range []struct {
		name string
		tail []byte
		ok   bool
	}{{"100,000 entries", make([]byte, end), true}, {"one more", plain, false}} {
		b := append(bytes.Clone(hundredThousand), archivetest.Gzip(t, tt.tail)...)
		if _, err := walk(t.Context(), b, archive.Options{Limits: archive.Limits{Ratio: 1 << 20}}); (err == nil) != tt.ok || err != nil && !archive.IsError(err) {
			t.Errorf("%s: %v, want ok=%v", tt.name, err, tt.ok)
		}
	}
}

type brokenStore struct{ err error }

func (b brokenStore) ReadAt([]byte, int64) (int, error) { return 0, b.err }

func TestFailuresThatAreNotTheArchives(t *testing.T) {
	b := archivetest.TarGz(t, decent...)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := walk(gone, b, archive.Options{}); !errors.Is(err, context.Canceled) || archive.IsError(err) {
		t.Errorf("cancelled walk = %v, want the context's error", err)
	}
	disk := errors.New("disk")
	err := archive.WalkTarGz(t.Context(), brokenStore{disk}, 100, archive.Options{}, func(*archive.Entry) error { return nil })
	if !errors.Is(err, disk) || archive.IsError(err) {
		t.Errorf("walk over a broken store = %v, want the store's error", err)
	}
	visited := 0
	err = archive.WalkTarGz(t.Context(), bytes.NewReader(b), int64(len(b)), archive.Options{}, func(*archive.Entry) error {
		visited++
		return archive.ErrStop
	})
	if err != nil || visited != 1 {
		t.Errorf("stopped walk = %v after %d entries, want nil after 1", err, visited)
	}
}

func FuzzWalkTarGz(f *testing.F) {
	plain := archivetest.Tar(f, decent...)
	f.Add(plain, true)
	f.Add(archivetest.Gzip(f, plain), false)
	f.Add([]byte{0x1f, 0x8b}, false)
	f.Fuzz(func(t *testing.T, b []byte, compress bool) {
		if compress {
			b = archivetest.Gzip(t, b)
		}
		limits := archive.Limits{Entries: 100, Inflated: 1 << 20, MetadataFile: 1 << 16}
		var read int64
		err := archive.WalkTarGz(t.Context(), bytes.NewReader(b), int64(len(b)), archive.Options{Limits: limits}, func(e *archive.Entry) error {
			n, err := io.Copy(io.Discard, e)
			read += n
			return err
		})
		if err != nil && !archive.IsError(err) {
			t.Errorf("error of unknown kind: %v", err)
		}
		if read > 1<<20 {
			t.Errorf("%d bytes came out, more than the limit", read)
		}
	})
}
