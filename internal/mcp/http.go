package mcp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/codeartifact"
	"github.com/packhouse/packhouse/internal/httpx"
)

// Name is the door's name in logs.
const Name = "mcp"

// maxAnswer bounds what one tool answers with, in bytes: it is meant to be read.
const maxAnswer = 4 << 20

// API is the door that calls go through. *codeartifact.API is one.
type API interface {
	Verify(r *http.Request, body []byte) (codeartifact.Caller, error)
	ServeAs(w http.ResponseWriter, r *http.Request, c codeartifact.Caller, body []byte)
}

// Tokens finds who a bearer token belongs to. *identity.Service is one.
type Tokens interface {
	Token(ctx context.Context, token string) (packhouse.Principal, error)
}

// HandlerOptions are what Handler needs; every field is required.
type HandlerOptions struct {
	API    API
	Tokens Tokens
	// Tools are made when they are first asked for.
	Tools func() []codeartifact.Tool
	// Tell notes a call that a tool made and how it was answered, for the audit log.
	Tell    func(r *http.Request, rec *httpx.Record, status int)
	Write   bool  // offer the tools that change something, too
	MaxBody int64 // of a message, in bytes
	Version string
	Log     *slog.Logger
}

// Handler serves the protocol's streamable HTTP transport without sessions: each message
// carries the credentials that it is answered for, a signature like the API's or a bearer
// token. It is safe for concurrent use.
func Handler(o HandlerOptions) http.Handler {
	tools := sync.OnceValue(o.Tools)
	transport := sdk.NewStreamableHTTPHandler(func(r *http.Request) *sdk.Server {
		return New(Options{Tools: tools(), Write: o.Write, Version: o.Version, Send: o.send(r)})
	}, &sdk.StreamableHTTPOptions{
		Stateless: true, JSONResponse: true, PropagateRequestCancellation: true, MaxRequestBodyBytes: o.MaxBody,
		DisableLocalhostProtection: true, // the edge has a closed list of addresses
	})
	// A page in a browser has no business here (the protocol's rule about Origin).
	protected := http.NewCrossOriginProtection().Handler(transport)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httpx.RecordOf(r.Context())
		rec.Door, rec.Op = Name, Name
		body, err := httpx.ReadAll(r.Body, o.MaxBody)
		var caller codeartifact.Caller
		if err == nil {
			caller, err = o.identify(r, body)
		}
		if err != nil {
			rec.Err = err
			refuse(w, err)
			return
		}
		rec.Principal = caller.Principal.ARN
		r = r.WithContext(context.WithValue(r.Context(), callerKey{}, caller))
		r.Body = io.NopCloser(bytes.NewReader(body))
		protected.ServeHTTP(w, r)
	})
}

type callerKey struct{}

// identify returns who asks. Errors: those of Verify and Token; Unauthenticated without
// credentials.
func (o *HandlerOptions) identify(r *http.Request, body []byte) (codeartifact.Caller, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 1 {
		if scheme, token, ok := strings.Cut(values[0], " "); ok && strings.EqualFold(scheme, "bearer") {
			who, err := o.Tokens.Token(r.Context(), strings.TrimSpace(token))
			return codeartifact.Caller{Principal: who}, err
		}
		return o.API.Verify(r, body)
	}
	if len(values) > 1 {
		return codeartifact.Caller{}, packhouse.Invalidf("ambiguous_credentials", "The request carries two credentials.")
	}
	return codeartifact.Caller{}, &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "missing_token",
		Message: "Sign the request as for the API, or send a token of this server as Authorization: Bearer."}
}

func refuse(w http.ResponseWriter, err error) {
	status := httpx.Status(err)
	if packhouse.KindOf(err) == packhouse.KindUnauthenticated {
		w.Header().Set("WWW-Authenticate", `Bearer realm="packhouse"`)
		status = http.StatusUnauthorized
	}
	httpx.SetRetryAfter(w.Header(), err)
	_ = httpx.WriteJSON(w, status, map[string]string{"message": httpx.Message(err)}) // the client is gone
}

// send calls the API's door in the name of whoever sent a message.
func (o *HandlerOptions) send(message *http.Request) Send {
	caller, _ := message.Context().Value(callerKey{}).(codeartifact.Caller)
	outer := httpx.RecordOf(message.Context())
	return func(ctx context.Context, call codeartifact.Request) (a Answer, err error) {
		// The transport calls tools on goroutines of its own, where the edge contains nothing.
		defer func() {
			if failure := recover(); failure != nil {
				err = errors.New("the server failed to answer; its log tells why")
				if broken, ok := failure.(error); !ok || !errors.Is(broken, http.ErrAbortHandler) {
					o.Log.ErrorContext(ctx, "tool panicked", "request_id", outer.RequestID, "path", call.Path, "stack", string(debug.Stack()))
				}
			}
		}()
		// A record of its own: the transport may still use the message's while we work.
		rec := &httpx.Record{RequestID: outer.RequestID, Client: outer.Client, Secure: outer.Secure, Door: Name, Principal: caller.Principal.ARN}
		ctx = httpx.WithRecord(ctx, rec)
		r, err := http.NewRequestWithContext(ctx, call.Method, "http://"+message.Host+call.Path+"?"+call.Query.Encode(), bytes.NewReader(call.Body)) //nolint:gosec // served here, sent nowhere
		if err != nil {
			return Answer{}, err
		}
		for name, values := range call.Header {
			r.Header[name] = values
		}
		r.Host, r.TLS, r.RemoteAddr = message.Host, message.TLS, message.RemoteAddr
		w := &recorder{header: http.Header{}, status: http.StatusOK}
		o.API.ServeAs(w, r, caller, call.Body)
		o.Tell(r, rec, w.status)
		if w.over {
			return Answer{}, packhouse.Invalidf("answer_too_large", "The answer is larger than %d MiB; ask the API itself.", maxAnswer>>20)
		}
		return Answer{w.status, w.header, w.body.Bytes()}, nil
	}
}

// recorder keeps an answer, as far as it is worth keeping.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	over   bool
}

func (w *recorder) Header() http.Header    { return w.header }
func (w *recorder) WriteHeader(status int) { w.status = status }

func (w *recorder) Write(p []byte) (int, error) {
	if w.body.Len()+len(p) > maxAnswer {
		w.over = true
		return 0, io.ErrShortWrite
	}
	return w.body.Write(p)
}
