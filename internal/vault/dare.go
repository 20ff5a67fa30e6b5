package vault

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/minio/sio"
)

// Sealed bytes are DARE 2.0 as github.com/minio/sio writes it: packages of at most
// 64 KiB, each with a header, all but the last one full. An empty blob has no package.
const (
	packageSize   = 64 << 10
	headerSize    = 16
	sealedPackage = headerSize + packageSize + 16

	blobKeySize = 32
)

// newBlobKey makes the key of one blob.
func newBlobKey() []byte {
	key := make([]byte, blobKeySize)
	_, _ = rand.Read(key) // never fails
	return key
}

// config is how every blob is sealed. A key seals one blob once, so that its nonces
// may simply count (S36). The count starts at a fixed number on purpose: the format
// lets a reader who starts in the middle believe whatever nonce stands there, and so
// take one package for another; checked compares it with what it must be.
func config(key []byte, sequence uint32) sio.Config {
	return sio.Config{
		MinVersion:     sio.Version20,
		MaxVersion:     sio.Version20,
		CipherSuites:   []byte{sio.AES_256_GCM},
		Key:            key,
		Nonce:          new([12]byte),
		SequenceNumber: sequence,
	}
}

// sealedSize returns how many bytes hold size plain ones.
func sealedSize(size int64) (int64, error) {
	if size < 0 {
		return 0, fmt.Errorf("size %d is negative", size)
	}
	n, err := sio.EncryptedSize(uint64(size))
	return int64(n), err //nolint:gosec // EncryptedSize fails far below
}

// packages reads sealed packages one after the other from the start of one of them.
// Its owner asks for whole packages, as sio does.
type packages struct {
	src io.ReaderAt
	off int64
}

func (r *packages) Read(p []byte) (int, error) {
	n, err := r.src.ReadAt(p, r.off)
	if r.off%sealedPackage == 0 && n >= headerSize {
		if err := checkHeader(p[:headerSize]); err != nil {
			return 0, err
		}
	}
	r.off += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// checkHeader compares the nonce that a package claims with the one of config. Version,
// cipher and length are sio's to check.
func checkHeader(h []byte) error {
	nonce := h[4:headerSize]
	if nonce[0]&0x7f != 0 { // the highest bit marks the last package
		return errNonce
	}
	for _, b := range nonce[1:] {
		if b != 0 {
			return errNonce
		}
	}
	return nil
}

var errNonce = fmt.Errorf("package has another place: %w", ErrDamaged)

// damaged marks an error of the sealed format, and leaves those of the store alone:
// a disk that does not answer is no proof of damage.
func damaged(err error) error {
	var format sio.Error
	if errors.As(err, &format) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

var packagePool = sync.Pool{New: func() any { return new([packageSize]byte) }}

// getPackage returns a buffer of packageSize bytes with any content; putPackage takes
// it back.
func getPackage() []byte { return packagePool.Get().(*[packageSize]byte)[:] }

func putPackage(b []byte) {
	clear(b) // plain bytes of one domain do not wait in memory for another
	packagePool.Put((*[packageSize]byte)(b))
}
