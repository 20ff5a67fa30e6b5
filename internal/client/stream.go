package client

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// maxEvent bounds one line of a stream, in bytes.
const maxEvent = 1 << 20

// ServerEvent is one event of a stream.
type ServerEvent struct {
	ID   string // where to go on from
	Data string // "" where the server only tells the place
}

// Stream asks for a stream of server-sent events and calls each for every event, until
// the server ends the stream (nil), ctx ends, or each returns an error, which it returns.
// lastID "" begins where the server says. Errors: *Error for what the server refused;
// others wrap what went wrong on the way.
func (c *Client) Stream(ctx context.Context, path string, query url.Values, lastID string, each func(ServerEvent) error) error {
	u := c.endpoint.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("stream %s: %w", path, err)
	}
	req.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	none := sha256.Sum256(nil)
	credentials := aws.Credentials{AccessKeyID: c.config.AccessKeyID, SecretAccessKey: c.config.Secret, SessionToken: c.config.SessionToken}
	if err := c.signer.SignHTTP(ctx, credentials, req, hex.EncodeToString(none[:]), service, c.config.Region, time.Now()); err != nil {
		return fmt.Errorf("sign %s: %w", path, err)
	}
	patient := *c.http
	patient.Timeout = 0 // a stream lasts; ctx ends it
	resp, err := patient.Do(req)
	if err != nil {
		return fmt.Errorf("call %s: %w", c.Endpoint(), err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		return readError(&Answer{resp.StatusCode, resp.Header, answer})
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEvent)
	var e ServerEvent
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if err := each(e); err != nil {
				return err
			}
			e.Data = ""
		case field == "id":
			e.ID = value
		case field == "data":
			e.Data += value
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the stream of %s: %w", path, err)
	}
	return nil
}
