package identity

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// The parameters of argon2id, those of the OWASP password storage cheat sheet. Memory is
// in KiB.
const (
	argonMemory  = 19 << 10
	argonPasses  = 2
	argonThreads = 1
	argonKey     = 32
	argonSalt    = 16
)

const (
	// MinPassword is the least length of a password, in bytes.
	MinPassword = 8
	// MaxPassword is the greatest length of a password, in bytes.
	MaxPassword = 256

	// maxHashes is how many passwords are hashed at the same time: with argonMemory each,
	// logins take 40 MiB at most (S10).
	maxHashes = 2
	// hashWait is how long a login waits for its turn.
	hashWait = 5 * time.Second
	// maxWaiting bounds how many wait.
	maxWaiting = 64
)

// HashPassword returns what is stored of a password: argon2id in PHC form. Errors:
// Invalid "weak_password".
func HashPassword(password string) (string, error) {
	switch {
	case len(password) < MinPassword || len(password) > MaxPassword:
		return "", packhouse.Invalidf("weak_password", "A password has %d to %d bytes.", MinPassword, MaxPassword)
	case !utf8.ValidString(password) || strings.ContainsAny(password, "\x00\r\n"):
		return "", packhouse.Invalidf("weak_password", "A password is one line of text.")
	}
	salt := randomBytes(argonSalt)
	key := argon2.IDKey([]byte(password), salt, argonPasses, argonMemory, argonThreads, argonKey)
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonPasses, argonThreads,
		enc.EncodeToString(salt), enc.EncodeToString(key)), nil
}

// decoy is compared with where there is no password, so that this takes as long. Nobody
// knows a password for it: its key is not derived from one.
var decoy = phc{memory: argonMemory, passes: argonPasses, threads: argonThreads, salt: make([]byte, argonSalt), key: make([]byte, argonKey)}

// phc is a parsed hash.
type phc struct {
	memory, passes uint32
	threads        uint8
	salt, key      []byte
}

// parsePHC reads what HashPassword made, with these parameters or others within reason.
func parsePHC(s string) (phc, bool) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return phc{}, false
	}
	var h phc
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.threads); n != 3 || err != nil {
		return phc{}, false
	}
	var errSalt, errKey error
	h.salt, errSalt = base64.RawStdEncoding.DecodeString(parts[4])
	h.key, errKey = base64.RawStdEncoding.DecodeString(parts[5])
	inRange := h.memory >= 8 && h.memory <= 64<<10 && h.passes >= 1 && h.passes <= 16 && h.threads >= 1 && len(h.key) >= 16
	return h, errSalt == nil && errKey == nil && inRange
}

// hasher compares passwords, a few at a time.
type hasher struct {
	slots   chan struct{}
	waiting atomic.Int64
	runs    atomic.Int64 // hashes computed so far
}

func newHasher() *hasher { return &hasher{slots: make(chan struct{}, maxHashes)} }

// matches reports whether password is the one that hash was made of. It computes one
// hash in any case, also where there is none to compare with. Errors: Throttled when
// too many wait.
func (h *hasher) matches(ctx context.Context, hash, password string) (bool, error) {
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	want, ok := parsePHC(hash)
	if !ok || len(password) > MaxPassword {
		want, ok = decoy, false
		password = password[:min(len(password), MaxPassword)]
	}
	h.runs.Add(1)
	got := argon2.IDKey([]byte(password), want.salt, want.passes, want.memory, want.threads, uint32(len(want.key))) //nolint:gosec // a hash of ours, some bytes long
	return subtle.ConstantTimeCompare(got, want.key) == 1 && ok, nil
}

// enter waits for a turn to hash; leave ends it. Errors: Throttled.
func (h *hasher) enter(ctx context.Context) error {
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		return busy()
	}
	defer h.waiting.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, hashWait)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return busy()
	}
}

func (h *hasher) leave() { <-h.slots }

// HashPassword is the function of this name, a few at a time. Errors: Invalid
// "weak_password"; Throttled when too many wait.
func (s *Service) HashPassword(ctx context.Context, password string) (string, error) {
	if err := s.hasher.enter(ctx); err != nil {
		return "", err
	}
	defer s.hasher.leave()
	return HashPassword(password)
}

func busy() error {
	return &packhouse.Error{Kind: packhouse.KindThrottled, Reason: "too_many_logins", RetryAfter: hashWait,
		Message: "Too many people sign in at the moment; try again."}
}

// SetPassword sets a user's password, or takes it away where password is "". Tokens that
// exist stay good. Like CreateUser it asks for no right and is for the operator's own
// command line alone. Errors: Invalid "weak_password", "unknown_user".
func SetPassword(ctx context.Context, db *catalog.DB, by packhouse.Principal, account packhouse.AccountID, user, password string) error {
	hash, what := "", "password removed from "
	if password != "" {
		var err error
		if hash, err = HashPassword(password); err != nil {
			return err
		}
		what = "password set for "
	}
	return changeUser(ctx, db, by, account, user, what, func(tx *catalog.Tx, row catalog.PrincipalRow) error {
		return tx.SetPassword(ctx, row.ID, hash)
	})
}

// changeUser changes something of a user and records it.
func changeUser(ctx context.Context, db *catalog.DB, by packhouse.Principal, account packhouse.AccountID, user, what string, fn func(*catalog.Tx, catalog.PrincipalRow) error) error {
	return db.Update(ctx, func(tx *catalog.Tx) error {
		row, err := tx.PrincipalByName(ctx, account, packhouse.KindUser, user)
		if isNotFound(err) {
			return packhouse.Invalidf("unknown_user", "There is no user %.80q.", user)
		}
		if err != nil {
			return fmt.Errorf("find principal: %w", err)
		}
		if err := fn(tx, row); err != nil {
			return err
		}
		return record(ctx, tx, by, packhouse.ChangeKeyChanged, what+row.ARN)
	})
}
