package generic

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
)

// The reasons that have a status or a text of their own here.
const (
	reasonMismatch     = "digest_mismatch"
	reasonPrecondition = "precondition_failed"
	reasonDisposed     = "version_disposed"
	reasonFinished     = "version_finished"
)

func preconditionFailed(format string, args ...any) error {
	return packhouse.Conflictf(reasonPrecondition, packhouse.ResourceAsset, "", format, args...)
}

type (
	errorList struct {
		Errors []errorItem `json:"errors"`
	}
	errorItem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
)

// WriteError answers {"errors": [{"code", "message"}]}, and the message alone to curl and
// wget, which print it. Statuses are those of layout.md 5.8 but for what generic.md says
// in 1 and 4. The door has set WWW-Authenticate.
func (Format) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	if packhouse.ReasonOf(err) == "path_not_found" && strings.Contains(strings.ToLower(httpx.RequestPath(r)), "%2f") {
		err = packhouse.Invalidf("invalid_path", "the path has an encoded slash") // which no route takes
	}
	status, message := httpx.Status(err), httpx.Message(err)
	reason := packhouse.ReasonOf(err)
	switch reason {
	case reasonMismatch:
		status = http.StatusUnprocessableEntity
	case reasonPrecondition:
		status = http.StatusPreconditionFailed
	case reasonDisposed:
		status = http.StatusGone
	case reasonFinished:
		if r.Method == http.MethodPut {
			message += fmt.Sprintf("; to publish several files, send all but the last with %s: true", headerUnfinished)
		}
	case "":
		reason = "internal"
	}
	// The client is gone when writing fails; there is nobody left to tell.
	if wantsText(r) {
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Length", strconv.Itoa(len(message)+1))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, message+"\n")
		return
	}
	_ = httpx.WriteJSON(w, status, errorList{[]errorItem{{reason, message}}})
}
