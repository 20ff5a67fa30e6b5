package npm

import (
	"errors"
	"net/http"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
)

// WriteError answers {"error": text}, the one key that npm prints. Statuses are those of
// layout.md 5.8, with one exception: what npm's protocol has and Packhouse does not is
// 404, because npm then goes on (npm.md 1). Only the start of a login is 501: at 4xx and
// 500 npm would ask for a name and a password before it shows the text (npm 8 to 12).
func (Format) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	if packhouse.ReasonOf(err) == "invalid_path" && strings.Contains(httpx.RequestPath(r), "/-/user/token/") {
		err = logoutElsewhere() // npm logout puts the token into the path, where it is too long for a segment
	}
	status := httpx.Status(err)
	switch packhouse.KindOf(err) {
	case packhouse.KindUnauthenticated:
		w.Header().Set("WWW-Authenticate", `Bearer realm="packhouse"`)
	case packhouse.KindUnsupported:
		status = http.StatusNotFound
		if r.Method == http.MethodPost && packhouse.ReasonOf(err) == reasonLogin {
			status = http.StatusNotImplemented
		}
	}
	httpx.SetRetryAfter(w.Header(), err)
	// The client is gone when this fails; there is nobody left to tell.
	_ = httpx.WriteJSON(w, status, map[string]string{"error": httpx.Message(err)})
}

// publishError gives a refused publish the text that scripts look for. Source: npm.md 4
// step 6.
func publishError(err error, version string) error {
	var e *packhouse.Error
	if errors.As(err, &e) && e.Kind == packhouse.KindConflict && e.Reason == "version_exists" {
		told := *e
		told.Message = "You cannot publish over the previously published versions: " + version + "."
		told.Err = err
		return &told
	}
	return err
}

func invalidDocument(format string, args ...any) error {
	return packhouse.Invalidf("invalid_document", format, args...)
}
