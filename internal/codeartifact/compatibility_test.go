package codeartifact

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/api-compatibility.md and README.md's table of operations")

// notes are what somebody who knows the service should know about an operation.
var notes = map[string]string{
	"AssociateExternalConnection":       "One connection per repository.",
	"CreateDomain":                      "An encryption key that is named must be the server's own.",
	"DeleteRepositoryPermissionsPolicy": "The path ends in policies, as the service's does.",
	"DeletePackageGroup":                "The pattern may be any text: what matches no group is not found.",
	"GetAssociatedPackageGroup":         "The association of a package, as things stand.",
	"GetAuthorizationToken":             "900 to 43200 seconds, or 0; not what a change counts as, so it may be repeated.",
	"GetRepositoryEndpoint":             "Formats without a room of their own yet have an address all the same.",
	"ListAllowedRepositoriesForGroup":   "A query with GET, unlike other lists.",
	"ListAssociatedPackages":            "A query with GET, unlike other lists.",
	"ListDomains":                       "Paging is in the body, unlike every other list.",
	"ListPackageVersionDependencies":    "Pages of 1,000; the size cannot be chosen.",
	"PublishPackageVersion":             "Generic packages only, at most 5 GiB a file.",
	"PutDomainPermissionsPolicy":        "The domain is in the body, unlike everywhere else.",
	"UpdatePackageVersionsStatus":       "To Published, Unlisted or Archived.",
}

// TestCompatibilityDocument: docs/api-compatibility.md and README.md are what the table says. After a
// change of the table run go test ./internal/codeartifact -run Compatibility -update.
func TestCompatibilityDocument(t *testing.T) {
	list, _ := readModel(t)
	done := 0
	var table strings.Builder
	families := make(map[string][]string)
	for _, o := range list {
		state := "not yet"
		if findRow(o.name) != nil {
			state = "works"
			done++
		}
		key := family(o.name) + "|" + state
		families[key] = append(families[key], o.name)
		codes := slices.Clone(o.errors)
		slices.Sort(codes)
		for i := range codes {
			codes[i] = strings.TrimSuffix(codes[i], "Exception")
		}
		fmt.Fprintf(&table, "| %s | %s | `%s %s` | %s | %s |\n", o.name, state, o.method, o.path, strings.Join(codes, ", "), notes[o.name])
	}
	for name := range notes {
		if texts[name] == "" {
			t.Errorf("a note about %s, which is no operation", name)
		}
	}
	want := fmt.Sprintf(`# Operations of the CodeArtifact API

%d of the %d operations of the public service model work. The server itself serves the API as an OpenAPI 3.1 document at /openapi.json, with every member, bound, error and an example. This page is made from the table of operations; a test fails when it is out of date.

Errors are those of the model, each a code that ends in Exception. Beside them every operation answers 403 (400 for one that is incomplete) to a signature that is not good, 429 to one that was used before, and 503 while the server takes nothing in.

| Operation | State | Request | Errors | To know |
|---|---|---|---|---|
%s`, done, len(list), table.String())
	keep(t, "../../docs/api-compatibility.md", want)

	var rows strings.Builder
	for _, key := range slices.Sorted(maps.Keys(families)) {
		of, state, _ := strings.Cut(key, "|")
		fmt.Fprintf(&rows, "| %s | %s | %s |\n", of, strings.Join(families[key], ", "), state)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(readme), "<!-- operations: written by make gen -->\n")
	_, after, closed := strings.Cut(rest, "<!-- end of operations -->\n")
	if !ok || !closed {
		t.Fatal("README.md has no marked table of operations")
	}
	keep(t, "../../README.md", before+"<!-- operations: written by make gen -->\n| Operations about | | State |\n|---|---|---|\n"+
		rows.String()+"<!-- end of operations -->\n"+after)
}

// keep compares the file with what it should be, or makes it so with -update.
func keep(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is out of date; run go test ./internal/codeartifact -run Compatibility -update", path)
	}
}
