// Package keystest is the suite of key providers: whatever holds master keys must
// pass it.
package keystest

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"github.com/packhouse/packhouse/internal/keys"
)

// Run tests a provider. open returns one that holds at least the two keys named by
// names, "" among them, and no key "alias/absent".
func Run(t *testing.T, open func(t *testing.T) (p keys.Provider, names [2]string)) {
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, p keys.Provider, first, second string)
	}{
		{"what is wrapped unwraps", roundTrip},
		{"only the right key and the right bytes unwrap", onlyTheRight},
		{"names that mean nothing are unknown", unknownNames},
		{"many may use it at once", manyAtOnce},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, names := open(t)
			first, second := resolve(t, p, names[0]), resolve(t, p, names[1])
			if first == second {
				t.Fatalf("%q and %q are one key", names[0], names[1])
			}
			tt.run(t, p, first, second)
		})
	}
}

// resolve resolves a name, and the id that comes out to itself.
func resolve(t *testing.T, p keys.Provider, name string) string {
	t.Helper()
	id, err := p.Resolve(t.Context(), name)
	if err != nil || id == "" {
		t.Fatalf("Resolve(%q) = %q, %v", name, id, err)
	}
	if again, err := p.Resolve(t.Context(), id); err != nil || again != id {
		t.Fatalf("Resolve(%q) = %q, %v, want itself", id, again, err)
	}
	return id
}

func wrap(t *testing.T, p keys.Provider, id string, plain []byte) []byte {
	t.Helper()
	wrapped, err := p.Wrap(t.Context(), id, plain)
	if err != nil {
		t.Fatal(err)
	}
	return wrapped
}

func roundTrip(t *testing.T, p keys.Provider, first, _ string) {
	for _, size := range []int{0, 1, 32, 64 << 10} {
		plain := bytes.Repeat([]byte{7}, size)
		wrapped := wrap(t, p, first, plain)
		if size >= 32 && bytes.Contains(wrapped, plain[:32]) {
			t.Error("the bytes are in the clear")
		}
		if bytes.Equal(wrapped, wrap(t, p, first, plain)) {
			t.Error("wrapping twice gives the same bytes")
		}
		if got, err := p.Unwrap(t.Context(), first, wrapped); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: Unwrap gave %d, %v", size, len(got), err)
		}
	}
	if _, err := p.Wrap(t.Context(), first, make([]byte, 64<<10+1)); err == nil {
		t.Error("more than 64 KiB are wrapped")
	}
}

func onlyTheRight(t *testing.T, p keys.Provider, first, second string) {
	wrapped := wrap(t, p, first, []byte("secret"))
	if _, err := p.Unwrap(t.Context(), second, wrapped); err == nil || errors.Is(err, keys.ErrUnknownKey) {
		t.Errorf("another key: %v, want an error that is not ErrUnknownKey", err)
	}
	for i := range wrapped {
		changed := bytes.Clone(wrapped)
		changed[i] ^= 1
		if _, err := p.Unwrap(t.Context(), first, changed); err == nil {
			t.Errorf("a change of byte %d goes unnoticed", i)
		}
		if _, err := p.Unwrap(t.Context(), first, wrapped[:i]); err == nil {
			t.Errorf("%d bytes of %d unwrap", i, len(wrapped))
		}
	}
}

func unknownNames(t *testing.T, p keys.Provider, first, _ string) {
	for _, name := range []string{"alias/absent", "alias/", "00000000-0000-4000-8000-000000000000", "absent", " " + first, first + "\n",
		"arn:aws:kms", "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-4000-8000-000000000000", "../" + first} {
		if id, err := p.Resolve(t.Context(), name); !errors.Is(err, keys.ErrUnknownKey) {
			t.Errorf("Resolve(%q) = %q, %v, want ErrUnknownKey", name, id, err)
		}
		if _, err := p.Wrap(t.Context(), name, nil); !errors.Is(err, keys.ErrUnknownKey) {
			t.Errorf("Wrap(%q) = %v, want ErrUnknownKey", name, err)
		}
		if _, err := p.Unwrap(t.Context(), name, nil); !errors.Is(err, keys.ErrUnknownKey) {
			t.Errorf("Unwrap(%q) = %v, want ErrUnknownKey", name, err)
		}
	}
}

func manyAtOnce(t *testing.T, p keys.Provider, first, second string) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			id := []string{first, second}[i%2]
			for range 50 {
				plain := []byte{byte(i & 0xff)}
				wrapped, err := p.Wrap(t.Context(), id, plain)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := p.Unwrap(t.Context(), id, wrapped); err != nil || !bytes.Equal(got, plain) {
					t.Errorf("Unwrap = %v, %v", got, err)
				}
			}
		})
	}
	all.Wait()
}
