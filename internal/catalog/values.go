package catalog

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
)

// micros is how times are stored: microseconds since 1970 UTC. The zero time has a
// number of its own and comes back as the zero time.
func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(n int64) time.Time { return time.UnixMicro(n).UTC() }

// stored is a time as it comes back.
func stored(t time.Time) time.Time { return fromMicros(micros(t)) }

// moment scans a stored time.
type moment struct{ t *time.Time }

func (m moment) Scan(v any) error {
	n, err := asInt(v)
	*m.t = fromMicros(n)
	return err
}

// allowed is how a restriction is stored.
func allowed(r packhouse.Restriction) int { return flag(r == packhouse.Allow) }

// restriction scans what allowed made.
type restriction struct{ r *packhouse.Restriction }

func (s restriction) Scan(v any) error {
	n, err := asInt(v)
	*s.r = packhouse.Block
	if n == 1 {
		*s.r = packhouse.Allow
	}
	return err
}

func asInt(v any) (int64, error) {
	n, ok := v.(int64)
	if !ok {
		return 0, fmt.Errorf("a number is stored as %T", v)
	}
	return n, nil
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// unhex turns a hash into raw bytes, nil for "not computed yet". Hashes come from our
// own hasher, so anything else than hex is an impossible state.
func unhex(s string) []byte {
	if s == "" {
		return nil
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		panic("catalog: a hash is not hexadecimal: " + s)
	}
	return b
}

// successor returns the smallest text that is greater than every text with the
// prefix, in code point order, and for "" one that is greater than any name.
func successor(prefix string) string {
	runes := []rune(prefix)
	for i := len(runes) - 1; i >= 0; i-- {
		next := runes[i] + 1
		if next == 0xD800 {
			next = 0xE000 // surrogates are not characters
		}
		if next <= utf8.MaxRune {
			return string(append(runes[:i:i], next))
		}
	}
	return string(utf8.MaxRune)
}

// seconds scans a stored number of seconds.
type seconds struct{ d *time.Duration }

func (s seconds) Scan(v any) error {
	n, err := asInt(v)
	*s.d = time.Duration(n) * time.Second
	return err
}

// toDocument is how small lists are stored that no statement looks into; the empty list
// is absent.
func toDocument[T any](list []T) []byte {
	if len(list) == 0 {
		return nil
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic("catalog: a list of plain values cannot be encoded: " + err.Error())
	}
	return b
}

// document scans what toDocument made into the list that v points at.
type document struct{ v any }

func (d document) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok && v != nil {
		return fmt.Errorf("a document is stored as %T", v)
	}
	if len(b) == 0 {
		return nil
	}
	return json.Unmarshal(b, d.v)
}
