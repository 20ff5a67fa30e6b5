package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/minio/sio"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
)

var (
	errUnfinished = errors.New("vault: staging is not finished")
	errFinished   = errors.New("vault: staging is finished already")
	errKept       = errors.New("vault: staging is kept already")
	errDiscarded  = errors.New("vault: staging is discarded")
)

// Staging is a blob on its way in. One goroutine writes and finishes; any number may
// Follow. Its maker calls Discard in the end, kept or not: goroutines and open files
// wait for it. The key it is sealed with is in memory only until Keep.
type Staging struct {
	vault  *Vault
	key    packhouse.KeyRef
	keyset *domainKeyset
	secret []byte // the blob's own key
	limit  int64

	// Of the writer.
	staged   blob.Staged
	body     []byte // the whole of a small blob, sealed, which is not in staged before Keep; else nil
	sealer   io.WriteCloser
	hasher   *hasher
	taken    int64 // plain bytes so far
	writeErr error // first failure; all later writes repeat it
	finished bool
	kept     bool
	size     int64
	hashes   packhouse.Hashes
	digest   packhouse.Digest
	content  *content // opens what is staged, after Finish

	window *window // of writer and followers

	// Of writer and followers.
	mu        sync.Mutex
	changed   chan struct{} // closed and replaced when what follows changes
	written   int64         // sealed bytes that lie in staged, or in body
	visible   int64         // those that followers may read
	settled   bool
	failure   error // why followers end; nil for none
	followers int
	discarded bool
	released  bool // staged.Discard was called
}

// Stage begins to take in a blob of a domain. limit bounds the plain bytes; a Write
// beyond it fails with *packhouse.Error of KindTooLarge. SHA-1, SHA-256 and SHA-512
// (and MD5 if md5 is set) are computed on the way; hashing runs beside the writer,
// who seals, so that a slow hash does not add to a slow disk. Less than 1 MiB is held
// in memory, however large the blob, and up to 4 MiB more while it is followed.
func (v *Vault) Stage(ctx context.Context, k packhouse.KeyRef, limit int64, md5 bool) (*Staging, error) {
	ks, err := v.keysets.get(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("stage blob: %w", err)
	}
	staged, err := v.store.Stage(ctx)
	if err != nil {
		return nil, fmt.Errorf("stage blob: %w", err)
	}
	s := &Staging{
		vault: v, key: k, keyset: ks, secret: newBlobKey(), limit: limit,
		staged: staged, hasher: newHasher(md5), changed: make(chan struct{}), window: newWindow(&v.windowed),
	}
	if s.sealer, err = sio.EncryptWriter(sealedWriter{s}, config(s.secret, 0)); err != nil {
		return nil, errors.Join(fmt.Errorf("stage blob: %w", err), staged.Discard())
	}
	return s, nil
}

// Write takes plain bytes; it does not keep p. After an error nothing more is taken.
func (s *Staging) Write(p []byte) (int, error) {
	switch {
	case s.writeErr != nil:
		return 0, s.writeErr
	case s.finished:
		return 0, errFinished
	case int64(len(p)) > s.limit-s.taken:
		s.writeErr = &packhouse.Error{Kind: packhouse.KindTooLarge, Reason: "asset_too_large",
			Resource: packhouse.ResourceAsset, Message: fmt.Sprintf("the asset is larger than the limit of %d bytes", s.limit)}
		return 0, s.writeErr
	}
	s.hasher.write(p)
	s.window.write(s.taken, p) // before anybody may see it
	if n, err := s.sealer.Write(p); err != nil {
		s.writeErr = fmt.Errorf("write blob: %w", err)
		return n, s.writeErr
	}
	s.taken += int64(len(p))
	return len(p), nil
}

// sealedWriter is where sealed packages go: into the store, and in sight of followers. A
// package that is first and last stays in memory.
type sealedWriter struct{ s *Staging }

