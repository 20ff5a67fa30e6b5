// Package client is a small client of the CodeArtifact API for our own command line:
// it signs JSON calls and decodes errors, and finds the address and the access key that
// the server wrote down at its first start. It knows no operation. Only cmd imports it.
// Start reading with Client.
package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	service = "codeartifact"
	// callTimeout bounds a call, its answer included.
	callTimeout = time.Minute
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 16 << 20
)

// Client makes signed calls. It is safe for concurrent use.
type Client struct {
	config   Config
	endpoint *url.URL
	http     *http.Client
	signer   *v4.Signer
}

// New makes a client. It does not connect. The error names what the configuration
// lacks.
func New(c Config) (*Client, error) {
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil || endpoint.Host == "" || endpoint.Scheme != "http" && endpoint.Scheme != "https" {
		return nil, fmt.Errorf("the server's address %q is not of the form http://host:port or https://host", c.Endpoint)
	}
	if endpoint.User != nil || endpoint.RawQuery != "" || endpoint.Fragment != "" {
		return nil, fmt.Errorf("the server's address must have no user, query or fragment")
	}
	if c.Region == "" || c.AccessKeyID == "" || c.Secret == "" {
		return nil, fmt.Errorf("region, access key id and secret are needed")
	}
	return &Client{
		config:   c,
		endpoint: endpoint,
		signer:   v4.NewSigner(),
		http: &http.Client{
			Timeout: callTimeout,
			// A signature is good for one address only.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Endpoint returns the server's address without a trailing slash.
func (c *Client) Endpoint() string { return strings.TrimSuffix(c.endpoint.String(), "/") }

// Error is an error that the server answered with.
type Error struct {
	Status     int    // HTTP status
	Type       string // such as "ConflictException"; "" if the answer is not the API's
	Message    string // for people; may be ""
	Reason     string // of a ValidationException
	RequestID  string
	RetryAfter string // as sent; "" for none
}

// Error says what the server said.
func (e *Error) Error() string {
	switch {
	case e.Type == "":
		return fmt.Sprintf("the server answered %d %s, which is not an answer of its API", e.Status, http.StatusText(e.Status))
	case e.Message == "":
		return e.Type
	}
	return e.Type + ": " + e.Message
}

// Call makes one call: path begins with a slash and needs no escaping; in is sent as
// JSON unless nil; the answer is decoded into out unless nil. Errors: *Error for what
// the server refused; others wrap what went wrong on the way.
func (c *Client) Call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	op := method + " " + path
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encode %s: %w", op, err)
		}
	}
	header := http.Header{}
	if in != nil {
		header.Set("Content-Type", "application/json")
	}
	answer, err := c.Send(ctx, method, path, query, header, body)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return readError(answer)
	}
	if out == nil || len(answer.Body) == 0 {
		return nil
	}
	if err := json.Unmarshal(answer.Body, out); err != nil {
		return fmt.Errorf("decode the answer of %s: %w", op, err)
	}
	return nil
}

// Answer is an answer of the server, read whole.
type Answer struct {
	Status int // HTTP status
	Header http.Header
	Body   []byte
}

// Send makes one call with a body as it is, and returns the answer whatever its status.
// header is signed, too; it is the call's to change. Errors wrap what went wrong on the
// way.
func (c *Client) Send(ctx context.Context, method, path string, query url.Values, header http.Header, body []byte) (*Answer, error) {
	op := method + " " + path
	u := c.endpoint.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	req.Header = header
	sum := sha256.Sum256(body)
	credentials := aws.Credentials{AccessKeyID: c.config.AccessKeyID, SecretAccessKey: c.config.Secret, SessionToken: c.config.SessionToken}
	if err := c.signer.SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), service, c.config.Region, time.Now()); err != nil {
		return nil, fmt.Errorf("sign %s: %w", op, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", c.Endpoint(), err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", op, err)
	}
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("the answer of %s is longer than %d bytes", op, maxAnswer)
	}
	return &Answer{resp.StatusCode, resp.Header, answer}, nil
}

// readError decodes an error by codeartifact.md 1.2: the header names the type, and
// what stands before # and behind : in it is decoration.
func readError(answer *Answer) error {
	e := &Error{
		Status: answer.Status, RequestID: answer.Header.Get("X-Amzn-Requestid"), RetryAfter: answer.Header.Get("Retry-After"),
	}
	e.Type, _, _ = strings.Cut(answer.Header.Get("X-Amzn-Errortype"), ":")
	if i := strings.LastIndexByte(e.Type, '#'); i >= 0 {
		e.Type = e.Type[i+1:]
	}
	var body struct{ Message, Reason string }
	if json.Unmarshal(answer.Body, &body) == nil { // an answer of something else has neither
		e.Message, e.Reason = body.Message, body.Reason
	}
	return e
}
