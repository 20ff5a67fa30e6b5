package server

import (
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/mcp"
	"github.com/packhouse/packhouse/internal/ops"
	"github.com/packhouse/packhouse/internal/pages"
	"github.com/packhouse/packhouse/internal/registry"
)

const (
	// strangersPerSecond is how many requests without a known principal are recorded.
	// Others are in the access log only: whoever has no credentials must not be able to
	// fill the disk.
	strangersPerSecond = 20
	maxAgent           = 256 // bytes of a user agent that are kept
	maxAuditMessage    = 1000
)

// auditor decides which requests the audit log holds (codeartifact.md 3.14): every call
// of an API; of the package managers' requests every write, and reads that were refused,
// or all of them if so set.
type auditor struct {
	log       *ops.AuditLog
	reads     bool // record all reads of package managers
	strangers *rate.Limiter
}

func newAuditor(log *ops.AuditLog, reads string) *auditor {
	return &auditor{log: log, reads: reads == "all", strangers: rate.NewLimiter(strangersPerSecond, strangersPerSecond)}
}

// tell records a request that has been answered. Reads that were served cost nothing.
func (a *auditor) tell(r *http.Request, rec *httpx.Record, status int) {
	if a == nil {
		return
	}
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	refused := status == http.StatusUnauthorized || status == http.StatusForbidden || packhouse.KindOf(rec.Err) == packhouse.KindDenied
	name := rec.Op
	switch rec.Door {
	case "", "server":
		return
	case registry.Name:
		if reading && !refused && !a.reads {
			return
		}
		name = registryEvent(rec, reading)
		if rec.Action != "" {
			reading = authz.Reading(rec.Action)
		}
	case mcp.Name:
		if name == mcp.Name && !refused { // a message; the calls in it have records of their own
			return
		}
		reading = readingOperation(name)
	case pages.Name:
		if reading {
			return
		}
	default:
		reading = readingOperation(name)
	}
	if rec.Principal == "" || rec.Principal == packhouse.Anonymous.ARN {
		if !a.strangers.Allow() {
			return
		}
	}
	record := packhouse.AuditRecord{
		At: time.Now().UTC(), EventID: uuid.NewString(), Door: rec.Door, Name: name, ReadOnly: reading,
		Principal: rec.Principal, Client: rec.Client, Agent: cleanText(r.UserAgent(), maxAgent), RequestID: rec.RequestID,
		Method: logMethod(r.Method), Path: cleanText(logPath(httpx.RequestPath(r)), maxLogPath+len("...")),
		Resource: rec.Resource, Version: rec.Version, Administrator: rec.Administrator, Status: status,
	}
	if record.Principal == packhouse.Anonymous.ARN {
		record.Principal = ""
	}
	if rec.Err != nil {
		record.Error, record.Message = packhouse.ReasonOf(rec.Err), cleanText(httpx.Message(rec.Err), maxAuditMessage)
		if record.Error == "" {
			record.Error = packhouse.KindOf(rec.Err).String()
		}
	}
	if refused {
		record.Decision = rec.Decision
	}
	a.log.Add(record, !reading && status < http.StatusBadRequest)
}

// readingOperation reports operations of an API that only read, by their names.
func readingOperation(name string) bool {
	return strings.HasPrefix(name, "Get") || strings.HasPrefix(name, "List") || strings.HasPrefix(name, "Describe") || strings.HasPrefix(name, "Stream")
}

// registryEvent names a package manager's request after the action that it is decided by.
func registryEvent(rec *httpx.Record, reading bool) string {
	_, name, _ := strings.Cut(string(rec.Action), ":")
	switch {
	case name != "":
		return name
	case reading:
		return "ReadFromRepository"
	}
	return "PublishPackageVersion"
}

// cleanText is text from outside in at most limit bytes, without control characters.
func cleanText(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}
