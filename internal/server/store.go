package server

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/blob/fileblob"
	"github.com/packhouse/packhouse/internal/blob/memblob"
	"github.com/packhouse/packhouse/internal/blob/rowblob"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/jobs"
	"github.com/packhouse/packhouse/internal/keys/local"
	"github.com/packhouse/packhouse/internal/vault"
)

// What the data directory holds.
const (
	databaseFile = "packhouse.db"
	keyFile      = "keys.json"
	blobFolder   = "blobs"
	awsFolder    = "aws"
)

// InUseError tells that another process serves from the data directory.
type InUseError struct{ Dir, Who string }

func (e *InUseError) Error() string {
	return fmt.Sprintf("the data directory %s is in use by %s; stop it, or give this one another --data-dir", e.Dir, e.Who)
}

// ErrNoData tells that a directory was never served from.
var ErrNoData = errors.New("there is no Packhouse data here yet; run `packhouse serve` first")

// Store is what a data directory holds, open: keys, blobs and catalog. Commands open it
// beside a running server; the catalog allows that.
type Store struct {
	Dir     string
	Keys    *local.Provider
	Blobs   blob.Store
	Vault   *vault.Vault
	Catalog *catalog.DB
	// Account is the first account.
	Account packhouse.AccountID
	// TokenKey seals registry tokens and page tokens; 32 bytes.
	TokenKey []byte
	// Fresh reports that this was the first start.
	Fresh bool

	ephemeral bool
}

// StoreOptions are what OpenStore needs.
type StoreOptions struct {
	Dir string
	// Create makes what is missing; without it an empty directory is ErrNoData.
	Create bool
	// Account is the number of the account that a first start makes.
	Account packhouse.AccountID
	// Ephemeral keeps blobs and catalog in memory.
	Ephemeral bool
	// Guard wraps the blob store; nil for none.
	Guard    func(blob.Store) blob.Store
	OnCommit func([]packhouse.Change)
	Log      *slog.Logger
}

// OpenStore opens a data directory. Errors: ErrNoData; those of keys, blobs and
// catalog, which name the file.
func OpenStore(ctx context.Context, o StoreOptions) (*Store, error) {
	if err := prepareDir(o.Dir, o.Create); err != nil {
		return nil, err
	}
	s := &Store{Dir: o.Dir, ephemeral: o.Ephemeral}
	var err error
	if s.Keys, err = local.Open(filepath.Join(o.Dir, keyFile)); err != nil {
		return nil, err
	}
	database := filepath.Join(o.Dir, databaseFile)
	if o.Ephemeral {
		s.Blobs, database = memblob.New(), ":memory:"
	} else if s.Blobs, err = fileblob.Open(filepath.Join(o.Dir, blobFolder)); err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	if o.Guard != nil {
		s.Blobs = o.Guard(s.Blobs)
	}
	small := rowblob.New(s.Blobs)
	s.Blobs = small
	s.Vault = vault.New(s.Blobs, s.Keys)
	seal := &sealer{vault: s.Vault}
	s.Catalog, err = catalog.Open(ctx, catalog.Options{
		DSN: database, Sealer: seal, Log: o.Log, OnCommit: o.OnCommit})
	if err != nil {
		return nil, err
	}
	small.Attach(s.Catalog)
	if err := s.install(ctx, seal, o); err != nil {
		_ = s.Catalog.Close() // the first error is the one to tell
		return nil, err
	}
	return s, nil
}

// jobs is the store as its background work sees it.
func (s *Store) jobs(log *slog.Logger) jobs.Store {
	return jobs.Store{Catalog: s.Catalog, Vault: s.Vault, Log: log}
}

// Verify reads stored bytes and compares rows with objects; see jobs.Store.Verify. What it
// finds is written down unless writes are switched off.
func (s *Store) Verify(ctx context.Context, o jobs.VerifyOptions, log *slog.Logger) (jobs.Report, error) {
	_, off, err := ReadOnly(s.Dir)
	if err != nil {
		return jobs.Report{}, err
	}
	o.Mark = !off
	stored := s.jobs(log)
	return stored.Verify(ctx, o)
}

// Close closes the catalog, with a checkpoint.
func (s *Store) Close() error { return s.Catalog.Close() }

// prepareDir makes the data directory, or checks that nobody else may look into it
// (reliability.md S39).
func prepareDir(dir string, create bool) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && create:
		if err := makeDurableDir(dir); err != nil {
			return fmt.Errorf("make the data directory: %w", err)
		}
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w", dir, ErrNoData)
	case err != nil:
		return fmt.Errorf("data directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("data directory: %s is not a directory", dir)
	}
	if _, err := os.Stat(filepath.Join(dir, databaseFile)); errors.Is(err, fs.ErrNotExist) {
		if !create {
			return fmt.Errorf("%s: %w", dir, ErrNoData)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
		if len(entries) == 0 {
			return os.Chmod(dir, 0o700) //nolint:gosec // a directory needs x
		}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("the data directory %s has mode %04o, so others can look into it; run: chmod 700 %s", dir, info.Mode().Perm(), dir)
	}
	return nil
}

