package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
)

// addressedAWS writes a command aws into dir that runs the one at path with the address
// of the server; versions 2 before 2.13 do not take it from the environment. It returns
// the command's path.
func addressedAWS(t testing.TB, path, dir string) string {
	t.Helper()
	const address = `${AWS_ENDPOINT_URL_CODEARTIFACT:+--endpoint-url "$AWS_ENDPOINT_URL_CODEARTIFACT"}`
	command := filepath.Join(dir, "aws")
	if err := os.WriteFile(command, []byte("#!/bin/sh\nexec "+shellQuote(path)+" "+address+` "$@"`+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return command
}

// awsCalls are calls of the aws command, one a line, for a server with the repository
// "sources" that has the npm package box 1.0.0, and files one and two. ! is before those
// that are refused. Together they call all 48 operations.
const awsCalls = `
create-domain --domain acme --tags key=team,value=web
! create-domain --domain acme
! create-domain --domain My_Domain
list-domains
describe-domain --domain acme
tag-resource --resource-arn arn:aws:codeartifact:us-west-2:111122223333:domain/acme --tags key=a,value= key=ü,value=c/d
untag-resource --resource-arn arn:aws:codeartifact:us-west-2:111122223333:domain/acme --tag-keys a
list-tags-for-resource --resource-arn arn:aws:codeartifact:us-west-2:111122223333:domain/acme
put-domain-permissions-policy --domain acme --policy-document file://policy.json
get-domain-permissions-policy --domain acme
delete-domain-permissions-policy --domain acme
! get-domain-permissions-policy --domain acme
create-repository --domain acme --repository team --description a+b/c=d
delete-repository --domain acme --repository team
create-repository --domain test-domain --repository team --upstreams repositoryName=sources
update-repository --domain test-domain --repository team --description changed --upstreams
describe-repository --domain test-domain --repository team
! describe-repository --domain test-domain --repository absent
list-repositories --repository-prefix te
list-repositories-in-domain --domain test-domain --max-items 1
associate-external-connection --domain test-domain --repository team --external-connection public:npmjs
disassociate-external-connection --domain test-domain --repository team --external-connection public:npmjs
put-repository-permissions-policy --domain test-domain --repository team --policy-document file://policy.json
get-repository-permissions-policy --domain test-domain --repository team
delete-repository-permissions-policy --domain test-domain --repository team
get-repository-endpoint --domain test-domain --repository team --format npm
get-authorization-token --domain test-domain --duration-seconds 900
! get-authorization-token --domain test-domain --duration-seconds 899
describe-package --domain test-domain --repository sources --format npm --package box
describe-package-version --domain test-domain --repository sources --format npm --package box --package-version 1.0.0
get-package-version-readme --domain test-domain --repository sources --format npm --package box --package-version 1.0.0
list-package-version-dependencies --domain test-domain --repository sources --format npm --package box --package-version 1.0.0
copy-package-versions --domain test-domain --source-repository sources --destination-repository team --format npm --package box --versions 1.0.0 9.9.9
put-package-origin-configuration --domain test-domain --repository team --format npm --package box --restrictions publish=BLOCK,upstream=ALLOW
list-packages --domain test-domain --repository team --format npm
list-package-versions --domain test-domain --repository team --format npm --package box --sort-by PUBLISHED_TIME
update-package-versions-status --domain test-domain --repository team --format npm --package box --versions 1.0.0 --target-status Archived
dispose-package-versions --domain test-domain --repository team --format npm --package box --versions 1.0.0
delete-package-versions --domain test-domain --repository team --format npm --package box --versions 1.0.0 9.9.9
delete-package --domain test-domain --repository team --format npm --package box
publish-package-version --domain test-domain --repository team --format generic --namespace ns --package crate --package-version 1+2 --asset-name one --asset-content one --asset-sha256 {one} --unfinished
publish-package-version --domain test-domain --repository team --format generic --namespace ns --package crate --package-version 1+2 --asset-name two~2 --asset-content two --asset-sha256 {two}
! publish-package-version --domain test-domain --repository team --format generic --namespace ns --package crate --package-version 2 --asset-name one --asset-content one --asset-sha256 {two}
list-package-version-assets --domain test-domain --repository team --format generic --namespace ns --package crate --package-version 1+2
get-package-version-asset --domain test-domain --repository team --format generic --namespace ns --package crate --package-version 1+2 --asset two~2 got
create-package-group --domain test-domain --package-group /npm/acme/* --description ours
describe-package-group --domain test-domain --package-group /npm/acme/*
update-package-group --domain test-domain --package-group /npm/acme/* --description theirs
update-package-group-origin-configuration --domain test-domain --package-group /npm/acme/* --restrictions PUBLISH=ALLOW_SPECIFIC_REPOSITORIES --add-allowed-repositories repositoryName=team,originRestrictionType=PUBLISH
list-allowed-repositories-for-group --domain test-domain --package-group /npm/acme/* --origin-restriction-type PUBLISH
list-package-groups --domain test-domain
list-sub-package-groups --domain test-domain --package-group /npm/*
get-associated-package-group --domain test-domain --format npm --namespace acme --package hello
list-associated-packages --domain test-domain --package-group /*
delete-package-group --domain test-domain --package-group /npm/acme/*
delete-domain --domain acme
! describe-domain --domain acme
`

// volatile are the members that differ from one server, or one call, to the next, or that
// came with later versions.
var volatile = []string{"authorizationToken", "expiration", "createdTime", "publishedTime", "lastUpdatedTime", "encryptionKey", "s3BucketArn",
	"revision", "versionRevision", "packageVersionRevision"}

// Both versions of the aws command, each at a server of its own, are told the same about
// the same calls of every operation that they know, in success and in refusal (issue 4, 1).
func TestAWSVersionsAgree(t *testing.T) {
	t.Parallel()
	v1, v2 := client(t, "PACKHOUSE_AWS", "aws"), client(t, "PACKHOUSE_AWS_V2", "aws-v2")
	calls := strings.Split(strings.TrimSpace(awsCalls), "\n")
	operations := map[string]bool{}
	for _, call := range calls {
		operations[awsOperation(call)] = true
	}
	if len(operations) != 48 {
		t.Errorf("the calls are of %d operations, want 48", len(operations))
	}
	var first, second []string
	var both sync.WaitGroup
	one, two := newAWSHome(t, v1), newAWSHome(t, v2)
	both.Go(func() { first = one.answers(calls, v1) })
	both.Go(func() { second = two.answers(calls, v1) })
	both.Wait()
	unknown := map[string]bool{}
	for i, call := range calls {
		if strings.HasPrefix(second[i], unknownOperation) {
			unknown[awsOperation(call)] = true
			continue
		}
		if first[i] != second[i] {
			t.Errorf("%s: version 1 prints\n%s\nversion 2\n%s", call, first[i], second[i])
		}
		if refused := strings.Contains(first[i], "An error occurred"); refused != strings.HasPrefix(call, "! ") {
			t.Errorf("%s: %s", call, first[i])
		}
	}
	// 2.9, the oldest that there are packages of, knows 36: none about package groups, and
	// neither publish-package-version nor delete-package.
	if len(unknown) > 12 {
		t.Errorf("version 2 does not know %d operations: %v", len(unknown), unknown)
	}
}

func awsOperation(call string) string { return strings.Fields(strings.TrimPrefix(call, "! "))[0] }

// unknownOperation is before the answers to calls that a command does not know.
const unknownOperation = "unknown to this version: "

// awsHome is a server, and a home of somebody who asks it with the aws command.
type awsHome struct {
	*seedServer
	command, dir string
	env          []string
	sums         *strings.Replacer
}

func newAWSHome(t *testing.T, path string) *awsHome {
	t.Helper()
	f := startSeedServer(t)
	h := &awsHome{seedServer: f, dir: t.TempDir()}
	h.command = addressedAWS(t, path, h.dir)
	h.env = append(f.clientEnv(h.dir), "AWS_REGION="+seedRegion, "AWS_DEFAULT_REGION="+seedRegion, "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "LANG=C.UTF-8")
	if _, err := f.api.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: aws.String(seedDomain), Repository: aws.String("sources")}); err != nil {
		t.Fatal(err)
	}
	status, body := f.put(t, "sources", npmPackage{Name: "box", Version: "1.0.0", Files: map[string]string{"README.md": "# A box\n"},
		Manifest: map[string]any{"dependencies": map[string]string{"lid": "^2.0.0"}, "readme": "# A box\n"}})
	if status != 201 {
		t.Fatalf("publish: %d %s", status, body)
	}
	files := map[string]string{"one": "the first", "two": "the second",
		"policy.json": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"codeartifact:ReadFromRepository","Resource":"*"}]}`}
	var sums []string
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(text))
		sums = append(sums, "{"+name+"}", hex.EncodeToString(sum[:]))
	}
	h.sums = strings.NewReplacer(sums...)
	return h
}

// answers runs calls and returns what each one printed, without what must differ. Calls
// that the command does not know are made with the one at another path.
func (h *awsHome) answers(calls []string, other string) []string {
	all := make([]string, len(calls))
	for i, call := range calls {
		text := h.answer(call, h.command)
		if strings.Contains(text, "Invalid choice") {
			text = unknownOperation + h.answer(call, other)
		}
		all[i] = strings.TrimSpace(strings.ReplaceAll(text, h.URL, "URL"))
	}
	return all
}

func (h *awsHome) answer(call, command string) string {
	cmd := exec.Command(command, append([]string{"codeartifact"}, strings.Fields(h.sums.Replace(strings.TrimPrefix(call, "! ")))...)...)
	cmd.Dir, cmd.Env = h.dir, h.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var refused *exec.ExitError
	if err != nil && !errors.As(err, &refused) {
		return err.Error()
	}
	text := stderr.String()
	if len(out) > 0 {
		var value any
		if err := json.Unmarshal(out, &value); err != nil {
			return fmt.Sprintf("%s%s: %v", text, out, err)
		}
		settle(value)
		settled, err := json.MarshalIndent(value, "", " ")
		text += fmt.Sprintf("%s %v", settled, err)
	}
	if awsOperation(call) == "get-package-version-asset" {
		got, err := os.ReadFile(filepath.Join(h.dir, "got"))
		text += fmt.Sprintf(" %q %v", got, err)
	}
	return text
}

// settle takes the volatile members out.
func settle(v any) {
	switch v := v.(type) {
	case []any:
		for _, member := range v {
			settle(member)
		}
	case map[string]any:
		for _, name := range volatile {
			delete(v, name)
		}
		for _, member := range v {
			settle(member)
		}
	}
}
