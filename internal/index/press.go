package index

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/packhouse/packhouse/internal/format"
)

// press takes in a document as it is rendered and keeps its compressed form alone, so
// that one of 100 MB needs no 100 MB. Small ones it keeps as they are.
type press struct {
	sum   hash.Hash
	size  int64
	small []byte // the whole document while it is small
	out   bytes.Buffer
	z     *gzip.Writer // set once it is not
}

// presses are kept because a gzip writer is over a megabyte of tables.
var presses = sync.Pool{New: func() any { return &press{sum: sha256.New(), z: gzip.NewWriter(io.Discard)} }}

// maxSpare is how large a press's buffer may be to be used again.
const maxSpare = 1 << 20

func newPress() *press {
	p := presses.Get().(*press)
	p.sum.Reset()
	p.size, p.small = 0, p.small[:0]
	p.out.Reset()
	p.z.Reset(&p.out)
	return p
}

func (p *press) free() {
	if p.out.Cap() > maxSpare {
		p.out = bytes.Buffer{}
	}
	presses.Put(p)
}

// Write takes in the next part of the document.
func (p *press) Write(b []byte) (int, error) {
	p.sum.Write(b)
	was := p.size
	p.size += int64(len(b))
	switch {
	case p.size < compressFrom:
		p.small = append(p.small, b...)
		return len(b), nil
	case was < compressFrom:
		if _, err := p.z.Write(p.small); err != nil {
			return 0, err
		}
	}
	return p.z.Write(b)
}

// finish fills in what the document is.
func (p *press) finish(d *format.Doc) error {
	d.Size = p.size
	d.ETag = `"` + hex.EncodeToString(p.sum.Sum(nil)[:16]) + `"`
	if p.size < compressFrom {
		d.Plain = append([]byte{}, p.small...)
		return nil
	}
	if err := p.z.Close(); err != nil {
		return err
	}
	d.Gzip = bytes.Clone(p.out.Bytes())
	return nil
}
