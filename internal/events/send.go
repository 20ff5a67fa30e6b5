package events

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
)

// The headers of a delivery.
const (
	HeaderDelivery  = "X-Packhouse-Delivery"  // the event's id: receivers tell a repetition by it
	HeaderAttempt   = "X-Packhouse-Attempt"   // 1 for the first
	HeaderTimestamp = "X-Packhouse-Timestamp" // of the attempt, seconds since 1970
	HeaderSignature = "X-Packhouse-Signature" // see Sign
)

// DetailTest is the detail type of the event by which a webhook is tried out.
const DetailTest = "Packhouse Webhook Test"

// maxAnswer is how much of an answer is kept, in bytes (reliability.md A8).
const maxAnswer = 4 << 10

// Sender sends to addresses that users named, through the address guard and without
// following redirects (reliability.md S21, S22). *fetch.Outward is one.
type Sender interface {
	// Check says what is wrong with an address.
	Check(address string) error
	// Post sends a body once. It returns the status and the beginning of the answer's
	// body, at most 4 KiB. Its error may be shown to who named the address.
	Post(ctx context.Context, address string, h http.Header, body []byte) (status int, answer []byte, err error)
}

// Sign returns the signature of a body that is sent at a time: "sha256=" and the HMAC,
// in hex, over the timestamp header's text, a dot and the body, with the webhook's secret
// as the key. The timestamp lets receivers refuse what somebody replays.
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// NewSecret makes a webhook's secret, 32 random bytes behind a prefix that scanners know.
func NewSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return "phwhs_" + base64.RawURLEncoding.EncodeToString(b)
}

// Outcome is how one attempt ended.
type Outcome struct {
	Delivered bool
	Status    int    // of the answer; 0 for none
	Error     string // why there was none, or the beginning of a refusing answer; "" when delivered
}

// send makes one attempt.
func send(ctx context.Context, to Sender, address, secret string, e Event, attempt int, now time.Time) Outcome {
	body, stamp := e.JSON(), strconv.FormatInt(now.Unix(), 10)
	h := http.Header{
		"Content-Type":  {"application/json"},
		HeaderDelivery:  {e.ID},
		HeaderAttempt:   {strconv.Itoa(attempt)},
		HeaderTimestamp: {stamp},
		HeaderSignature: {Sign(secret, stamp, body)},
	}
	status, answer, err := to.Post(ctx, address, h, body)
	switch {
	case err != nil:
		return Outcome{Error: err.Error()}
	case status >= 200 && status < 300:
		return Outcome{Delivered: true, Status: status}
	}
	return Outcome{Status: status, Error: printable(answer)}
}

// printable makes the beginning of an answer fit for a list on a terminal.
func printable(answer []byte) string {
	text := strings.ToValidUTF8(string(answer[:min(len(answer), maxAnswer)]), "\uFFFD")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

// Try sends a test event to a webhook, once.
func Try(ctx context.Context, to Sender, address, secret, region string, account packhouse.AccountID, name string, now time.Time) Outcome {
	e := Event{Version: eventVersion, ID: uuid.NewString(), DetailType: DetailTest, Source: "packhouse", Account: string(account),
		Time: now.UTC().Truncate(time.Second), Region: region, Resources: []string{packhouse.WebhookARN(region, account, name)}, Detail: struct{}{}}
	return send(ctx, to, address, secret, e, 1, now)
}
