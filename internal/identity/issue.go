package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
)

// NewUser is a user to create.
type NewUser struct {
	Account packhouse.AccountID
	Name    string // 1 to 64 of A-Z a-z 0-9 + = , . @ _ -
	Path    string // "" means "/"
	// Boundary is the permissions boundary; zero for none.
	Boundary PolicyRef
	// Policies are names of managed policies; Document is an inline document, "" for none.
	Policies []string
	Document string
	// KeyID and Secret are the access key, where it must be a certain one; "" makes one.
	KeyID, Secret string
}

// Credentials are a fresh access key. The secret is shown once.
type Credentials struct {
	Principal packhouse.Principal
	KeyID     string // 20 characters, begins with "AKIA"
	Secret    string // 40 characters
}

// String names the key without its secret.
func (c Credentials) String() string { return c.KeyID + " [redacted]" }

// GoString is String.
func (c Credentials) GoString() string { return c.String() }

// LogValue is String.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

const (
	keyPrefix   = "AKIA"
	keyIDLength = 20
	secretBytes = 30 // 40 characters in base64

	maxName = 64
)

// keyAlphabet is that of access key ids.
var keyAlphabet = base32.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567").WithPadding(base32.NoPadding)

func isAccessKeyID(s string) bool {
	if len(s) != keyIDLength || !strings.HasPrefix(s, keyPrefix) {
		return false
	}
	return isOf(s, func(c byte) bool { return 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' })
}

func isOf(s string, allowed func(byte) bool) bool {
	for i := range len(s) {
		if !allowed(s[i]) {
			return false
		}
	}
	return s != ""
}

// randomBytes returns n bytes nobody can guess; crypto/rand never fails.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func nameCharacter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("+=,.@_-", c) >= 0
}

func validName(what, name string) error {
	if len(name) <= maxName && isOf(name, nameCharacter) {
		return nil
	}
	return packhouse.Invalidf("invalid_name", "The %s name %.80q is not valid: 1 to %d characters of A-Z a-z 0-9 + = , . @ _ -", what, name, maxName)
}

// CreateUser makes a user with an access key and the policies, in one transaction, and
// records the changes in by's name; the zero principal stands for the server itself.
// Whether by may do so is not asked here: only the operator's own command line, which has
// the data directory in its hands, may call it. Errors: Conflict "user_exists"; Invalid
// for names, paths, accounts, policy names and documents; NotFound for the boundary.
func CreateUser(ctx context.Context, db *catalog.DB, by packhouse.Principal, u NewUser) (made Credentials, err error) {
	if err := u.check(); err != nil {
		return Credentials{}, err
	}
	d := Directory{Catalog: db, Note: packhouse.Change{Principal: by.ARN}}
	err = d.update(ctx, func(tx *catalog.Tx) error {
		accounts, err := tx.Accounts(ctx)
		if err != nil {
			return fmt.Errorf("list accounts: %w", err)
		}
		if !slices.Contains(accounts, u.Account) {
			return packhouse.Invalidf("unknown_account", "There is no account %.20q.", u.Account)
		}
		made, err = d.createUser(ctx, tx, u)
		return err
	})
	if err != nil {
		return Credentials{}, err
	}
	return made, nil
}

// check looks at everything that needs no database, and fills in what has a default.
func (u *NewUser) check() error {
	if u.Path == "" {
		u.Path = packhouse.RootPath
	}
	if err := validName("user", u.Name); err != nil {
		return err
	}
	if err := ValidPath(u.Path); err != nil {
		return err
	}
	for _, name := range u.Policies {
		if _, ok := authz.Managed(name); !ok {
			return packhouse.Invalidf("unknown_policy", "There is no managed policy %.80q; there are %s.", name, strings.Join(authz.ManagedNames(), ", "))
		}
	}
	if u.Document != "" {
		if _, err := authz.ParseIdentity(inlineName, []byte(u.Document)); err != nil {
			return err
		}
	}
	return nil
}

// createUser is CreateUser inside of a transaction, for a user that was checked.
func (d Directory) createUser(ctx context.Context, tx *catalog.Tx, u NewUser) (Credentials, error) {
	made := newCredentials()
	if u.KeyID != "" {
		made.KeyID, made.Secret = u.KeyID, u.Secret
	}
	row := catalog.PrincipalRow{Account: u.Account, Kind: packhouse.KindUser, Name: u.Name, Path: u.Path, Created: time.Now().UTC()}
	row.ARN = row.IdentityRef().ARN()
	if err := setBoundary(ctx, tx, &row, u.Boundary); err != nil {
		return made, err
	}
	var err error
	if row.ID, err = tx.InsertPrincipal(ctx, row); errors.Is(err, catalog.ErrExists) {
		return made, packhouse.Conflictf("user_exists", "", u.Name, "There is a user %s already.", u.Name)
	}
	if err != nil {
		return made, fmt.Errorf("insert principal: %w", err)
	}
	made.Principal = principal(row)
	if err := tx.InsertAccessKey(ctx, catalog.AccessKeyRow{
		ID: made.KeyID, Principal: row, Secret: made.Secret, Active: true, Created: row.Created,
	}); err != nil {
		return made, fmt.Errorf("insert access key: %w", err)
	}
	for _, name := range u.Policies {
		if err := attach(ctx, tx, row, shippedRef(name)); err != nil {
			return made, err
		}
		if err := d.note(ctx, tx, packhouse.ChangePolicyChanged, "attach %s to %s", name, row.ARN); err != nil {
			return made, err
		}
	}
	if u.Document != "" {
		if err := putInline(ctx, tx, row, catalog.InlinePolicyRow{Name: inlineName, Document: u.Document}); err != nil {
			return made, err
		}
		if err := d.note(ctx, tx, packhouse.ChangePolicyChanged, "inline policy %s of %s", inlineName, row.ARN); err != nil {
			return made, err
		}
	}
	if err := d.note(ctx, tx, packhouse.ChangePrincipalCreated, "user %s", row.ARN); err != nil {
		return made, err
	}
	return made, d.note(ctx, tx, packhouse.ChangeKeyChanged, "access key %s of %s created", made.KeyID, row.ARN)
}

// inlineName is the name of the document that a user is made with.
const inlineName = "inline"

// record writes an account-level change to the ledger.
func record(ctx context.Context, tx *catalog.Tx, by packhouse.Principal, kind packhouse.ChangeKind, detail string) error {
	err := tx.Record(ctx, packhouse.Change{
		At: time.Now().UTC(), Principal: by.ARN, Kind: kind, Detail: detail, DedupID: rand.Text(),
	})
	if err != nil {
		return fmt.Errorf("record %s: %w", kind, err)
	}
	return nil
}

// Shape of a long-lived token: phr_ PUBLICID _ SECRET CHECKSUM. The checksum lets
// secret scanners, and us before any look-up, tell a token from an accident.
const (
	tokenPrefix    = "phr_"
	publicIDBytes  = 10 // 16 characters
	publicIDLength = 16
	tokenSecret    = 32 // bytes; 52 characters
	tokenLength    = len(tokenPrefix) + publicIDLength + 1 + 52 + checksumLength
	checksumLength = 8
)

// tokenAlphabet is that of tokens: no character needs escaping anywhere.
var tokenAlphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func checksum(s string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(s))) }

