package rowblob_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/blob/memblob"
	"github.com/packhouse/packhouse/internal/blob/rowblob"
)

// rows are objects by key.
type rows map[string]string

func (r rows) Body(ctx context.Context, key string) ([]byte, error) {
	b, ok := r[key]
	if !ok {
		return nil, ctx.Err()
	}
	return []byte(b), ctx.Err()
}

func (r rows) Bodies(ctx context.Context, after string, fn func(string, int64) error) error {
	for _, key := range slices.Sorted(maps.Keys(r)) {
		if key <= after {
			continue
		}
		if err := errors.Join(ctx.Err(), fn(key, int64(len(r[key])))); err != nil {
			return err
		}
	}
	return nil
}

func commit(t *testing.T, s blob.Store, key blob.Key, b string) {
	t.Helper()
	st, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Discard() }()
	if _, err := st.Write([]byte(b)); err != nil {
		t.Fatal(err)
	}
	if err := st.Commit(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

func TestReadersDoNotCareWhereBytesLie(t *testing.T) {
	s := rowblob.New(memblob.New())
	inRow := s.RowKey(3)
	s.Attach(rows{string(inRow): "in a row"})
	commit(t, s, "00ab", "in the store")
	for key, want := range map[blob.Key]string{inRow: "in a row", "00ab": "in the store"} {
		o, err := s.Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
		if string(got) != want || err != nil || o.Close() != nil {
			t.Errorf("%s holds %q, %v, want %q", key, got, err, want)
		}
		if info, err := s.Stat(t.Context(), key); err != nil || info != (blob.Info{Key: key, Size: int64(len(want))}) {
			t.Errorf("Stat(%s) = %+v, %v", key, info, err)
		}
	}
	for _, key := range []blob.Key{s.RowKey(3), "00cd"} {
		if _, err := s.Open(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Open(%s) = %v, want ErrNotFound", key, err)
		}
		if _, err := s.Stat(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Stat(%s) = %v, want ErrNotFound", key, err)
		}
	}
}

// R14: a key holds the generation and is made once; objects in rows go with their rows, and
// with nothing else.
func TestKeysAndDeletion(t *testing.T) {
	s := rowblob.New(memblob.New())
	one, other, later := s.RowKey(7), s.RowKey(7), s.RowKey(8)
	for _, key := range []blob.Key{one, other, later} {
		if !key.Valid() || !key.InRow() {
			t.Errorf("key %q: valid %v, in a row %v", key, key.Valid(), key.InRow())
		}
	}
	if one == other || !strings.Contains(string(one), "-7-") || !strings.Contains(string(later), "-8-") {
		t.Errorf("keys %s, %s and, of another generation, %s", one, other, later)
	}
	s.Attach(rows{string(one): "x"})
	commit(t, s, "00ab", "y")
	for _, key := range []blob.Key{one, "00ab"} {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Stat(t.Context(), one); err != nil {
		t.Errorf("Stat of an object in a row after Delete: %v", err)
	}
	if _, err := s.Stat(t.Context(), "00ab"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat of another object after Delete: %v", err)
	}
	for _, key := range []blob.Key{"0/..", "0//"} {
		if _, err := s.Open(t.Context(), key); !errors.Is(err, blob.ErrInvalidKey) {
			t.Errorf("Open(%q) = %v, want ErrInvalidKey", key, err)
		}
		if err := s.Delete(t.Context(), key); !errors.Is(err, blob.ErrInvalidKey) {
			t.Errorf("Delete(%q) = %v, want ErrInvalidKey", key, err)
		}
	}
}

func TestListGoesInKeyOrderFromAnyPlace(t *testing.T) {
	s := rowblob.New(memblob.New())
	s.Attach(rows{"0/01": "1", "0/0a": "22"})
	commit(t, s, "00ab", "333")
	commit(t, s, "ff00", "4444")
	want := []blob.Key{"0/01", "0/0a", "00ab", "ff00"}
	for i, after := range append([]blob.Key{""}, want...) {
		var got []blob.Key
		err := s.List(t.Context(), after, func(info blob.Info) error {
			if at := slices.Index(want, info.Key); info.Size != int64(at+1) {
				t.Errorf("%s has %d bytes", info.Key, info.Size)
			}
			got = append(got, info.Key)
			return nil
		})
		if err != nil || !slices.Equal(got, want[i:]) {
			t.Errorf("List after %q = %v, %v, want %v", after, got, err, want[i:])
		}
	}
	enough := errors.New("enough")
	if err := s.List(t.Context(), "", func(blob.Info) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("List = %v, want the callback's error", err)
	}
}
