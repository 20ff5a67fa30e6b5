// Package blobtest is the suite of blob drivers: whatever stores objects must pass it.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/packhouse/packhouse/internal/blob"
)

// Run tests a driver. open returns a new, empty store each time, and takes care of
// closing it when the test ends.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T, blob.Store)
	}{
		{"a committed object reads back", committedReadsBack},
		{"a staged object is invisible and readable to its owner", stagedIsInvisible},
		{"a discarded object leaves nothing", discardLeavesNothing},
		{"commit never replaces", commitNeverReplaces},
		{"commits that race for a key have one winner", commitRace},
		{"absent objects are not found and may be deleted", absentObjects},
		{"an open object outlives its deletion", openOutlivesDelete},
		{"list goes in key order from any place", listInOrder},
		{"list stops when told", listStops},
		{"keys that users could have made up are refused", invalidKeys},
		{"a finished context stops every call", finishedContext},
		{"sweeping does not touch what this process stages", sweepSparesOwn},
		{"readers follow a writer", readersFollow},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}

func stage(t *testing.T, s blob.Store, b []byte) blob.Staged {
	t.Helper()
	st, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Discard(); err != nil {
			t.Errorf("Discard: %v", err)
		}
	})
	if n, err := st.Write(b); n != len(b) || err != nil {
		t.Fatalf("Write = %d, %v, want %d", n, err, len(b))
	}
	return st
}

func put(t *testing.T, s blob.Store, key blob.Key, b []byte) {
	t.Helper()
	st := stage(t, s, b)
	if err := st.Commit(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := st.Discard(); err != nil {
		t.Fatal(err)
	}
}

// readAll reads an object in two reads and checks what Size and the end say.
func readAll(t *testing.T, s blob.Store, key blob.Key) []byte {
	t.Helper()
	o, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}()
	b := make([]byte, o.Size())
	half := len(b) / 2
	for _, part := range []struct{ from, to int }{{half, len(b)}, {0, half}} {
		if n, err := o.ReadAt(b[part.from:part.to], int64(part.from)); n != part.to-part.from || err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("ReadAt = %d, %v", n, err)
		}
	}
	if n, err := o.ReadAt(make([]byte, 1), o.Size()); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("ReadAt the end = %d, %v, want 0, EOF", n, err)
	}
	return b
}

