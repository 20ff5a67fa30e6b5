package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/packhouse/packhouse"
)

// unsignedPayload stands for the payload hash where the client did not sign the body.
const unsignedPayload = "UNSIGNED-PAYLOAD"

// emptySum is the payload hash of no body.
const emptySum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func sumOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func payloadMismatch() error {
	return packhouse.Invalidf("payload_mismatch", "The body is not the one that was signed: its SHA-256 differs from x-amz-content-sha256.")
}

func unsupportedPayload() error {
	return packhouse.Invalidf("unsupported_payload_mode", "The value of x-amz-content-sha256 is not supported here: send the SHA-256 of the body, or no such header. UNSIGNED-PAYLOAD is taken for uploads over TLS only, STREAMING-* never.")
}

// checkedBody passes a body on and ends with payload_mismatch instead of io.EOF if its
// SHA-256 is not the one that was signed.
type checkedBody struct {
	body io.ReadCloser // nil for none
	want string        // hex
	hash hash.Hash
	end  error // what every further read returns
}

// Read reads on.
func (b *checkedBody) Read(p []byte) (int, error) {
	if b.end != nil {
		return 0, b.end
	}
	n, err := 0, io.EOF
	if b.body != nil {
		n, err = b.body.Read(p)
	}
	b.hash.Write(p[:n])
	if errors.Is(err, io.EOF) {
		err = io.EOF
		if hex.EncodeToString(b.hash.Sum(nil)) != b.want {
			err = payloadMismatch()
		}
	}
	b.end = err
	return n, err
}

// Close closes the body below.
func (b *checkedBody) Close() error {
	if b.body == nil {
		return nil
	}
	return b.body.Close()
}
