package ops

import (
	"testing"

	"github.com/packhouse/packhouse"
)

// Case 001-12; addresses.md 2 and 3.
func TestEndpoint(t *testing.T) {
	const came = "http://127.0.0.1:8480"
	for sentence, row := range map[string]struct {
		suffix, public, endpointType string
		format                       packhouse.FormatID
		want                         string
	}{
		"path form at the address the call came in on": {"", "", "", tagFormat, "http://127.0.0.1:8480/tagged/d/test-domain-111122223333/test-repo/"},
		"a format without a room answers too":          {"", "", "ipv4", futureFormat, "http://127.0.0.1:8480/roomless/d/test-domain-111122223333/test-repo/"},
		"dualstack is the same path form":              {"", "", "dualstack", tagFormat, "http://127.0.0.1:8480/tagged/d/test-domain-111122223333/test-repo/"},
		"a public URL goes before the call's address":  {"", "https://packages.example/base/", "", tagFormat, "https://packages.example/base/tagged/d/test-domain-111122223333/test-repo/"},
		"host form keeps scheme and port":              {"packages.example", "", "", tagFormat, "http://test-domain-111122223333.d.codeartifact.us-west-2.packages.example:8480/tagged/test-repo/"},
		"host form with a public URL":                  {"packages.example", "https://packages.example", "", tagFormat, "https://test-domain-111122223333.d.codeartifact.us-west-2.packages.example/tagged/test-repo/"},
		"the service's own suffix":                     {"amazonaws.com", "https://h", "ipv4", tagFormat, "https://test-domain-111122223333.d.codeartifact.us-west-2.amazonaws.com/tagged/test-repo/"},
		"the service's own suffix, dualstack":          {"amazonaws.com", "https://h", "dualstack", tagFormat, "https://test-domain-111122223333.d.codeartifact.us-west-2.on.aws/tagged/test-repo/"},
		"another suffix has one host for both":         {"packages.example", "https://h", "dualstack", tagFormat, "https://test-domain-111122223333.d.codeartifact.us-west-2.packages.example/tagged/test-repo/"},
	} {
		t.Run(sentence, func(t *testing.T) {
			e := newEnv(t, func(o *Options) { o.HostSuffix, o.PublicURL = row.suffix, row.public })
			r := e.repo(e.domain("test-domain"), "test-repo")
			got, err := e.s.Endpoint(e.ctx, e.admin, r, row.format, row.endpointType, came)
			e.must(err)
			if got != row.want {
				t.Errorf("endpoint %s, want %s", got, row.want)
			}
		})
	}
	e := newEnv(t)
	r := e.repo(e.domain("test-domain"), "test-repo")
	_, err := e.s.Endpoint(e.ctx, e.admin, r, tagFormat, "ipv6", came)
	e.wantError(err, packhouse.KindInvalid, "endpoint_type")
	_, err = e.s.Endpoint(e.ctx, e.admin, r, "foo", "", came)
	e.wantError(err, packhouse.KindInvalid, "format_not_supported")
	r.Name = "absent"
	_, err = e.s.Endpoint(e.ctx, e.admin, r, tagFormat, "", came)
	e.wantError(err, packhouse.KindNotFound, "repository_not_found")
}