func (w sealedWriter) Write(p []byte) (n int, err error) {
	if w.s.finished && w.s.written == 0 {
		w.s.mu.Lock()
		w.s.body = bytes.Clone(p)
		w.s.mu.Unlock()
		n = len(p)
	} else if n, err = w.s.staged.Write(p); err != nil {
		return n, err
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.written += int64(n)
	if !w.s.finished {
		w.s.visible = w.s.written
		w.s.announce()
	}
	return n, nil
}

// announce wakes followers. The caller holds mu.
func (s *Staging) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Finish ends the bytes: it waits for the hashes and closes the sealed stream. After
// it, ReadAt, Size and Hashes may be used. Nothing is durable yet. It may be repeated.
func (s *Staging) Finish() error {
	if s.writeErr != nil {
		return s.writeErr
	}
	if s.finished {
		return nil
	}
	s.mu.Lock()
	s.finished = true // from here on, what is written stays out of sight until Settle
	s.mu.Unlock()
	if err := s.sealer.Close(); err != nil {
		s.writeErr = fmt.Errorf("finish blob: %w", err)
		return s.writeErr
	}
	s.hashes, s.digest = s.hasher.finish()
	s.size = s.taken
	s.content = &content{src: sealedBytes{s}, close: func() error { return nil }, key: s.secret, size: s.size, held: -1}
	return nil
}

// sealedBytes reads what was sealed so far.
type sealedBytes struct{ s *Staging }

func (b sealedBytes) ReadAt(p []byte, off int64) (int, error) {
	b.s.mu.Lock()
	body := b.s.body
	b.s.mu.Unlock()
	if body != nil {
		return bytes.NewReader(body).ReadAt(p, off)
	}
	return b.s.staged.ReadAt(p, off)
}

// ReadAt reads plain bytes after Finish, until Discard.
func (s *Staging) ReadAt(p []byte, off int64) (int, error) {
	if s.content == nil {
		return 0, errUnfinished
	}
	return s.content.ReadAt(p, off)
}

// Size returns the plain size in bytes after Finish.
func (s *Staging) Size() int64 { return s.size }

// Hashes returns what was computed, after Finish.
func (s *Staging) Hashes() packhouse.Hashes { return s.hashes }

// Digest returns the SHA-256 after Finish.
func (s *Staging) Digest() packhouse.Digest { return s.digest }

// Keep makes the blob durable under a physical name of its own and returns what the
// catalog must record; only then may a transaction refer to it. After an error the
// bytes are gone, and trying again means staging again (reliability.md R4).
func (s *Staging) Keep(ctx context.Context, generation int64) (packhouse.BlobRef, error) {
	if err := s.mayKeep(); err != nil {
		return packhouse.BlobRef{}, err
	}
	object, err := s.keyset.object(s.digest, generation)
	if err != nil {
		return packhouse.BlobRef{}, fmt.Errorf("keep blob %s: %w", s.digest, err)
	}
	ref, err := s.ref(object, generation)
	if err != nil {
		return packhouse.BlobRef{}, err
	}
	if s.body != nil {
		if _, err := s.staged.Write(s.body); err != nil {
			return packhouse.BlobRef{}, fmt.Errorf("keep blob %s: %w", s.digest, err)
		}
	}
	if err := s.staged.Commit(ctx, object); err != nil {
		return packhouse.BlobRef{}, fmt.Errorf("keep blob %s: %w", s.digest, err)
	}
	return ref, nil
}

// KeepForRow is Keep for a blob whose row is about to be inserted. A small one (64 KiB and
// less) is not made durable here where the store is a blob.RowStore: its sealed bytes are
// returned for the transaction that inserts the row (R2 step 7). body is nil for all others.
// It is never changed.
func (s *Staging) KeepForRow(ctx context.Context, generation int64) (ref packhouse.BlobRef, body []byte, err error) {
	if s.body == nil || s.vault.rows == nil {
		ref, err = s.Keep(ctx, generation)
		return ref, nil, err
	}
	if err := s.mayKeep(); err != nil {
		return packhouse.BlobRef{}, nil, err
	}
	ref, err = s.ref(s.vault.rows.RowKey(generation), generation)
	return ref, s.body, err
}

// mayKeep is asked once, before the bytes are kept.
func (s *Staging) mayKeep() error {
	switch {
	case s.writeErr != nil:
		return s.writeErr
	case s.content == nil:
		return errUnfinished
	case s.kept:
		return errKept
	}
	if err := s.ended(); err != nil {
		return fmt.Errorf("keep blob %s: %w", s.digest, err)
	}
	s.kept = true
	return nil
}

// ref is what the catalog records of the blob.
func (s *Staging) ref(object blob.Key, generation int64) (ref packhouse.BlobRef, err error) {
	ref = packhouse.BlobRef{Digest: s.digest, Size: s.size, Generation: generation, KeyID: s.key.KeyID, Object: string(object)}
	if ref.WrappedKey, err = s.keyset.aead.Encrypt(s.secret, blobPlace(s.key.DomainID, ref)); err != nil {
		return packhouse.BlobRef{}, fmt.Errorf("keep blob %s: wrap key: %w", s.digest, err)
	}
	return ref, nil
}

// ended returns the error of Fail or Discard, nil before them.
func (s *Staging) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.discarded {
		return errDiscarded
	}
	return s.failure
}

// Discard drops the bytes unless kept, and lets go of what reads needed. Followers of
// settled bytes may read to the end; all others get an error. It may be repeated.
func (s *Staging) Discard() {
	s.hasher.stop()
	if s.content != nil {
		_ = s.content.Close() // closes nothing but itself
	}
	s.fail(errDiscarded)
	s.mu.Lock()
	s.discarded = true
	s.mu.Unlock()
	s.release()
}

// release lets go of the staged object when nobody can read it any more.
func (s *Staging) release() {
	s.mu.Lock()
	needed := !s.discarded || s.settled && s.followers > 0
	first := !s.released
	if !needed {
		s.released = true
	}
	s.mu.Unlock()
	if !needed && first {
		s.window.end()
		// What stays behind is swept; there is nobody to tell.
		_ = s.staged.Discard()
	}
}
