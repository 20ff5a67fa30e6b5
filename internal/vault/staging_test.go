package vault_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/vault"
)

// brokenStore fails all reads of objects and all writes, for err.
type brokenStore struct {
	blob.Store
	err error
}

func (s brokenStore) Stage(ctx context.Context) (blob.Staged, error) {
	st, err := s.Store.Stage(ctx)
	return brokenStaged{st, s.err}, err
}

func (s brokenStore) Open(ctx context.Context, key blob.Key) (blob.Object, error) {
	o, err := s.Store.Open(ctx, key)
	return brokenObject{o, s.err}, err
}

type brokenStaged struct {
	blob.Staged
	err error
}

func (s brokenStaged) Write([]byte) (int, error) { return 0, s.err }

type brokenObject struct {
	blob.Object
	err error
}

func (o brokenObject) ReadAt([]byte, int64) (int, error) { return 0, o.err }

// begin stages without finishing.
func (h house) begin(t testing.TB, limit int64) *vault.Staging {
	t.Helper()
	s, err := h.Stage(t.Context(), h.domain, limit, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Discard)
	return s
}

func TestWritesOfAnySizeHashTheSame(t *testing.T) {
	h := newHouse(t)
	want := bytesOf(1<<20 + 12345)
	random := rand.New(rand.NewPCG(5, 6))
	s := h.begin(t, int64(len(want)))
	for rest := want; len(rest) > 0; {
		n := min(len(rest), []int{1, 100, 5000, 64 << 10, 200_000}[random.IntN(5)])
		p := bytes.Clone(rest[:n])
		if _, err := s.Write(p); err != nil {
			t.Fatal(err)
		}
		clear(p) // Write must not keep it
		rest = rest[n:]
	}
	for range 2 {
		if err := s.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	if s.Hashes() != hashesOf(want) {
		t.Errorf("Hashes = %+v, want %+v", s.Hashes(), hashesOf(want))
	}
}

func TestMD5IsLeftOutUnlessAskedFor(t *testing.T) {
	h := newHouse(t)
	s, err := h.Stage(t.Context(), h.domain, 10, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	want := hashesOf(nil)
	want.MD5 = ""
	if s.Hashes() != want {
		t.Errorf("Hashes = %+v, want %+v", s.Hashes(), want)
	}
}

// R31: the limit holds to the byte, and nothing can be kept beyond it.
func TestLimit(t *testing.T) {
	h := newHouse(t)
	s := h.begin(t, 100)
	if _, err := s.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	n, err := s.Write([]byte{1})
	if n != 0 || packhouse.KindOf(err) != packhouse.KindTooLarge {
		t.Errorf("Write beyond the limit = %d, %v, want KindTooLarge", n, err)
	}
	if err := s.Finish(); packhouse.KindOf(err) != packhouse.KindTooLarge {
		t.Errorf("Finish = %v, want KindTooLarge", err)
	}
	if _, err := s.Keep(t.Context(), 1); packhouse.KindOf(err) != packhouse.KindTooLarge {
		t.Errorf("Keep = %v, want KindTooLarge", err)
	}
}

func TestStoreThatFailsWrites(t *testing.T) {
	h := newHouse(t)
	full := errors.New("no space left")
	h.Vault = vault.New(brokenStore{h.store, full}, h.provider)
	large := h.begin(t, 1<<20)
	if _, err := large.Write(make([]byte, 300_000)); !errors.Is(err, full) {
		t.Errorf("Write = %v, want the store's error", err)
	}
	if err := large.Finish(); !errors.Is(err, full) {
		t.Errorf("Finish = %v, want the store's error", err)
	}
	small := h.begin(t, 1<<20)
	if _, err := small.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := small.Finish(); err != nil { // nothing is written before it is kept
		t.Errorf("Finish = %v", err)
	}
	if _, err := small.Keep(t.Context(), 1); !errors.Is(err, full) {
		t.Errorf("Keep = %v, want the store's error", err)
	}
}

func TestKeepComesOnceAndOnlyForFinishedBytes(t *testing.T) {
	h := newHouse(t)
	s := h.begin(t, 10)
	if _, err := s.Keep(t.Context(), 1); err == nil {
		t.Error("Keep before Finish succeeds")
	}
	if _, err := s.ReadAt(make([]byte, 1), 0); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("ReadAt before Finish: %v", err)
	}
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("x")); err == nil {
		t.Error("Write after Finish succeeds")
	}
	if _, err := s.Keep(t.Context(), 1); err != nil {
		t.Error(err)
	}
	if _, err := s.Keep(t.Context(), 1); err == nil {
		t.Error("second Keep succeeds")
	}
	for _, end := range []func(*vault.Staging){func(s *vault.Staging) { s.Fail(errors.New("wrong digest")) }, (*vault.Staging).Discard} {
		s := h.stage(t, h.domain, []byte("x"))
		end(s)
		if _, err := s.Keep(t.Context(), 1); err == nil {
			t.Error("Keep after Fail or Discard succeeds")
		}
	}
}

// R27: followers see bytes as they come, wait before the last ones, and end as the
// writer says.
func TestFollow(t *testing.T) { houses(t, follow) }

