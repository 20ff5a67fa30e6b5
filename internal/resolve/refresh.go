package resolve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
)

const (
	// refreshTime bounds one refresh of an index, whoever waits for it.
	refreshTime = 2 * time.Minute
	// failureFor is how long a failing upstream is not asked again while a kept index
	// stands in (reliability.md R28: errors are not shared for longer).
	failureFor = 5 * time.Second
	// maxIndexBytes bounds an index document that was kept.
	maxIndexBytes = 1 << 30
)

// refresh asks the registry and keeps the answer. 401, 403, 407, 429 and 5xx are never
// kept (R29).
func (c *remoteIndexes) refresh(ctx context.Context, f *indexFlight, k remoteKey, domain packhouse.KeyRef, conn fetch.Connection, kept *remoteIndex) (*remoteIndex, error) {
	puller := c.r.o.Formats[k.name.Format].(format.Puller)
	var prior format.Validators
	if kept != nil && !kept.row.Absent {
		prior = format.Validators{ETag: kept.row.ETag, LastModified: kept.row.LastModified}
	}
	if c.r.o.Busy != nil {
		if err := c.r.o.Busy(); err != nil {
			return nil, err
		}
	}
	fetched, err := puller.FetchIndex(ctx, getter{c.r.o.Fetch, conn, f.admit}, k.name, prior)
	now := c.r.now()
	row := catalog.RemoteRow{DomainID: k.domain, Connection: k.connection, CredentialID: k.credential, Name: k.name, Fetched: now}
	switch {
	case errors.Is(err, format.ErrNotModified):
		if prior == (format.Validators{}) {
			return nil, badIndex(conn, "answered that nothing changed, but nothing was kept", nil)
		}
		if kept, err = c.unpack(ctx, f, k, kept); err != nil {
			return nil, err
		}
		if kept == nil {
			return c.refresh(ctx, f, k, domain, conn, nil)
		}
		renewed := *kept
		renewed.failed, renewed.retryAt = nil, time.Time{}
		renewed.row.Fetched, renewed.row.FreshUntil = now, now.Add(c.r.o.FreshFor)
		c.unwritten.touch(ctx, domain, k, renewed.row)
		return &renewed, nil
	case packhouse.KindOf(err) == packhouse.KindNotFound && err != nil:
		row.Absent, row.FreshUntil = true, now.Add(c.r.o.AbsentFor)
		return c.keep(ctx, k, domain, &remoteIndex{row: row, weight: absentWeight}, kept), nil
	case err != nil:
		return nil, err
	}
	fresh, err := c.read(k, fetched.Body)
	switch {
	case errors.Is(err, errPanicked): // our fault, not the registry's
		return nil, err
	case err != nil:
		return nil, badIndex(conn, "sent an index that cannot be read", err)
	}
	encoder, err := c.encoder()
	if err != nil {
		return nil, packhouse.Internal(err)
	}
	name := sha256.Sum256(fetched.Body)
	row.BodyName = hex.EncodeToString(name[:])
	row.ETag, row.LastModified = fetched.Validators.ETag, fetched.Validators.LastModified
	row.FreshUntil = now.Add(c.r.o.FreshFor)
	fresh.row = row
	if kept != nil && !kept.row.Absent && kept.row.BodyName == row.BodyName {
		// The same document under new validators: nothing that was made of it is old.
		fresh.mark = kept.mark
		c.unwritten.touch(ctx, domain, k, row)
		return fresh, nil
	}
	if kept != nil && !kept.row.Absent {
		c.tellChanged(ctx, f, k, fresh, kept)
	}
	fresh.row.Body = encoder.EncodeAll(fetched.Body, nil)
	fresh = c.keep(ctx, k, domain, fresh, kept)
	if f.held >= budgetBytes/2 {
		runtime.GC() // what packing it took must not lie beside what rendering it takes
	}
	return fresh, nil
}

// keep sees to it that a row with its body is written, and tells of it.
func (c *remoteIndexes) keep(ctx context.Context, k remoteKey, domain packhouse.KeyRef, i, before *remoteIndex) *remoteIndex {
	c.unwritten.put(ctx, domain, k, i.row)
	i.row.Body = nil
	if before != nil {
		// Views made of the index before, or of its absence, are old now.
		c.r.o.Clock.AdvanceRemote(k.domain, k.connection, k.name)
	}
	i.mark = c.r.o.Clock.Remote(k.domain, k.connection, k.name)
	return i
}

// notWaited tells a caller that its own time was over before the connection's answer.
func notWaited(ctx context.Context, conn fetch.Connection) *packhouse.Error {
	return &packhouse.Error{Kind: packhouse.KindUpstreamTimeout, Reason: fetch.ReasonTimeout,
		Message: fmt.Sprintf("connection %q did not answer in time", conn.Name), Err: context.Cause(ctx)}
}

func badIndex(conn fetch.Connection, what string, cause error) *packhouse.Error {
	return &packhouse.Error{Kind: packhouse.KindUpstream, Reason: fetch.ReasonBadAnswer,
		Message: fmt.Sprintf("connection %q %s", conn.Name, what), Err: cause}
}

// getter is the Getter of one connection.
type getter struct {
	client *fetch.Client
	conn   fetch.Connection
	admit  fetch.Admit
}

func (g getter) Get(ctx context.Context, path string, h http.Header, prior format.Validators) (format.Response, error) {
	return g.client.GetWithin(ctx, g.conn, path, h, prior, g.admit)
}
