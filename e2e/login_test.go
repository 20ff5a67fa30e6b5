package e2e

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/rogpeppe/go-internal/testscript"
)

// The commands of scripts about signing in:
//
//	browser FILE NAME PASSWORD [CODE]   wait until FILE tells where to log in, and do so
//	browser FILE deny                   the same, and deny it
//	otp FILE [STEPS]                    set $OTP to the code of the key in FILE, STEPS of
//	                                    30 seconds from now
//	hidden TEXT...                      the server's log holds none of the texts, and no token

var (
	loginURL  = regexp.MustCompile(`http://[^\s"]+/ui/login/[a-z0-9]+`)
	formToken = regexp.MustCompile(`name="form_token" value="([0-9a-f]+)"`)
)

func cmdBrowser(ts *testscript.TestScript, neg bool, args []string) {
	page := ""
	eventually(scriptTB{ts: ts}, "a login in "+args[0], func() bool {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		page = loginURL.FindString(string(text))
		return err == nil && page != ""
	})
	token := formToken.FindStringSubmatch(fetchPage(ts, http.MethodGet, page, ""))
	if token == nil {
		ts.Fatalf("the page of the login has no form")
	}
	form := url.Values{"form_token": {token[1]}, "action": {"deny"}}
	if len(args) > 2 {
		form = url.Values{"form_token": {token[1]}, "action": {"approve"}, "name": {args[1]}, "password": {args[2]}}
	}
	if len(args) > 3 {
		form.Set("code", args[3])
	}
	text := fetchPage(ts, http.MethodPost, page, form.Encode())
	if done := strings.Contains(text, `role="status"`); done == neg {
		ts.Fatalf("the page says:\n%s", text)
	}
}

// fetchPage is a browser's request.
func fetchPage(ts *testscript.TestScript, method, page, form string) string {
	req, err := http.NewRequest(method, page, strings.NewReader(form))
	ts.Check(err)
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	return string(text)
}

func cmdOTP(ts *testscript.TestScript, _ bool, args []string) {
	lines := strings.Fields(ts.ReadFile(args[0]))
	at := time.Now()
	if len(args) > 1 {
		steps, err := time.ParseDuration(args[1] + "s")
		ts.Check(err)
		at = at.Add(30 * steps)
	}
	code, err := totp.GenerateCode(lines[len(lines)-1], at)
	ts.Check(err)
	ts.Setenv("OTP", code)
}

func cmdHidden(ts *testscript.TestScript, _ bool, args []string) {
	log := state(ts).server.log.String()
	for _, text := range append(args, "phr_", "phs_", "v4.local.") {
		if text != "" && strings.Contains(log, text) {
			ts.Fatalf("the server's log holds a secret that begins with %.4q", text)
		}
	}
}
