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
	stream, err := sio.DecryptReader(&packages{src: f.source()}, config(s.secret, 0))
	f.stream, f.err = stream, err
	return f
}

// follower reads a staging from the start. One goroutine reads; another may close.
type follower struct {
	ctx    context.Context // a reader has no other way to be told
	s      *Staging
	stream io.Reader
	err    error // sticky

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
	n, err := f.stream.Read(p)
	if err != nil {
		f.err = f.explain(err)
	}
	if n > 0 {
		return n, nil // the error comes with the next read
	}
	return 0, f.err
}

// explain turns the end of an empty blob, which has no last package for sio to see,
// into an end.
func (f *follower) explain(err error) error {
	f.s.mu.Lock()
	empty := f.s.settled && f.s.written == 0
	f.s.mu.Unlock()
	if err == io.EOF || empty { //nolint:errorlint // one that is wrapped is a failure of the writer, not an end
		return io.EOF
	}
	return fmt.Errorf("follow blob: %w", damaged(err))
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

// source reads sealed bytes that may not have been written yet.
func (f *follower) source() io.ReaderAt { return growing{f} }

type growing struct{ f *follower }

// ReadAt waits until a byte at off is in sight and reads what is. What is in sight
// ends with a whole package, so that a package is never read in two.
func (g growing) ReadAt(p []byte, off int64) (int, error) {
	s := g.f.s
	for {
		s.mu.Lock()
		failure, visible, settled, changed := s.failure, s.visible, s.settled, s.changed
		s.mu.Unlock()
		switch {
		case failure != nil:
			return 0, failure
		case off < visible:
			if rest := visible - off; int64(len(p)) > rest {
				p = p[:rest]
			}
			n, err := s.staged.ReadAt(p, off)
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
		case settled:
			return 0, io.EOF
		}
		select {
		case <-changed:
		case <-g.f.ctx.Done():
			return 0, context.Cause(g.f.ctx)
		}
	}
}
