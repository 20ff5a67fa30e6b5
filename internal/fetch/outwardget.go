package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Get fetches a small document once, at most maxBytes long, through the guard. The error
// is safe to show to who set the address up.
func (w *Outward) Get(ctx context.Context, address string, maxBytes int64) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the address cannot be read")
	}
	transport, err := w.link.permit(ctx, u)
	if err != nil {
		return nil, errors.New("the address is not allowed")
	}
	resp, err := transport.RoundTrip(w.link.request(ctx, u, http.Header{"Accept": {"application/json"}}, false))
	if err != nil {
		return nil, outwardError(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer has status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes+1))
	if err != nil {
		return nil, outwardError(ctx, err)
	}
	if int64(len(body)) > maxBytes {
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxBytes)
	}
	return body, nil
}