// makeDurableDir makes a directory and its missing parents, and syncs the entry of each:
// what is kept below must not be lost with its way there (reliability.md R2).
func makeDurableDir(dir string) error {
	parent := filepath.Dir(dir)
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := makeDurableDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	d, err := os.Open(parent)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// install reads the installation's row, or makes it with the first account.
func (s *Store) install(ctx context.Context, seal *sealer, o StoreOptions) error {
	var row catalog.Installation
	read := func(tx *catalog.Tx) (err error) {
		if row, err = tx.Installation(ctx); err != nil {
			return err
		}
		accounts, err := tx.Accounts(ctx)
		if err != nil {
			return err
		}
		if len(accounts) == 0 {
			return errors.New("the database has no account")
		}
		s.Account = accounts[0]
		return nil
	}
	err := s.Catalog.View(ctx, read)
	if errors.Is(err, catalog.ErrNotFound) && o.Create {
		s.Fresh = true
		if err = s.createInstallation(ctx, o.Account); err == nil {
			err = s.Catalog.View(ctx, read)
		}
	}
	if errors.Is(err, catalog.ErrNotFound) {
		return fmt.Errorf("%s: %w", o.Dir, ErrNoData)
	}
	if err != nil {
		return fmt.Errorf("read the installation: %w", err)
	}
	seal.installation.Store(&packhouse.KeyRef{KeyID: row.KeyID, Keyset: row.Keyset})
	return s.loadTokenKey(ctx, seal)
}

func (s *Store) createInstallation(ctx context.Context, account packhouse.AccountID) error {
	keyID, err := s.Keys.Resolve(ctx, "")
	if err != nil {
		return err
	}
	keyset, err := s.Vault.NewKeyset(ctx, keyID)
	if err != nil {
		return err
	}
	row := catalog.Installation{UUID: uuid.NewString(), Keyset: keyset, KeyID: keyID, Created: time.Now().UTC()}
	return s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if err := tx.InsertInstallation(ctx, row); err != nil {
			return err
		}
		return tx.InsertAccount(ctx, account, "main")
	})
}

// Where settings of the installation are kept in the catalog.
const (
	scopeInstallation = "installation"
	settingTokenKey   = "token-key"
	settingAdminKey   = "admin-key"   // id of the administrator's first access key
	settingAdminFile  = "admin-files" // "written" once the AWS files were
	tokenKeySize      = 32
)

// loadTokenKey reads the key of sealed tokens, or makes it. It is kept sealed under the
// installation's keyset, so that rotating the keyset does not end tokens.
func (s *Store) loadTokenKey(ctx context.Context, seal *sealer) error {
	const aad = "settings/" + scopeInstallation + "/" + settingTokenKey
	fresh := make([]byte, tokenKeySize)
	if _, err := rand.Read(fresh); err != nil {
		return err
	}
	var text string
	read := func(tx *catalog.Tx) (err error) {
		text, err = tx.Setting(ctx, scopeInstallation, settingTokenKey)
		return err
	}
	err := s.Catalog.View(ctx, read)
	if errors.Is(err, catalog.ErrNotFound) {
		sealed, serr := seal.Seal(ctx, packhouse.KeyRef{}, aad, fresh)
		if serr != nil {
			return serr
		}
		err = s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			if err := read(tx); !errors.Is(err, catalog.ErrNotFound) {
				return err // another process was quicker
			}
			text = base64.StdEncoding.EncodeToString(sealed)
			return tx.PutSetting(ctx, scopeInstallation, settingTokenKey, text)
		})
	}
	if err != nil {
		return fmt.Errorf("read the token key: %w", err)
	}
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("read the token key: %w", err)
	}
	s.TokenKey, err = seal.Unseal(ctx, packhouse.KeyRef{}, aad, sealed)
	if err != nil {
		return fmt.Errorf("open the token key: %w", err)
	}
	if len(s.TokenKey) != tokenKeySize {
		return fmt.Errorf("the token key has %d bytes, want %d", len(s.TokenKey), tokenKeySize)
	}
	return nil
}

// sealer lends the vault to the catalog. The zero KeyRef means the installation's
// keyset, which itself comes from the catalog.
type sealer struct {
	vault        *vault.Vault
	installation atomic.Pointer[packhouse.KeyRef]
}

func (s *sealer) ref(k packhouse.KeyRef) (packhouse.KeyRef, error) {
	if len(k.Keyset) > 0 {
		return k, nil
	}
	own := s.installation.Load()
	if own == nil {
		return k, errors.New("the installation's keyset is not read yet")
	}
	return *own, nil
}

// Seal is the vault's.
func (s *sealer) Seal(ctx context.Context, k packhouse.KeyRef, aad string, plain []byte) ([]byte, error) {
	k, err := s.ref(k)
	if err != nil {
		return nil, err
	}
	return s.vault.Seal(ctx, k, aad, plain)
}

// Blind is the vault's.
func (s *sealer) Blind(ctx context.Context, k packhouse.KeyRef, text string) ([]byte, error) {
	k, err := s.ref(k)
	if err != nil {
		return nil, err
	}
	return s.vault.Blind(ctx, k, text)
}

// Unseal is the vault's.
func (s *sealer) Unseal(ctx context.Context, k packhouse.KeyRef, aad string, sealed []byte) ([]byte, error) {
	k, err := s.ref(k)
	if err != nil {
		return nil, err
	}
	return s.vault.Unseal(ctx, k, aad, sealed)
}

// KeyFile is where a data directory's master keys lie.
func KeyFile(dataDir string) string { return filepath.Join(dataDir, keyFile) }
