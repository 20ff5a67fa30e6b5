package vault

import (
	"crypto/md5"  //nolint:gosec // a package format's choice, never ours for security
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"sync"
	"sync/atomic"

	"github.com/packhouse/packhouse"
)

const (
	// inlineHashed is how many bytes are hashed in place. Beyond it, goroutines are
	// worth their start.
	inlineHashed = 4 * packageSize
	// lanesDepth is how many packages a lane may lag behind: half a MiB at most, and
	// only while the writer is faster than the slowest hash.
	lanesDepth = 6
)

// hasher computes the hashes of a stream. Small streams are hashed where they are
// written; larger ones beside the writer, in one lane for each group of hashes that
// takes about as long as the slowest (SHA-256 without help of the processor), so that
// two cores share the work and more cores share it better.
//
// One goroutine writes and then calls finish or stop; either ends the lanes.
type hasher struct {
	sha256, sha512, sha1 hash.Hash
	md5                  hash.Hash // nil if not asked for

	inline int64 // bytes hashed in place so far
	block  *block
	lanes  []chan *block // nil while in place; closed by the writer
	done   sync.WaitGroup
}

// block is a piece of the stream on its way through the lanes; the last lane to be
// done with it gives its buffer back.
type block struct {
	bytes  []byte
	length int
	users  atomic.Int32
}

func newHasher(withMD5 bool) *hasher {
	h := &hasher{sha256: sha256.New(), sha512: sha512.New(), sha1: sha1.New()} //nolint:gosec // as above
	if withMD5 {
		h.md5 = md5.New() //nolint:gosec // as above
	}
	return h
}

// write takes bytes; it does not keep p.
func (h *hasher) write(p []byte) {
	if h.lanes == nil {
		if h.inline+int64(len(p)) <= inlineHashed {
			h.inline += int64(len(p))
			for _, lane := range h.groups() {
				for _, sum := range lane {
					_, _ = sum.Write(p) // a hash never fails
				}
			}
			return
		}
		h.start()
	}
	for len(p) > 0 {
		if h.block == nil {
			h.block = &block{bytes: getPackage()}
		}
		n := copy(h.block.bytes[h.block.length:], p)
		h.block.length += n
		p = p[n:]
		if h.block.length == len(h.block.bytes) {
			h.send()
		}
	}
}

// groups returns what each lane computes.
func (h *hasher) groups() [][]hash.Hash {
	light := []hash.Hash{h.sha1}
	if h.md5 != nil {
		light = append(light, h.md5)
	}
	return [][]hash.Hash{{h.sha256}, {h.sha512}, light}
}

func (h *hasher) start() {
	for _, sums := range h.groups() {
		lane := make(chan *block, lanesDepth)
		h.lanes = append(h.lanes, lane)
		h.done.Go(func() {
			for b := range lane {
				for _, sum := range sums {
					_, _ = sum.Write(b.bytes[:b.length])
				}
				if b.users.Add(-1) == 0 {
					putPackage(b.bytes)
				}
			}
		})
	}
}

func (h *hasher) send() {
	b := h.block
	h.block = nil
	b.users.Store(int32(len(h.lanes))) //nolint:gosec // three
	for _, lane := range h.lanes {
		lane <- b
	}
}

// stop ends the lanes and waits for them. It may be repeated.
func (h *hasher) stop() {
	if h.block != nil {
		h.send()
	}
	for _, lane := range h.lanes {
		close(lane)
	}
	h.lanes = nil
	h.done.Wait()
}

// finish ends the stream and returns what was computed. Nothing is written after it.
func (h *hasher) finish() (packhouse.Hashes, packhouse.Digest) {
	h.stop()
	var digest packhouse.Digest
	h.sha256.Sum(digest[:0])
	hashes := packhouse.Hashes{
		SHA256: digest.Hex(),
		SHA512: hex.EncodeToString(h.sha512.Sum(nil)),
		SHA1:   hex.EncodeToString(h.sha1.Sum(nil)),
	}
	if h.md5 != nil {
		hashes.MD5 = hex.EncodeToString(h.md5.Sum(nil))
	}
	return hashes, digest
}