// newToken makes a token and its public id.
func newToken() (token, publicID string) {
	publicID = tokenAlphabet.EncodeToString(randomBytes(publicIDBytes))
	token = tokenPrefix + publicID + "_" + tokenAlphabet.EncodeToString(randomBytes(tokenSecret))
	return token + checksum(token), publicID
}

// parseToken returns the public id of what may be a long-lived token.
func parseToken(token string) (publicID string, ok bool) {
	if len(token) != tokenLength || !strings.HasPrefix(token, tokenPrefix) {
		return "", false
	}
	text := token[:tokenLength-checksumLength]
	if checksum(text) != token[len(text):] {
		return "", false
	}
	publicID, _, ok = strings.Cut(text[len(tokenPrefix):], "_")
	return publicID, ok && len(publicID) == publicIDLength
}

// CreateToken makes a long-lived token for a user: prefix, 256 random bits, checksum.
// Only its SHA-256 is stored. As CreateUser it asks for no right, and is for the
// operator's own command line alone (S14). Errors: Invalid for the name, a past expiry
// and an unknown user ("unknown_user").
func CreateToken(ctx context.Context, db *catalog.DB, by packhouse.Principal, account packhouse.AccountID, user string, t NewToken) (token string, err error) {
	if err := validName("token", t.Name); err != nil {
		return "", err
	}
	now := time.Now().UTC()
	if !t.Expires.IsZero() && !t.Expires.After(now) {
		return "", packhouse.Invalidf("invalid_expiry", "The token would have expired already.")
	}
	token, publicID := newToken()
	sum := sha256.Sum256([]byte(token))
	err = db.Update(ctx, func(tx *catalog.Tx) error {
		row, err := tx.PrincipalByName(ctx, account, packhouse.KindUser, user)
		if isNotFound(err) {
			return packhouse.Invalidf("unknown_user", "There is no user %.80q.", user)
		}
		if err != nil {
			return fmt.Errorf("find principal: %w", err)
		}
		if err := tx.InsertToken(ctx, catalog.TokenRow{
			PublicID: publicID, SHA256: sum[:], Principal: row, Kind: t.Kind, Name: t.Name,
			ReadOnly: t.ReadOnly, Enabled: true, Expires: t.Expires, Created: now,
		}); err != nil {
			return fmt.Errorf("insert token: %w", err)
		}
		return record(ctx, tx, by, packhouse.ChangeKeyChanged, "token "+publicID+" of "+row.ARN+" created")
	})
	if err != nil {
		return "", err
	}
	return token, nil
}
