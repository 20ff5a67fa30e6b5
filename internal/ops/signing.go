package ops

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
)

// SigningKeys returns a domain's signing keys; see format.Keyring.
func (s *Service) SigningKeys(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef) ([]format.SigningKey, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, r); err != nil {
		return nil, err
	}
	_, domain, err := s.repository(ctx, r)
	if err != nil {
		return nil, err
	}
	var keys []format.SigningKey
	err = s.catalog.View(ctx, func(tx *catalog.Tx) error {
		rows, err := tx.SigningKeys(ctx, domain.ID)
		keys = make([]format.SigningKey, len(rows))
		for i, row := range rows {
			keys[i] = format.SigningKey{ID: row.KeyID, Public: row.Public, Expires: row.Expires}
		}
		return err
	})
	return keys, storeError("read signing keys of "+r.Domain.String(), err)
}

// signer returns the function that signs for a domain. It makes the domain's first key
// when it is first called.
func (s *Service) signer(ctx context.Context, domain catalog.DomainRow) format.SignFunc {
	return func(text []byte) (format.Signature, error) {
		row, err := s.signingKey(ctx, domain)
		if err != nil {
			return format.Signature{}, storeError("open signing key of "+domain.Ref.String(), err)
		}
		key, err := s.parsedKey(row)
		if err != nil {
			return format.Signature{}, packhouse.Internal(fmt.Errorf("signing key %s: %w", row.KeyID, err))
		}
		sig, err := sign(key, text)
		if err != nil {
			return format.Signature{}, packhouse.Internal(fmt.Errorf("sign with key %s: %w", row.KeyID, err))
		}
		return format.Signature{KeyID: row.KeyID, Value: sig}, nil
	}
}

// signingKey reads a domain's current key, or makes one. It is read anew each time,
// because others may have rotated it.
func (s *Service) signingKey(ctx context.Context, domain catalog.DomainRow) (row catalog.SigningKeyRow, err error) {
	read := func(tx *catalog.Tx) (err error) {
		row, err = tx.CurrentSigningKey(ctx, domain.Key)
		return err
	}
	if err = s.catalog.View(ctx, read); !errors.Is(err, catalog.ErrNotFound) {
		return row, err
	}
	fresh, err := newSigningKey(s.now().UTC())
	if err != nil {
		return row, err
	}
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		if err := tx.InsertSigningKey(ctx, domain.Key, fresh); err != nil && !errors.Is(err, catalog.ErrExists) {
			return err
		}
		return read(tx) // another publish may have been quicker
	})
	return row, err
}

// signingGrace is how long the key before is still good after a rotation, for publishes
// that are on their way.
const signingGrace = time.Hour

// RotateSigningKey gives a domain another signing key. What was signed with the one
// before stays valid: its public half goes on being told, with the time at which it
// ended. It is for the operator, who holds the data directory; no principal is asked.
func RotateSigningKey(ctx context.Context, db *catalog.DB, ref packhouse.DomainRef, now time.Time) (keyID string, err error) {
	fresh, err := newSigningKey(now.UTC())
	if err != nil {
		return "", err
	}
	err = db.Update(ctx, func(tx *catalog.Tx) error {
		domain, err := tx.Domain(ctx, ref)
		if errors.Is(err, catalog.ErrNotFound) {
			return packhouse.NotFoundf(packhouse.ResourceDomain, ref.Name, "domain %s does not exist in account %s", ref.Name, ref.Owner)
		}
		if err != nil {
			return err
		}
		if err := tx.ExpireSigningKey(ctx, domain.ID, now.UTC().Add(signingGrace)); err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		if err := tx.InsertSigningKey(ctx, domain.Key, fresh); err != nil {
			return err
		}
		return tx.Record(ctx, packhouse.Change{At: now.UTC(), Kind: packhouse.ChangeKeyChanged, DomainID: domain.ID, Domain: ref,
			DedupID: fresh.KeyID, Detail: "signing key " + fresh.KeyID})
	})
	return fresh.KeyID, storeError("rotate signing key", err)
}

// newSigningKey makes a key pair.
func newSigningKey(now time.Time) (row catalog.SigningKeyRow, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return row, packhouse.Internal(fmt.Errorf("make signing key: %w", err))
	}
	if row.Private, err = x509.MarshalPKCS8PrivateKey(key); err == nil {
		row.Public, err = x509.MarshalPKIXPublicKey(key.Public())
	}
	if err != nil {
		return row, packhouse.Internal(fmt.Errorf("encode signing key: %w", err))
	}
	sum := sha256.Sum256(row.Public)
	row.KeyID, row.Created = "SHA256:"+base64.RawStdEncoding.EncodeToString(sum[:]), now
	return row, nil
}

// parsedKey returns a key's private half. Parsing costs several times what signing does,
// so it is kept.
func (s *Service) parsedKey(row catalog.SigningKeyRow) (*ecdsa.PrivateKey, error) {
	if key, ok := s.signers.Load(row.KeyID); ok {
		return key.(*ecdsa.PrivateKey), nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(row.Private)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the key is a %T", parsed)
	}
	s.signers.Store(row.KeyID, key)
	return key, nil
}

// sign signs a text deterministically (RFC 6979): the same publish repeated makes the
// same version.
func sign(key *ecdsa.PrivateKey, text []byte) ([]byte, error) {
	sum := sha256.Sum256(text)
	return key.Sign(nil, sum[:], crypto.SHA256)
}