func follow(t *testing.T, h house) {
	wrong := errors.New("the digest is wrong")
	for _, size := range sizes {
		for _, fails := range []bool{false, true} {
			want := bytesOf(size)
			s := h.begin(t, int64(size))
			var all sync.WaitGroup
			start := func() {
				r := s.Follow(t.Context())
				all.Go(func() {
					got, err := io.ReadAll(r)
					switch {
					case fails && (!errors.Is(err, wrong) || !bytes.HasPrefix(want, got) || size > 0 && len(got) == size):
						t.Errorf("%d bytes: got %d before %v, want %v and not all", size, len(got), err, wrong)
					case !fails && (err != nil || !bytes.Equal(got, want)):
						t.Errorf("%d bytes: got %d, %v", size, len(got), err)
					}
					if err := r.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			start()
			for rest := want; len(rest) > 0; {
				n := min(len(rest), 50_000)
				if _, err := s.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
				start()
			}
			quitter := s.Follow(t.Context())
			if err := quitter.Close(); err != nil {
				t.Error(err)
			}
			if err := s.Finish(); err != nil {
				t.Fatal(err)
			}
			start()
			if fails {
				s.Fail(wrong)
				s.Settle() // too late
			} else {
				if _, err := s.Keep(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
				start()
				s.Settle()
				s.Fail(wrong) // too late
			}
			start()
			s.Discard() // those that still read go on
			all.Wait()
			late := s.Follow(t.Context())
			if _, err := late.Read(make([]byte, 1)); err == nil || err == io.EOF {
				t.Errorf("following what is discarded: %v", err)
			}
			_ = late.Close()
		}
	}
}

// R27: all but the last package is in sight before the end, the last one only after
// Settle, and not even after Finish.
func TestFollowersWaitBeforeTheLastBytes(t *testing.T) {
	h := newHouse(t)
	for _, tt := range []struct {
		name                    string
		size, onTheWay, written int // bytes in sight after 100,000 and after all
	}{
		{"a last package that is short", 150_000, 64 << 10, 128 << 10},
		{"a last package that is full", 128 << 10, 64 << 10, 64 << 10},
		{"a last package of one byte", 128<<10 + 1, 64 << 10, 128 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := h.Stage(t.Context(), h.domain, int64(tt.size), false)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Discard()
				r := s.Follow(t.Context())
				defer func() { _ = r.Close() }()
				var mu sync.Mutex
				read, ended := 0, false
				go func() {
					for p := make([]byte, 4096); ; {
						n, err := r.Read(p)
						mu.Lock()
						read += n
						ended = err == io.EOF
						mu.Unlock()
						if err != nil {
							return
						}
					}
				}()
				expect := func(when string, wantRead int, wantEnded bool) {
					t.Helper()
					synctest.Wait()
					mu.Lock()
					defer mu.Unlock()
					if read != wantRead || ended != wantEnded {
						t.Errorf("%s: read %d, ended %v, want %d, %v", when, read, ended, wantRead, wantEnded)
					}
				}
				expect("at first", 0, false)
				if _, err := s.Write(make([]byte, 100_000)); err != nil {
					t.Fatal(err)
				}
				expect("on the way", tt.onTheWay, false)
				if _, err := s.Write(make([]byte, tt.size-100_000)); err != nil {
					t.Fatal(err)
				}
				expect("all written", tt.written, false)
				if err := s.Finish(); err != nil {
					t.Fatal(err)
				}
				expect("after Finish", tt.written, false)
				s.Settle()
				expect("after Settle", tt.size, true)
			})
		})
	}
}

func TestFollowerEndsWithItsContext(t *testing.T) {
	h := newHouse(t)
	s := h.begin(t, 10)
	gone := errors.New("the client left")
	ctx, cancel := context.WithCancelCause(t.Context())
	r := s.Follow(ctx)
	defer func() { _ = r.Close() }()
	cancel(gone)
	for range 2 {
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, gone) {
			t.Errorf("Read = %v, want %v", err, gone)
		}
	}
}

// R31: what a staging starts ends with it, on every way out.
func TestDiscardEndsEverything(t *testing.T) {
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		for _, way := range []string{"early", "after Finish", "after Keep"} {
			s, err := h.Stage(t.Context(), h.domain, 1<<20, true)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Write(make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
			if way != "early" {
				if err := s.Finish(); err != nil {
					t.Fatal(err)
				}
			}
			if way == "after Keep" {
				if _, err := s.Keep(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				s.Discard()
			}
			if _, err := s.ReadAt(make([]byte, 1), 0); err == nil {
				t.Errorf("%s: ReadAt after Discard succeeds", way)
			}
		}
	})
}

// Performance rows 12 and 17: however large the blob, staging it holds little.
func TestStagingHoldsLittleMemory(t *testing.T) {
	houses(t, func(t *testing.T, h house) {
		if t.Name() == "TestStagingHoldsLittleMemory/memblob" {
			t.Skip("this store is memory")
		}
		piece := bytesOf(64 << 10)
		s := h.begin(t, 1<<30)
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range 50 << 20 / len(piece) {
			if _, err := s.Write(piece); err != nil {
				t.Fatal(err)
			}
			if i%100 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&now)
				if held := int64(now.HeapAlloc) - int64(before.HeapAlloc); held > 2<<20 {
					t.Fatalf("%d bytes held after %d pieces", held, i)
				}
			}
		}
		if err := s.Finish(); err != nil {
			t.Fatal(err)
		}
	})
}
