package e2e

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
)

// refusal is a command that the server refuses, and what the client's own output must say.
type refusal struct {
	name   string
	client string
	home   string // as made by toolHome
	dir    string
	args   []string
	says   []string
}

// says fails unless the client fails and prints all of the texts. Clients break lines and
// draw boxes, so white space and box characters count as one blank.
func (r refusal) check(t *testing.T) {
	t.Helper()
	out, err := tool(t, r.client).run(t, r.home, r.dir, r.args...)
	if err == nil {
		t.Fatalf("%s %v succeeded, want a refusal\n%s", r.client, r.args, out)
	}
	flat := betweenWords.ReplaceAllString(out, " ")
	for _, want := range r.says {
		if !strings.Contains(flat, want) {
			t.Errorf("%s %v does not say %q:\n%s", r.client, r.args, want, out)
		}
	}
}

var betweenWords = regexp.MustCompile(`[\s│]+`)

// user makes a user with a policy and returns a token of theirs.
func (s *server) user(t *testing.T, name, policy string) string {
	t.Helper()
	for i, args := range [][]string{
		{"user", "create", name, "--policy", policy},
		{"token", "create", "t", "--user", name},
	} {
		cmd := exec.Command(binary, append(args, "--data-dir", s.dataDir)...)
		cmd.Env = s.clientEnv(t.TempDir())
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("packhouse %v: %v\n%s", args, err, out)
		}
		if i == 1 {
			return strings.TrimSpace(string(out))
		}
	}
	return ""
}

// publish publishes a package as npm does, and fails the test unless that succeeds.
func (s *server) publish(t *testing.T, base, token string, p npmPackage) {
	t.Helper()
	path := base + strings.Replace(p.Name, "/", "%2f", 1)
	if status, body := do(t, http.MethodPut, path, token, p.publishDoc(t, p.tarball(t))); status != http.StatusCreated {
		t.Fatalf("publish %s@%s: %d %s", p.Name, p.Version, status, body)
	}
}

