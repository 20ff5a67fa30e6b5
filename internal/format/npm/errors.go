package npm

import (
	"errors"
	"net/http"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// WriteError answers {"error": text}, the one key that npm prints. Statuses are those of
// layout.md 5.8, with one exception: what npm's protocol has and Packhouse does not is
// 404, because npm then goes on (npm.md 1). Only the start of adduser is 501: at 4xx and
// 500 npm would ask for a name and a password before it shows the text (npm 8 to 12).
//
// Of a 401 npm shows the challenge and not the text, so there is none where a password
// was wrong: no Authorization header would heal that. The challenge OTP makes npm ask for
// a code and repeat the request (npm.md 3).
func (Format) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	status := httpx.Status(err)
	switch packhouse.KindOf(err) {
	case packhouse.KindUnauthenticated:
		switch packhouse.ReasonOf(err) {
		case format.ReasonSecondFactor:
			w.Header().Set("WWW-Authenticate", "OTP")
		case format.ReasonWrongPassword:
			w.Header().Del("WWW-Authenticate")
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="packhouse"`)
		}
	case packhouse.KindUnsupported:
		status = http.StatusNotFound
		if r.Method == http.MethodPost && packhouse.ReasonOf(err) == reasonNoUsers {
			status = http.StatusNotImplemented
		}
	}
	httpx.SetRetryAfter(w.Header(), err)
	// The client is gone when this fails; there is nobody left to tell.
	_ = httpx.WriteJSON(w, status, map[string]string{"error": withRemedy(err)})
}

// publishError gives a refused publish the text that scripts look for. Source: npm.md 4
// step 6.
func publishError(err error, version string) error {
	var e *packhouse.Error
	if errors.As(err, &e) && e.Kind == packhouse.KindConflict && e.Reason == "version_exists" {
		told := *e
		told.Message = "You cannot publish over the previously published versions: " + version + ". Raise the version: " + e.Message + "."
		told.Err = err
		return &told
	}
	return err
}

func invalidDocument(format string, args ...any) error {
	return packhouse.Invalidf("invalid_document", format, args...)
}
