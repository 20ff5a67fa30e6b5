package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/minio/sio"
)

// Settle lets followers see a clean end after Finish; until it is called they wait
// before the last bytes, so that a transfer whose digest turns out wrong never ends
// cleanly (reliability.md R27). Fail instead of Settle gives them the error. It does
// nothing before Finish, and nothing after Fail or Discard.
func (s *Staging) Settle() {
	if s.content == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil || s.settled {
		return
	}
	s.settled = true
	s.visible = s.written
	s.announce()
}

// Fail ends the bytes with an error that followers get instead of an end, now and
// whenever they read later. It does nothing after Settle or an earlier Fail.
func (s *Staging) Fail(err error) {
	if err == nil {
		err = errors.New("vault: staging failed")
	}
	s.fail(err)
}

func (s *Staging) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil || s.settled {
		return
	}
	s.failure = err
	s.announce()
}

// Follow returns a reader of the plain bytes from the start as they arrive, 64 KiB at
// a time. It ends as Settle or Fail says, or when ctx does. Closing it never disturbs
// the writer nor other followers. After Discard there is nothing to follow: it fails.
func (s *Staging) Follow(ctx context.Context) io.ReadCloser {
	f := &follower{ctx: ctx, s: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.discarded {
		f.err = errDiscarded
		f.closed = true
		return f
	}
	s.followers++
	s.window.want(0)
	return f
}

// follower reads a staging from the start. One goroutine reads; another may close.
type follower struct {
	ctx  context.Context // a reader has no other way to be told
	s    *Staging
	next int64  // number of the package to read next
	rest []byte // of the one before, in plain
	err  error  // sticky

	plain  []byte    // nil before the first read that is smaller than a package
	stream io.Reader // of sio; its next package is number opens
	opens  int64

	mu     sync.Mutex
	closed bool
}

// Read waits for bytes. Errors: those of Fail and of ctx, ErrDamaged, the store's own.
func (f *follower) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if len(f.rest) == 0 && len(p) >= packageSize {
		return f.fill(p)
	}
	if len(f.rest) == 0 {
		if f.plain == nil {
			f.plain = make([]byte, packageSize)
		}
		n, err := f.fill(f.plain)
		if err != nil {
			return 0, err
		}
		f.rest = f.plain[:n]
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// fill reads whole packages into p, which has room for one at least: it waits for the
// first one, and takes what is in sight behind it.
func (f *follower) fill(p []byte) (n int, err error) {
	for f.err == nil && len(p)-n >= packageSize && (n == 0 || f.inSight()) {
		m, err := f.read(p[n : n+packageSize])
		n += m
		switch {
		case err == io.EOF: //nolint:errorlint // one that is wrapped is a failure of the writer, not an end
			f.err = err
		case err != nil:
			f.err = fmt.Errorf("follow blob: %w", damaged(err))
		}
	}
	if n > 0 {
		return n, nil // the error comes with the next read
	}
	return 0, f.err
}

// inSight reports whether the next package may be read without waiting.
func (f *follower) inSight() bool {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	return f.s.failure == nil && f.next*sealedPackage < f.s.visible
}

// read reads the next package into p, which has packageSize bytes, and returns how many
// of them are its own.
func (f *follower) read(p []byte) (int, error) {
	s, number := f.s, f.next
	if _, err := f.await(number * sealedPackage); err != nil {
		return 0, err
	}
	f.next++
	s.window.want(number)
	if n := s.window.get(p, number); n > 0 {
		return n, nil
	}
	if f.stream == nil || f.opens != number {
		stream, err := sio.DecryptReader(&packages{src: growing{f}, off: number * sealedPackage}, config(s.secret, uint32(number))) //nolint:gosec // as of content
		if err != nil {
			return 0, err
		}
		f.stream = stream
	}
	n, err := f.stream.Read(p)
	if err != nil && (err != io.EOF || n == 0) {
		return 0, err
	}
	f.opens = f.next
	s.window.put(number, p[:n])
	return n, nil
}

// await waits until a sealed byte at off is in sight and returns where those that are end.
// Errors: io.EOF behind the last one; those of Fail and of ctx.
func (f *follower) await(off int64) (visible int64, err error) {
	s := f.s
	for {
		s.mu.Lock()
		failure, visible, settled, changed := s.failure, s.visible, s.settled, s.changed
		s.mu.Unlock()
		switch {
		case failure != nil:
			return 0, failure
		case off < visible:
			return visible, nil
		case settled:
			return 0, io.EOF
		}
		select {
		case <-changed:
		case <-f.ctx.Done():
			return 0, context.Cause(f.ctx)
		}
	}
}

// Close lets go of the staging. It may be repeated.
func (f *follower) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	f.s.mu.Lock()
	f.s.followers--
	f.s.mu.Unlock()
	f.s.release()
	return nil
}

// growing is sealed bytes that may not have been written yet.
type growing struct{ f *follower }

// ReadAt waits until a byte at off is in sight and reads what is. What is in sight
// ends with a whole package, so that a package is never read in two.
func (g growing) ReadAt(p []byte, off int64) (int, error) {
	visible, err := g.f.await(off)
	if err != nil {
		return 0, err
	}
	if rest := visible - off; int64(len(p)) > rest {
		p = p[:rest]
	}
	s := g.f.s
	n, err := sealedBytes{s}.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	// Bytes that were given up meanwhile are closed: say why they were.
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		err = s.failure
	}
	return n, err
}
