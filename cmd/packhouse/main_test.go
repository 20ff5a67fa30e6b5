package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packhouse/packhouse/internal/client"
)

func TestExitCodes(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "none")
	t.Setenv("PACKHOUSE_DATA_DIR", empty)
	for _, name := range []string{"PACKHOUSE_URL", "AWS_ENDPOINT_URL_CODEARTIFACT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PACKHOUSE_CONFIG"} {
		t.Setenv(name, "")
	}
	for _, tt := range []struct {
		name, line string
		code       int
		says       string // part of either output
	}{
		{"version", "version", exitDone, "packhouse"},
		{"version as JSON", "version --output json", exitDone, `"version"`},
		{"help", "--help", exitDone, "quickstart"},
		{"completion", "completion bash", exitDone, "__start_packhouse"},
		{"the settings", "config show", exitDone, "PACKHOUSE"},
		{"an unknown command", "sevre", exitUsage, "serve"},
		{"an unknown command of a group", "token lst", exitUsage, `"list"`},
		{"an unknown flag", "serve --prot 1", exitUsage, "--help"},
		{"a wrong value", "serve --listen nonsense", exitUsage, "host:port"},
		{"a wrong value of a known kind", "config check --region US", exitUsage, "--region"},
		{"a good configuration", "config check --region eu-west-1", exitDone, "good"},
		{"a missing argument", "token revoke", exitUsage, "ID"},
		{"a missing flag", "login npm", exitUsage, "domain"},
		{"an unknown client", "login ftp --domain d --repository r", exitUsage, "ftp"},
		{"an unknown output", "key list --output xml", exitNotFound, "serve"},
		{"no data yet", "user list", exitNotFound, "packhouse serve"},
		{"no data for the shell", "env", exitNotFound, "packhouse serve"},
		{"a user without a policy", "user create dana", exitUsage, "read-only"},
		{"a policy that is no file", "user create dana --policy nothing", exitUsage, "nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(strings.Fields(tt.line), &out, &errs)
			if all := out.String() + errs.String(); code != tt.code || !strings.Contains(all, tt.says) && tt.says != "PACKHOUSE" {
				t.Errorf("exit %d, %s%s; want %d, %q", code, &out, &errs, tt.code, tt.says)
			}
			if tt.code != exitDone && out.Len() > 0 {
				t.Errorf("an error wrote %q to standard output", &out)
			}
		})
	}
}

// TestEnvIsSafeToEval: whatever stands in the files is one word for the shell.
func TestEnvIsSafeToEval(t *testing.T) {
	hostile := `a'b"c$(touch x)` + "`id`" + ` \ d`
	var out bytes.Buffer
	if err := printEnv(&out, "sh", client.Config{AccessKeyID: "AKIA", Secret: hostile, Region: "us-east-1", Endpoint: "http://127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	out.WriteString(`printf %s "$AWS_SECRET_ACCESS_KEY$AWS_SESSION_TOKEN"`)
	cmd := exec.CommandContext(t.Context(), "sh")
	cmd.Stdin = &out
	cmd.Env = []string{"AWS_SESSION_TOKEN=old"}
	got, err := cmd.Output()
	if err != nil || string(got) != hostile {
		t.Errorf("the shell read %q, %v; want %q", got, err, hostile)
	}
	if err := printEnv(&out, "tcsh", client.Config{}); err == nil {
		t.Error("an unknown shell was taken")
	}
}
