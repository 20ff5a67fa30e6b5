package httpx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/packhouse/packhouse"
)

// ReadAll reads a body of at most limit bytes. Nothing is allocated ahead of what
// really arrives (reliability.md R31). Errors: TooLarge "body_too_large"; whatever else
// the reader says.
func ReadAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	var tooLarge *http.MaxBytesError
	if int64(len(b)) > limit || errors.As(err, &tooLarge) {
		return nil, &packhouse.Error{Kind: packhouse.KindTooLarge, Reason: "body_too_large",
			Message: fmt.Sprintf("the body is larger than %d bytes", limit)}
	}
	return b, err
}

// WriteJSON answers with v as JSON, Content-Length set. Errors: v cannot be encoded,
// and then nothing was written; or the client is gone.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, err := w.Write(b.Bytes())
	return err
}