// user-experience.md 5 and 10: the text of each refused request names cause and remedy
// inside the real client's own output.
func TestNPMRefusalsNameCauseAndRemedy(t *testing.T) {
	tools := map[string]bool{}
	for _, c := range installedTools(t) {
		tools[c.name] = true
	}
	down := newNPMRegistry(t)
	down.setDown(true)
	s := startServer(t, "--connection", "public:npmjs="+down.URL+"/")
	makeStore(t, s, "main", "store")
	makeStore(t, s, "main", "public")
	makeStore(t, s, "main", "behind", "public")
	sdk, ctx := s.sdk(), context.Background()
	if _, err := sdk.AssociateExternalConnection(ctx, &codeartifact.AssociateExternalConnectionInput{
		Domain: aws.String("main"), Repository: aws.String("public"), ExternalConnection: aws.String("public:npmjs")}); err != nil {
		t.Fatal(err)
	}
	base, token := s.base("npm", "main", "store"), s.token("main")
	for _, v := range []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0"} {
		s.publish(t, base, token, npmPackage{Name: "@acme/foo", Version: v})
	}
	s.publish(t, base, token, npmPackage{Name: "@acme/closed", Version: "1.0.0"})
	foo := func(version string, status types.PackageVersionStatus) {
		t.Helper()
		if _, err := sdk.UpdatePackageVersionsStatus(ctx, &codeartifact.UpdatePackageVersionsStatusInput{Domain: aws.String("main"), Repository: aws.String("store"),
			Format: types.PackageFormatNpm, Namespace: aws.String("acme"), Package: aws.String("foo"), Versions: []string{version}, TargetStatus: status}); err != nil {
			t.Fatal(err)
		}
	}
	foo("1.1.0", types.PackageVersionStatusArchived)
	if _, err := sdk.DisposePackageVersions(ctx, &codeartifact.DisposePackageVersionsInput{Domain: aws.String("main"), Repository: aws.String("store"),
		Format: types.PackageFormatNpm, Namespace: aws.String("acme"), Package: aws.String("foo"), Versions: []string{"1.2.0"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := sdk.PutPackageOriginConfiguration(ctx, &codeartifact.PutPackageOriginConfigurationInput{Domain: aws.String("main"), Repository: aws.String("store"),
		Format: types.PackageFormatNpm, Namespace: aws.String("acme"), Package: aws.String("closed"),
		Restrictions: &types.PackageOriginRestrictions{Publish: types.AllowPublishBlock, Upstream: types.AllowUpstreamBlock}}); err != nil {
		t.Fatal(err)
	}

	admin := toolHome(t, base, token)
	reader := toolHome(t, base, s.user(t, "dana", "read-only"))
	denied := filepath.Join(t.TempDir(), "policy.json")
	writeFiles(t, filepath.Dir(denied), map[string]string{"policy.json": `{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": "*", "Resource": "*"},
		{"Sid": "FrozenForRelease", "Effect": "Deny", "Action": "codeartifact:PublishPackageVersion", "Resource": "*"}]}`})
	frozen := toolHome(t, base, s.user(t, "omar", denied))
	stranger := toolHome(t, base, "nonsense")
	typo := toolHome(t, s.base("npm", "main", "stroe"), token)
	behind := toolHome(t, s.base("npm", "main", "behind"), token)

	pkg := func(name, version string) string {
		return project(t, map[string]any{"name": name, "version": version, "license": "MIT"}, map[string]string{"index.js": "module.exports = 2"})
	}
	tarball := func(version string) string { return base + "@acme/foo/-/foo-" + version + ".tgz" }
	rows := []refusal{
		{name: "npm asks for a package with a slip of the finger", client: "npm12", home: admin, dir: app(t, nil), args: []string{"install", "@acme/fooo"},
			says: []string{"E404", "package @acme/fooo is neither in repository store nor behind it", "publish it there, or add an upstream", "did you mean @acme/foo?"}},
		{name: "npm 8 asks for a package that is nowhere", client: "npm8", home: admin, dir: app(t, nil), args: []string{"install", "elsewhere"},
			says: []string{"E404", "package elsewhere is neither in repository store nor behind it", "publish it there, or add an upstream"}},
		{name: "Yarn 1 asks for a package that is nowhere", client: "yarn1", home: admin, dir: app(t, nil), args: []string{"add", "@acme/fooo"},
			says: []string{"package @acme/fooo is neither in repository store nor behind it", "did you mean @acme/foo?"}},
		{name: "npm asks a repository with a slip of the finger", client: "npm12", home: typo, dir: app(t, nil), args: []string{"install", "@acme/foo"},
			says: []string{"E404", "repository stroe does not exist in domain main", "did you mean store?"}},
		{name: "npm installs an archived version", client: "npm", home: admin, dir: app(t, nil), args: []string{"install", tarball("1.1.0")},
			says: []string{"version 1.1.0 of package @acme/foo is Archived", "until its status is set to Published again"}},
		{name: "npm installs a disposed version", client: "npm", home: admin, dir: app(t, nil), args: []string{"install", tarball("1.2.0")},
			says: []string{"version 1.2.0 of package @acme/foo is Disposed", "use another version"}},
		{name: "npm installs a version that is not there", client: "npm", home: admin, dir: app(t, nil), args: []string{"install", tarball("9.9.9")},
			says: []string{"version 9.9.9 of package @acme/foo is neither in repository store nor behind it"}},
		{name: "npm with a token that is none", client: "npm12", home: stranger, dir: app(t, nil), args: []string{"install", "@acme/foo"},
			says: []string{"E401", "npm login"}},
		{name: "Yarn 1 with a token that is none", client: "yarn1", home: stranger, dir: pkg("@acme/foo", "2.0.0"), args: []string{"publish", "--non-interactive"},
			says: []string{"The token is not valid", "sign in again with npm login, packhouse login npm or aws codeartifact login --tool npm"}},
		{name: "pnpm with a token that is none", client: "pnpm12", home: stranger, dir: pkg("@acme/foo", "2.0.0"), args: []string{"publish", "--no-git-checks"},
			says: []string{"The token is not valid"}},
		{name: "Yarn 1 sets a tag of a package that is not held", client: "yarn1", home: admin, dir: app(t, nil), args: []string{"tag", "add", "@acme/nothing@1.0.0", "beta"},
			says: []string{"package @acme/nothing is not held by repository store, so it cannot be tagged there"}},
		{name: "npm sets a tag to a version that is not held", client: "npm12", home: admin, dir: app(t, nil), args: []string{"dist-tag", "add", "@acme/foo@7.0.0", "beta"},
			says: []string{"version 7.0.0 of @acme/foo is not held by repository store"}},
		{name: "Yarn 1 sets a tag that reads as a range", client: "yarn1", home: admin, dir: app(t, nil), args: []string{"tag", "add", "@acme/foo@1.0.0", "1.x"},
			says: []string{"tag 1.x reads as a version or range"}},
		{name: "npm removes the tag that everybody installs by", client: "npm12", home: admin, dir: app(t, nil), args: []string{"dist-tag", "rm", "@acme/foo", "latest"},
			says: []string{"tag latest cannot be removed; point it at another version instead"}},
		{name: "npm asks while the public registry is down", client: "npm12", home: behind, dir: app(t, nil), args: []string{"install", "left-pad"},
			says: []string{"E502", `connection "public:npmjs" answered 503`, "try again later"}},
		{name: "npm publishes while nobody knows whether the public registry has it", client: "npm", home: behind, dir: pkg("left-pad", "1.0.0"), args: []string{"publish", "--force"},
			says: []string{"502", `connection "public:npmjs" answered 503`, "upstream origin control to BLOCK"}},
	}
	for _, c := range []string{"npm8", "npm10", "npm", "npm12", "pnpm12", "yarn1", "yarn4", "bun"} {
		publish := tool(t, c).publish
		args := publish[len(publish)-1]
		if strings.HasPrefix(c, "npm") {
			args = append([]string{"--force"}, args...) // or npm refuses by itself
		}
		taken := []string{"You cannot publish over the previously published versions: 1.0.0.", "Raise the version"}
		if c == "npm8" {
			taken = []string{"Cannot publish over existing version", "Update the 'version' field"} // its own words for every 409
		}
		rows = append(rows,
			refusal{name: c + " publishes a version that is taken", client: c, home: admin, dir: pkg("@acme/foo", "1.0.0"), args: args, says: taken},
			refusal{name: c + " may not publish", client: c, home: reader, dir: pkg("@acme/foo", "2.0.0"), args: args,
				says: []string{"user dana may not perform codeartifact:PublishPackageVersion", "no statement allows it", "ask an administrator"}},
			refusal{name: c + " publishes what origin controls close", client: c, home: admin, dir: pkg("@acme/closed", "2.0.0"), args: args,
				says: []string{"the origin controls of @acme/closed in main/store do not allow publishing", "put-package-origin-configuration"}})
	}
	rows = append(rows,
		refusal{name: "npm publishes over a disposed version", client: "npm12", home: admin, dir: pkg("@acme/foo", "1.2.0"), args: []string{"publish", "--tag", "old"},
			says: []string{"You cannot publish over the previously published versions: 1.2.0.", "status Disposed", "its number stays taken"}},
		refusal{name: "npm is denied by a statement with a name", client: "npm12", home: frozen, dir: pkg("@acme/foo", "2.0.0"), args: []string{"publish"},
			says: []string{"E403", "user omar may not perform codeartifact:PublishPackageVersion", "FrozenForRelease", "ask an administrator"}})
	for _, r := range rows {
		if !tools[r.client] {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			if r.client == "yarn4" {
				tool(t, r.client).must(t, r.home, r.dir, "install") // it publishes installed projects only
			}
			r.check(t)
		})
	}
}

// What the server has no room for is refused with what goes on working (reliability.md
// R21), and what is too large with the limit.
func TestNPMRefusalsForSize(t *testing.T) {
	client(t, "", "npm")
	s := &server{t: t, dataDir: filepath.Join(t.TempDir(), "data"), addr: "127.0.0.1:0", under: []string{"env", "PACKHOUSE_DISK_LOW_BYTES=8000000GiB"}}
	t.Cleanup(s.kill)
	s.start()
	makeStore(t, s, "main", "store")
	base, token := s.base("npm", "main", "store"), s.token("main")
	dir := project(t, map[string]any{"name": "@acme/foo", "version": "1.0.0"}, nil)
	refusal{client: "npm", home: toolHome(t, base, token), dir: dir, args: []string{"publish"},
		says: []string{"507", "disk is nearly full", "its operator has to make room"}}.check(t)

	// A document of 4 GiB, of which the client sends nothing before it is asked to.
	req, err := http.NewRequest(http.MethodPut, base+"@acme%2ffoo", io.LimitReader(rand.Reader, 4<<30))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 4 << 30
	req.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}, "Expect": {"100-continue"}}
	resp, err := (&http.Transport{ExpectContinueTimeout: time.Minute}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if want := "leave out what the package does not need"; resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(body), want) {
		t.Errorf("a document of 4 GiB: %d %s, want 413 and %q", resp.StatusCode, body, want)
	}
}