func keysOf(t *testing.T, s blob.Store, after blob.Key) []blob.Key {
	t.Helper()
	var keys []blob.Key
	if err := s.List(t.Context(), after, func(i blob.Info) error {
		keys = append(keys, i.Key)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return keys
}

func committedReadsBack(t *testing.T, s blob.Store) {
	for i, size := range []int{0, 1, 4096, 70_000, 1<<20 + 1} {
		key := blob.Key(fmt.Sprintf("abcd%04x-1", i))
		want := bytes.Repeat([]byte{byte(i), 7}, size)[:size]
		put(t, s, key, want)
		if got := readAll(t, s, key); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: others came back", size)
		}
		info, err := s.Stat(t.Context(), key)
		if err != nil || info != (blob.Info{Key: key, Size: int64(size)}) {
			t.Errorf("Stat = %+v, %v", info, err)
		}
	}
}

func stagedIsInvisible(t *testing.T, s blob.Store) {
	st := stage(t, s, []byte("hello"))
	if keys := keysOf(t, s, ""); len(keys) != 0 {
		t.Errorf("staged object is listed: %v", keys)
	}
	check := func(when string) {
		t.Helper()
		b := make([]byte, 3)
		if n, err := st.ReadAt(b, 1); n != 3 || err != nil || string(b) != "ell" {
			t.Errorf("%s: ReadAt = %d, %v, %q", when, n, err, b)
		}
		if n, err := st.ReadAt(b, 4); n != 1 || !errors.Is(err, io.EOF) {
			t.Errorf("%s: ReadAt past the end = %d, %v, want 1, EOF", when, n, err)
		}
	}
	check("before Commit")
	if err := st.Commit(t.Context(), "00ff"); err != nil {
		t.Fatal(err)
	}
	check("after Commit")
	if _, err := st.Write([]byte("more")); !errors.Is(err, blob.ErrClosed) {
		t.Errorf("Write after Commit: %v, want ErrClosed", err)
	}
	if err := st.Commit(t.Context(), "00fe"); !errors.Is(err, blob.ErrClosed) {
		t.Errorf("second Commit: %v, want ErrClosed", err)
	}
	for range 2 {
		if err := st.Discard(); err != nil {
			t.Errorf("Discard after Commit: %v", err)
		}
	}
	if _, err := st.ReadAt(make([]byte, 1), 0); !errors.Is(err, blob.ErrClosed) {
		t.Errorf("ReadAt after Discard: %v, want ErrClosed", err)
	}
	if got := readAll(t, s, "00ff"); string(got) != "hello" {
		t.Errorf("object = %q", got)
	}
}

func discardLeavesNothing(t *testing.T, s blob.Store) {
	st := stage(t, s, []byte("hello"))
	for range 2 {
		if err := st.Discard(); err != nil {
			t.Error(err)
		}
	}
	if _, err := st.Write([]byte("x")); err == nil {
		t.Error("Write after Discard succeeds")
	}
	if err := st.Commit(t.Context(), "0001"); err == nil {
		t.Error("Commit after Discard succeeds")
	}
	if keys := keysOf(t, s, ""); len(keys) != 0 {
		t.Errorf("left behind: %v", keys)
	}
}

func commitNeverReplaces(t *testing.T, s blob.Store) {
	put(t, s, "aa01", []byte("first"))
	if err := stage(t, s, []byte("second")).Commit(t.Context(), "aa01"); !errors.Is(err, blob.ErrExists) {
		t.Errorf("Commit = %v, want ErrExists", err)
	}
	if got := readAll(t, s, "aa01"); string(got) != "first" {
		t.Errorf("object = %q", got)
	}
}

func commitRace(t *testing.T, s blob.Store) {
	const racers = 16
	var all sync.WaitGroup
	results := make([]error, racers)
	for i := range racers {
		st := stage(t, s, []byte{byte(i)})
		all.Go(func() { results[i] = st.Commit(t.Context(), "bb01") })
	}
	all.Wait()
	winner := slices.Index(results, nil)
	for i, err := range results {
		if i != winner && !errors.Is(err, blob.ErrExists) {
			t.Errorf("racer %d: %v, want ErrExists", i, err)
		}
	}
	if got := readAll(t, s, "bb01"); winner < 0 || !bytes.Equal(got, []byte{byte(winner & 0xff)}) {
		t.Errorf("object = %v, winner %d", got, winner)
	}
}

func absentObjects(t *testing.T, s blob.Store) {
	if _, err := s.Open(t.Context(), "cc01"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Open = %v, want ErrNotFound", err)
	}
	if _, err := s.Stat(t.Context(), "cc01"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat = %v, want ErrNotFound", err)
	}
	if err := s.Delete(t.Context(), "cc01"); err != nil {
		t.Errorf("Delete = %v", err)
	}
	put(t, s, "cc01", []byte("x"))
	if err := s.Delete(t.Context(), "cc01"); err != nil {
		t.Errorf("Delete = %v", err)
	}
	if _, err := s.Stat(t.Context(), "cc01"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat after Delete = %v, want ErrNotFound", err)
	}
	put(t, s, "cc01", []byte("y")) // the key is free again
}

func openOutlivesDelete(t *testing.T, s blob.Store) {
	put(t, s, "dd01", []byte("hello"))
	o, err := s.Open(t.Context(), "dd01")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "dd01"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := o.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) || string(b) != "hello" {
		t.Errorf("ReadAt = %q, %v", b, err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

func listInOrder(t *testing.T, s blob.Store) {
	want := []blob.Key{"0", "0-", "0-1", "0/0", "00", "00-1", "00/1", "0000", "0000-2", "0000/3", "00001", "0001",
		"a-b/c", "a/b/c", "ab", "ab-", "ab/", "ab/c", "ab/cd", "ab0", "abc", "abc/1", "abcd-1", "abcd/1", "abcd0", "abcde", "f/f"}
	want = slices.DeleteFunc(want, func(k blob.Key) bool { return !k.Valid() })
	for i, k := range want {
		put(t, s, k, make([]byte, i))
	}
	if !slices.IsSorted(want) {
		t.Fatal("the test's own keys are not sorted")
	}
	var got []blob.Key
	if err := s.List(t.Context(), "", func(info blob.Info) error {
		if i := slices.Index(want, info.Key); int64(i) != info.Size {
			t.Errorf("%s has %d bytes, want %d", info.Key, info.Size, i)
		}
		got = append(got, info.Key)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("List = %v, want %v", got, want)
	}
	for i, k := range want {
		if got := keysOf(t, s, k); !slices.Equal(got, want[i+1:]) {
			t.Errorf("List after %s = %v, want %v", k, got, want[i+1:])
		}
	}
	if got := keysOf(t, s, "00002"); !slices.Equal(got, want[slices.Index(want, "0001"):]) {
		t.Errorf("List after a key that is absent = %v", got)
	}
}

func listStops(t *testing.T, s blob.Store) {
	for _, k := range []blob.Key{"01", "02", "03"} {
		put(t, s, k, nil)
	}
	enough, calls := errors.New("enough"), 0
	if err := s.List(t.Context(), "", func(blob.Info) error { calls++; return enough }); !errors.Is(err, enough) || calls != 1 {
		t.Errorf("List = %v after %d calls, want the callback's error after 1", err, calls)
	}
}

func invalidKeys(t *testing.T, s blob.Store) {
	for _, k := range []blob.Key{"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "A", "g", "a b", "a\x00", "a\\b", "é",
		blob.Key(strings.Repeat("a", blob.MaxKeyLength+1))} {
		if err := stage(t, s, []byte("x")).Commit(t.Context(), k); !errors.Is(err, blob.ErrInvalidKey) {
			t.Errorf("Commit(%q) = %v, want ErrInvalidKey", k, err)
		}
		if _, err := s.Open(t.Context(), k); !errors.Is(err, blob.ErrInvalidKey) {
			t.Errorf("Open(%q) = %v, want ErrInvalidKey", k, err)
		}
		if _, err := s.Stat(t.Context(), k); !errors.Is(err, blob.ErrInvalidKey) {
			t.Errorf("Stat(%q) = %v, want ErrInvalidKey", k, err)
		}
		if err := s.Delete(t.Context(), k); !errors.Is(err, blob.ErrInvalidKey) {
			t.Errorf("Delete(%q) = %v, want ErrInvalidKey", k, err)
		}
	}
	put(t, s, blob.Key(strings.Repeat("a", blob.MaxKeyLength)), []byte("longest"))
}

func finishedContext(t *testing.T, s blob.Store) {
	put(t, s, "ee01", []byte("x"))
	st := stage(t, s, []byte("y"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, stageErr := s.Stage(ctx)
	_, openErr := s.Open(ctx, "ee01")
	_, statErr := s.Stat(ctx, "ee01")
	_, sweepErr := s.SweepStaging(ctx)
	for call, err := range map[string]error{
		"Stage": stageErr, "Open": openErr, "Stat": statErr, "Delete": s.Delete(ctx, "ee01"), "Commit": st.Commit(ctx, "ee02"),
		"List": s.List(ctx, "", func(blob.Info) error { return nil }), "SweepStaging": sweepErr,
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s = %v, want context.Canceled", call, err)
		}
	}
	if got := keysOf(t, s, ""); !slices.Equal(got, []blob.Key{"ee01"}) {
		t.Errorf("objects = %v", got)
	}
}

func sweepSparesOwn(t *testing.T, s blob.Store) {
	st := stage(t, s, []byte("mine"))
	if n, err := s.SweepStaging(t.Context()); n != 0 || err != nil {
		t.Errorf("SweepStaging = %d, %v, want 0", n, err)
	}
	if err := st.Commit(t.Context(), "ff01"); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, s, "ff01"); string(got) != "mine" {
		t.Errorf("object = %q", got)
	}
}

func readersFollow(t *testing.T, s blob.Store) {
	st := stage(t, s, nil)
	const pieces, piece = 50, 1000
	written := make(chan int, pieces) // closed by the writer
	var all sync.WaitGroup
	all.Go(func() {
		b := make([]byte, piece)
		for n := range written {
			if _, err := st.ReadAt(b, int64(n*piece)); err != nil && !errors.Is(err, io.EOF) {
				t.Errorf("piece %d: %v", n, err)
			}
			if !bytes.Equal(b, bytes.Repeat([]byte{byte(n & 0xff)}, piece)) {
				t.Errorf("piece %d differs", n)
			}
		}
	})
	for n := range pieces {
		if _, err := st.Write(bytes.Repeat([]byte{byte(n & 0xff)}, piece)); err != nil {
			t.Error(err)
		}
		written <- n
		if n == pieces/2 {
			if err := s.Delete(t.Context(), "0a0b"); err != nil { // other work in between
				t.Error(err)
			}
		}
	}
	if err := st.Commit(t.Context(), "0a0b"); err != nil {
		t.Error(err)
	}
	close(written)
	all.Wait()
}
