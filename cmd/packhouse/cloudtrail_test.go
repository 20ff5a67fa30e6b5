package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/client"
)

// TestCloudTrail: records have the members of codeartifact.md 3.14.
func TestCloudTrail(t *testing.T) {
	const owner, caller, administrator = "111122223333", "444455556666", "222222222222"
	pull := packhouse.AuditRecord{
		At: time.Date(2026, 1, 31, 1, 2, 3, 0, time.FixedZone("", 3600)), EventID: "e1", Door: "registry", Name: "ReadFromRepository", ReadOnly: true,
		Principal: "arn:aws:iam::" + caller + ":user/ci", Client: "192.0.2.7", Agent: "npm/11", RequestID: "r1", Method: "GET",
		Path: "/npm/acme/team/lodash/-/lodash-4.17.20.tgz", Resource: "arn:aws:codeartifact:us-west-2:" + owner + ":repository/acme/team",
		Administrator: administrator, Status: 403, Error: "access_denied", Message: "no", Decision: `denied by statement "shut"`,
	}
	event, concerned := cloudTrail(&pull, "us-west-2", "")
	if !concerned {
		t.Fatal("the record concerns nobody")
	}
	got, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"eventVersion":"1.09","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::444455556666:user/ci","accountId":"444455556666","userName":"ci"},` +
		`"eventTime":"2026-01-31T00:02:03Z","eventSource":"codeartifact.amazonaws.com","eventName":"ReadFromRepository","awsRegion":"us-west-2",` +
		`"sourceIPAddress":"192.0.2.7","userAgent":"npm/11","errorCode":"access_denied","errorMessage":"no",` +
		`"requestParameters":{"domainName":"acme","domainOwner":"111122223333","repositoryName":"team"},"responseElements":null,` +
		`"additionalEventData":{"decision":"denied by statement \"shut\"","httpMethod":"GET","requestUri":"/npm/acme/team/lodash/-/lodash-4.17.20.tgz"},` +
		`"requestID":"r1","eventID":"e1","readOnly":true,"resources":[{"ARN":"arn:aws:codeartifact:us-west-2:111122223333:repository/acme/team","accountId":"111122223333"}],` +
		`"eventType":"AwsApiCall","recipientAccountId":"111122223333"}`
	if string(got) != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}

	for name, tt := range map[string]struct {
		account   packhouse.AccountID
		concerned bool
	}{
		"the owner of the domain receives it":             {owner, true},
		"the caller receives it":                          {caller, true},
		"the administrator of the repository receives it": {administrator, true},
		"nobody else does":                                {"999999999999", false},
	} {
		t.Run(name, func(t *testing.T) {
			event, concerned := cloudTrail(&pull, "us-west-2", tt.account)
			if concerned != tt.concerned || concerned && event.RecipientAccountID != string(tt.account) {
				t.Errorf("concerned %v, recipient %q", concerned, event.RecipientAccountID)
			}
		})
	}
	t.Run("a token's answer is hidden, and there is none where it was refused", func(t *testing.T) {
		token := packhouse.AuditRecord{Door: "codeartifact", Name: "GetAuthorizationToken"}
		event, _ := cloudTrail(&token, "us-west-2", "")
		if event.ResponseElements["authorizationToken"] != trailHidden || event.AdditionalEventData != nil {
			t.Errorf("got %v, %v", event.ResponseElements, event.AdditionalEventData)
		}
		token.Error = "access_denied"
		if event, _ := cloudTrail(&token, "us-west-2", ""); event.ResponseElements != nil {
			t.Errorf("refused: %v", event.ResponseElements)
		}
	})
}

// TestTrailParameters: the members of requestParameters by kind of resource (codeartifact.md 2.1, 3.14).
func TestTrailParameters(t *testing.T) {
	const prefix = "arn:aws:codeartifact:us-west-2:111122223333:"
	for _, tt := range []struct{ name, arn, version, want string }{
		{"a domain", prefix + "domain/acme", "", "domainName=acme domainOwner=111122223333"},
		{"a package without a namespace", prefix + "package/acme/team/npm//react", "1.0.0",
			"domainName=acme domainOwner=111122223333 packageFormat=npm packageName=react packageVersion=1.0.0 repositoryName=team"},
		{"a package with a namespace", prefix + "package/acme/team/npm/types/node", "",
			"domainName=acme domainOwner=111122223333 packageFormat=npm packageName=node packageNamespace=types repositoryName=team"},
		{"a package group", prefix + "package-group/acme/npm/%2a", "", "domainName=acme domainOwner=111122223333 packageGroup=/npm/%2a"},
		{"nothing in particular", "*", "", ""},
		{"another service's", "arn:aws:iam::111122223333:user/ci", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			p := parametersOfARN(tt.arn, tt.version)
			for _, key := range slices.Sorted(maps.Keys(p)) {
				got = append(got, key+"="+p[key])
			}
			if text := strings.Join(got, " "); text != tt.want {
				t.Errorf("got %s, want %s", text, tt.want)
			}
		})
	}
}

// TestTrailIdentity: who asked, by the shape of the principal's ARN.
func TestTrailIdentity(t *testing.T) {
	for arn, want := range map[string]trailIdentity{
		"":                               {Type: "Unknown"},
		"arn:aws:iam::111122223333:root": {Type: "Unknown", ARN: "arn:aws:iam::111122223333:root", AccountID: "111122223333"},
		"arn:aws:sts::111122223333:assumed-role/ci/run-7": {Type: "AssumedRole", ARN: "arn:aws:sts::111122223333:assumed-role/ci/run-7", AccountID: "111122223333"},
	} {
		if got := identityOfARN(arn); got != want {
			t.Errorf("%q: %+v, want %+v", arn, got, want)
		}
	}
}

func TestReadSince(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{"": {}, "24h": now.Add(-24 * time.Hour), "2026-01-02T03:04:05Z": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} {
		if got, err := readSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"-1h", "yesterday"} {
		if _, err := readSince(text, now); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// TestAnswersHaveExitCodes: what the server refused ends a command as the same refusal of
// the store does (user-experience.md 2).
func TestAnswersHaveExitCodes(t *testing.T) {
	for status, want := range map[int]int{400: exitUsage, 401: exitRefused, 402: exitConflict, 403: exitRefused, 404: exitNotFound, 409: exitConflict, 500: exitFailed, 503: exitUnreachable} {
		if got := exitCode(t.Context(), fmt.Errorf("put: %w", &client.Error{Status: status})); got != want {
			t.Errorf("%d: exit code %d, want %d", status, got, want)
		}
	}
}
