package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdUpstreamDate changes when a version was published at the upstream.
func cmdUpstreamDate(ts *testscript.TestScript, _ bool, args []string) {
	date := ""
	if args[1] != "none" {
		ago, err := time.ParseDuration(args[1])
		ts.Check(err)
		date = time.Now().Add(-ago).UTC().Format(time.RFC3339Nano)
	}
	r := state(ts).upstream
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dates == nil {
		r.dates = map[string]string{}
	}
	r.dates[args[0]] = date
}

// cmdEventually runs a command again and again until it succeeds and its output matches.
func cmdEventually(ts *testscript.TestScript, _ bool, args []string) {
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	var last string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		err := ts.Exec(args[1], args[2:]...)
		if last = ts.ReadFile("stdout"); err == nil && want.MatchString(last) {
			return
		}
	}
	ts.Fatalf("%s never said %s, but\n%s", strings.Join(args[1:], " "), args[0], fmt.Sprint(last))
}
