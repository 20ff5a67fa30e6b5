package httpx

import (
	"context"

	"github.com/packhouse/packhouse"
)

// Record is what a request's door tells the edge for the access log and the metrics.
// The edge puts one into each request's context; one goroutine at a time uses it.
type Record struct {
	RequestID string
	Client    string // address of the client, past proxies that are trusted; "" if unknown
	Secure    bool   // the client came over TLS, as far as proxies that are trusted tell
	Door      string // "registry", "codeartifact"; "" when no door took the request
	Op        string // name of the operation or route; never text from the request
	Principal string // ARN
	Domain    string
	Repo      string
	Format    string
	Err       error // what the answer was made of; nil for success

	// What the engine decided about, for the audit log.
	Action        packhouse.Action // of the first decision, the one about the request itself
	Resource      string           // ARN; "*" for account-level actions
	Version       string           // of the package that Resource names, where the door knows it
	Administrator packhouse.AccountID
	Decision      string // why the last decision was made as it was
}

type recordKey struct{}

type requestIDKey struct{}

type doorKey struct{}

// WithRecord stores the request's record; RecordOf returns it.
func WithRecord(ctx context.Context, rec *Record) context.Context {
	return context.WithValue(ctx, recordKey{}, rec)
}

// RecordOf returns the request's record. It is never nil: outside of a server what is
// written to it is lost.
func RecordOf(ctx context.Context) *Record {
	if rec, ok := ctx.Value(recordKey{}).(*Record); ok {
		return rec
	}
	return &Record{}
}

// RecordIn returns the request's record, and false outside of a server.
func RecordIn(ctx context.Context) (*Record, bool) {
	rec, ok := ctx.Value(recordKey{}).(*Record)
	return rec, ok
}

// WithRequestID stores a request id; RequestID returns it.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the request's id, its record's where none was stored, "" without
// either.
func RequestID(ctx context.Context) string {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		return id
	}
	if rec, ok := ctx.Value(recordKey{}).(*Record); ok {
		return rec.RequestID
	}
	return ""
}

// WithDoor stores the name of the door that a request came through, for the ledger;
// Door returns it.
func WithDoor(ctx context.Context, door string) context.Context {
	return context.WithValue(ctx, doorKey{}, door)
}

// Door returns the door's name, its record's where none was stored, "" without either.
func Door(ctx context.Context) string {
	if door, ok := ctx.Value(doorKey{}).(string); ok {
		return door
	}
	if rec, ok := ctx.Value(recordKey{}).(*Record); ok {
		return rec.Door
	}
	return ""
}

// Client returns the address of the request's client as its record has it, "" outside of
// a server.
func Client(ctx context.Context) string { return RecordOf(ctx).Client }
