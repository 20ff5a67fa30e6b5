package vault

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/minio/sio"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
)

// content opens sealed packages on demand and keeps the one it opened last, so that
// reads of any size that go forward open each package once.
type content struct {
	src   io.ReaderAt
	close func() error
	key   []byte
	size  int64
	vault *Vault // is told of damage
	ref   packhouse.BlobRef

	mu     sync.Mutex
	stream io.Reader // of sio; its next package is number next
	next   int64
	plain  []byte // pooled; nil before the first read
	held   int64  // number of the package in plain, -1 for none
	length int    // bytes of it
	closed bool
}

// newContent opens size plain bytes that lie sealed in object, which it will close.
func newContent(object blob.Object, key []byte, size int64) *content {
	return &content{src: object, close: object.Close, key: key, size: size, held: -1}
}

func (c *content) Size() int64 { return c.size }

// ReadAt reads plain bytes. Errors: io.EOF at the end, ErrDamaged, blob.ErrClosed, the
// store's own.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at negative offset %d", off)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, blob.ErrClosed
	}
	n := 0
	for n < len(p) && off < c.size {
		number := off / packageSize
		within := int(off % packageSize)
		if within == 0 && len(p)-n >= packageSize && number != c.held {
			// A whole package is wanted: open it in place.
			length, err := c.open(p[n:n+packageSize], number)
			if err != nil {
				return n, err
			}
			n, off = n+length, off+int64(length)
			continue
		}
		if number != c.held {
			if c.plain == nil {
				c.plain = getPackage()
			}
			c.held = -1
			length, err := c.open(c.plain, number)
			if err != nil {
				return n, err
			}
			c.held, c.length = number, length
		}
		copied := copy(p[n:], c.plain[within:c.length])
		n, off = n+copied, off+int64(copied)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// open opens package number into p, which has packageSize bytes, and returns how many
// of them are its own.
func (c *content) open(p []byte, number int64) (int, error) {
	if c.stream == nil || c.next != number {
		stream, err := sio.DecryptReader(&packages{src: c.src, off: number * sealedPackage}, config(c.key, uint32(number))) //nolint:gosec // below 2^32 in anything below 256 TiB
		if err != nil {
			return 0, fmt.Errorf("open package %d: %w", number, err)
		}
		c.stream, c.next = stream, number
	}
	want := int(min(packageSize, c.size-number*packageSize))
	n, err := c.stream.Read(p)
	if errors.Is(err, io.EOF) && n == want {
		err = nil
	}
	c.next++
	if err == nil && n != want {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && c.next*packageSize >= c.size {
		err = c.end()
	}
	if err != nil {
		c.stream = nil
		return 0, c.vault.tell(c.ref, fmt.Errorf("open package %d: %w", number, damaged(err)))
	}
	return n, nil
}

// end makes sio see that nothing follows the last package, upon which it gives its
// buffer back and checks once more that the package was marked as the last.
func (c *content) end() error {
	stream := c.stream
	c.stream = nil
	n, err := stream.Read(make([]byte, 1))
	if n != 0 || err == nil {
		return io.ErrUnexpectedEOF
	}
	if err != io.EOF {
		return err
	}
	return nil
}

// Close lets go of the object. It may be repeated.
func (c *content) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.stream = nil
	if c.plain != nil {
		putPackage(c.plain)
		c.plain = nil
	}
	if err := c.close(); err != nil {
		return fmt.Errorf("close blob: %w", err)
	}
	return nil
}
