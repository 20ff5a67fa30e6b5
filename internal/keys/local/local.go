// Package local keeps master keys in a file beside the data: each key is a Tink
// AES-256-GCM keyset with an id and perhaps aliases. Whoever can read the file can
// read everything, so it is refused unless its owner alone can (reliability.md S39).
// It is on the stores' floor. Start reading with Provider.
package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/packhouse/packhouse/internal/keys"
)

// ErrAliasTaken tells that another key has the alias already.
var ErrAliasTaken = errors.New("keys: alias is taken")

// maxPlain is what keys.Provider allows to be wrapped.
const maxPlain = 64 << 10

// Provider wraps with the keys of one file. Its methods may be used from several
// goroutines, and several processes may use one file: a key that another process has
// added is found as soon as it is asked for.
type Provider struct {
	path string

	mu      sync.RWMutex
	ring    ring
	ciphers map[string]tink.AEAD // by key id
	seen    stamp                // of the file that ring was read from
}

// Key describes a key without its secret.
type Key struct {
	ID      string   // UUID
	Aliases []string // without "alias/"; may be empty
	Default bool     // wraps what names no key
}

// Open reads the key file at path, and makes it with one default key if there is none.
// Errors: one that names the file and its mode if group or others may read it.
func Open(path string) (*Provider, error) {
	p := &Provider{path: path}
	err := p.load()
	if errors.Is(err, fs.ErrNotExist) {
		if err = p.create(); err == nil {
			err = p.load()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	return p, nil
}

// Add makes a new key, durable when it returns, and gives it the alias unless that is
// "". Errors: ErrAliasTaken; keys.ErrUnknownKey for an alias that could never be
// resolved (letters, digits, "-", "_" and "/", not "aws/" at its start).
func (p *Provider) Add(alias string) (keyID string, err error) {
	if alias != "" && !validAlias(alias) {
		return "", fmt.Errorf("add key: alias %q: %w", alias, keys.ErrUnknownKey)
	}
	unlock, err := lock(p.path)
	if err != nil {
		return "", fmt.Errorf("add key: %w", err)
	}
	defer unlock()
	if err := p.load(); err != nil { // another process may have added one
		return "", fmt.Errorf("add key: %w", err)
	}
	p.mu.RLock()
	next := p.ring
	p.mu.RUnlock()
	if alias != "" && next.find(name{alias: alias}) != "" {
		return "", fmt.Errorf("add key: %q: %w", alias, ErrAliasTaken)
	}
	k, err := newRingKey(alias)
	if err != nil {
		return "", fmt.Errorf("add key: %w", err)
	}
	next.Keys = append(slices.Clone(next.Keys), k)
	if err := write(p.path, next, true); err != nil {
		return "", fmt.Errorf("add key: %w", err)
	}
	if err := p.load(); err != nil {
		return "", fmt.Errorf("add key: %w", err)
	}
	return k.ID, nil
}

// List describes the keys, oldest first.
func (p *Provider) List() []Key {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var list []Key
	for _, k := range p.ring.Keys {
		list = append(list, Key{ID: k.ID, Aliases: slices.Clone(k.Aliases), Default: k.ID == p.ring.Default})
	}
	return list
}

// Resolve returns the key id for "", a key id, a key ARN, "alias/NAME" or an alias ARN.
// Errors: keys.ErrUnknownKey.
func (p *Provider) Resolve(_ context.Context, s string) (string, error) {
	n, err := parseName(s)
	if err != nil {
		return "", fmt.Errorf("resolve key: %w", err)
	}
	if id := p.lookUp(n); id != "" {
		return id, nil
	}
	if err := p.reload(); err != nil {
		return "", fmt.Errorf("resolve key: %w", err)
	}
	if id := p.lookUp(n); id != "" {
		return id, nil
	}
	return "", fmt.Errorf("resolve key %q: %w", s, keys.ErrUnknownKey)
}

// Wrap seals plain under the key; the key's id is bound in.
// Errors: keys.ErrUnknownKey.
func (p *Provider) Wrap(_ context.Context, keyID string, plain []byte) ([]byte, error) {
	if len(plain) > maxPlain {
		return nil, fmt.Errorf("wrap %d bytes: at most %d", len(plain), maxPlain)
	}
	c, err := p.cipher(keyID)
	if err != nil {
		return nil, fmt.Errorf("wrap: %w", err)
	}
	wrapped, err := c.Encrypt(plain, bound(keyID))
	if err != nil {
		return nil, fmt.Errorf("wrap: %w", err)
	}
	return wrapped, nil
}

// Unwrap opens what Wrap made. Errors: keys.ErrUnknownKey; anything else means that
// the bytes were not made by this key.
func (p *Provider) Unwrap(_ context.Context, keyID string, wrapped []byte) ([]byte, error) {
	c, err := p.cipher(keyID)
	if err != nil {
		return nil, fmt.Errorf("unwrap: %w", err)
	}
	plain, err := c.Decrypt(wrapped, bound(keyID))
	if err != nil {
		return nil, fmt.Errorf("unwrap with key %s: %w", keyID, err)
	}
	return plain, nil
}

func bound(keyID string) []byte { return []byte("packhouse/master\x00" + keyID) }

func (p *Provider) lookUp(n name) string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.ring.find(n)
}

func (p *Provider) cipher(keyID string) (tink.AEAD, error) {
	for range 2 {
		p.mu.RLock()
		c, ok := p.ciphers[keyID]
		p.mu.RUnlock()
		if ok {
			return c, nil
		}
		if err := p.reload(); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("key %q: %w", keyID, keys.ErrUnknownKey)
}

// reload reads the file again if it has changed since.
func (p *Provider) reload() error {
	now, err := stampOf(p.path)
	if err != nil {
		return err
	}
	p.mu.RLock()
	same := now == p.seen
	p.mu.RUnlock()
	if same {
		return nil
	}
	return p.load()
}

func (p *Provider) load() error {
	r, seen, err := read(p.path)
	if err != nil {
		return err
	}
	ciphers := make(map[string]tink.AEAD, len(r.Keys))
	for _, k := range r.Keys {
		handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(k.Keyset)))
		if err != nil {
			return fmt.Errorf("%s: key %s: %w", p.path, k.ID, err)
		}
		if ciphers[k.ID], err = aead.New(handle); err != nil {
			return fmt.Errorf("%s: key %s: %w", p.path, k.ID, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ring, p.ciphers, p.seen = r, ciphers, seen
	return nil
}

// create makes the file unless another process is quicker.
func (p *Provider) create() error {
	k, err := newRingKey("")
	if err != nil {
		return err
	}
	err = write(p.path, ring{Version: ringVersion, Default: k.ID, Keys: []ringKey{k}}, false)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func newRingKey(alias string) (ringKey, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return ringKey{}, fmt.Errorf("make key id: %w", err)
	}
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return ringKey{}, fmt.Errorf("make key: %w", err)
	}
	var buf bytes.Buffer
	// The file is the root of trust: there is nothing above it to encrypt it with.
	if err := insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&buf)); err != nil {
		return ringKey{}, fmt.Errorf("encode key: %w", err)
	}
	k := ringKey{ID: id.String(), Keyset: buf.Bytes()}
	if alias != "" {
		k.Aliases = []string{alias}
	}
	return k, nil
}
