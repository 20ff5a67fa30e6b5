package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
)

// Directory makes, changes, lists and removes identities, their credentials and their
// policies. It asks for no right: the engine decides before it calls, and the operator's
// own command line has the data directory in its hands. Each change is one transaction,
// with its row in the ledger.
type Directory struct {
	Catalog *catalog.DB
	// Note is what the ledger's rows say of who made a change and how.
	Note packhouse.Change
	// Guard is asked, inside the transaction, whether whoever asks may hand out the rights
	// that an identity has after a change (reliability.md S14). nil lets everything pass.
	Guard func(given *authz.Set) error
}

// How many there may be of what, so that every identity's policies fit in memory.
const (
	MaxKeysPerUser     = 2
	MaxGroupsPerUser   = 10
	MaxAttached        = 20
	MaxInline          = 10
	MaxTags            = 50
	MaxIdentities      = 5000 // of one kind, per account
	MaxPolicies        = 1500 // per account
	MaxPolicyVersions  = 5    // of one policy
	MaxProviders       = 100  // per account
	DefaultMaxSession  = time.Hour
	LongestMaxSession  = 12 * time.Hour
	ShortestMaxSession = time.Hour
)

// update runs one change.
func (d Directory) update(ctx context.Context, fn func(tx *catalog.Tx) error) error {
	return d.Catalog.Update(ctx, fn)
}

// note writes a row of the ledger.
func (d Directory) note(ctx context.Context, tx *catalog.Tx, kind packhouse.ChangeKind, format string, args ...any) error {
	c := d.Note
	c.At, c.Kind, c.Detail, c.DedupID = time.Now().UTC(), kind, fmt.Sprintf(format, args...), rand.Text()
	if err := tx.Record(ctx, c); err != nil {
		return fmt.Errorf("record %s: %w", kind, err)
	}
	return nil
}

// find returns the row of an identity. Errors: NotFound, also where ref says a path and it
// stands under another.
func (d Directory) find(ctx context.Context, tx *catalog.Tx, ref packhouse.IdentityRef) (catalog.PrincipalRow, error) {
	row, err := tx.PrincipalByName(ctx, ref.Account, ref.Kind, ref.Name)
	if isNotFound(err) || err == nil && ref.Path != "" && row.Path != ref.Path {
		return row, packhouse.NotFoundf(string(ref.Kind), ref.Name, "The %s with name %.128s cannot be found.", ref.Kind, ref.Name)
	}
	if err != nil {
		return row, fmt.Errorf("find %s: %w", ref.Kind, err)
	}
	return row, nil
}

// guard asks whether the rights of an identity, as the transaction has left them, may be
// given.
func (d Directory) guard(ctx context.Context, tx *catalog.Tx, row catalog.PrincipalRow) error {
	if d.Guard == nil {
		return nil
	}
	r, err := readRights(ctx, tx, row)
	if err != nil {
		return err
	}
	set, err := r.compile()
	if err != nil {
		return err
	}
	return d.Guard(set)
}

// exists turns the catalog's ErrExists into the engine's error.
func exists(err error, kind, name string) error {
	if errors.Is(err, catalog.ErrExists) {
		return packhouse.Conflictf(kind+"_exists", kind, name, "The %s with name %s already exists.", kind, name)
	}
	return err
}

func limitExceeded(format string, args ...any) error {
	return &packhouse.Error{Kind: packhouse.KindQuotaExceeded, Reason: "limit_exceeded", Message: fmt.Sprintf(format, args...)}
}

// ReasonInUse is the reason of a Conflict: something has to be removed first.
const ReasonInUse = "delete_conflict"

func inUse(row catalog.PrincipalRow, what string) error {
	return packhouse.Conflictf(ReasonInUse, string(row.Kind), row.Name, "Cannot delete the %s %s: it still has %s; remove them first.", row.Kind, row.Name, what)
}

// UniqueID returns the identifier that an identity has for life and nobody else ever
// gets: a prefix for its kind and 17 characters.
func UniqueID(row catalog.PrincipalRow) string {
	prefix := map[packhouse.PrincipalKind]string{packhouse.KindUser: "AIDA", packhouse.KindGroup: "AGPA", packhouse.KindRole: "AROA"}[row.Kind]
	return prefix + uniqueSuffix("principal", row.ID, row.Created)
}

// uniqueSuffix is made out of what never changes: ids of rows are not used twice.
func uniqueSuffix(table string, id int64, created time.Time) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d", table, id, created.UnixMicro()))
	return keyAlphabet.EncodeToString(sum[:])[:17]
}
