package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
)

// The rows of codeartifact.md 5.3: CopyPackageVersions.
func TestSeed003CopyPackageVersions(t *testing.T) {
	t.Parallel()
	f := startSeedServer(t)
	input := func(from, to string, change func(*codeartifact.CopyPackageVersionsInput)) *codeartifact.CopyPackageVersionsInput {
		in := &codeartifact.CopyPackageVersionsInput{Domain: aws.String(seedDomain), SourceRepository: &from, DestinationRepository: &to,
			Format: types.PackageFormatNpm, Package: aws.String(seedPackage)}
		if change != nil {
			change(in)
		}
		return in
	}
	copyAs := func(t *testing.T, api *codeartifact.Client, in *codeartifact.CopyPackageVersionsInput) *codeartifact.CopyPackageVersionsOutput {
		t.Helper()
		out, err := api.CopyPackageVersions(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	versions := func(v ...string) func(*codeartifact.CopyPackageVersionsInput) {
		return func(in *codeartifact.CopyPackageVersionsInput) { in.Versions = v }
	}
	both := map[string]types.PackageVersionStatus{"4.0.0": types.PackageVersionStatusPublished, "5.0.0": types.PackageVersionStatusPublished}

	source := f.seeded(t)
	target := f.repo(t)
	t.Run("003-1 two versions are copied", func(t *testing.T) {
		out := copyAs(t, f.api, input(source, target, versions("4.0.0", "5.0.0")))
		wantSucceeded(t, out.SuccessfulVersions, both)
		if out.FailedVersions == nil || len(out.FailedVersions) != 0 {
			t.Errorf("failedVersions %v, want an empty map", out.FailedVersions)
		}
		want := f.versions(t, source, seedPackage, "")
		for v, got := range f.versions(t, target, seedPackage, "") {
			if aws.ToString(got.Revision) != aws.ToString(want[v].Revision) {
				t.Errorf("%s has revision %s, want the source's %s", v, aws.ToString(got.Revision), aws.ToString(want[v].Revision))
			}
		}
	})
	t.Run("003-2 copying again does nothing and says nothing", func(t *testing.T) {
		out := copyAs(t, f.api, input(source, target, versions("4.0.0", "5.0.0")))
		if out.SuccessfulVersions == nil || out.FailedVersions == nil || len(out.SuccessfulVersions)+len(out.FailedVersions) != 0 {
			t.Errorf("got %v and %v, want two empty maps", out.SuccessfulVersions, out.FailedVersions)
		}
	})
	t.Run("003-3 exactly one of versions and versionRevisions", func(t *testing.T) {
		revision := aws.ToString(f.versions(t, source, seedPackage, "")["4.0.0"].Revision)
		for name, change := range map[string]func(*codeartifact.CopyPackageVersionsInput){
			"neither": nil,
			"both": func(in *codeartifact.CopyPackageVersionsInput) {
				in.Versions, in.VersionRevisions = []string{"4.0.0"}, map[string]string{"4.0.0": revision}
			},
		} {
			_, err := f.api.CopyPackageVersions(t.Context(), input(source, target, change))
			if e := wantError[*types.ValidationException](t, err); e.Message == nil {
				t.Errorf("%s: no message", name)
			}
		}
	})
	t.Run("003-4 a revision that is named must be the current one", func(t *testing.T) {
		to := f.repo(t)
		revision := aws.ToString(f.versions(t, source, seedPackage, "")["4.0.0"].Revision)
		wrong := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
		out := copyAs(t, f.api, input(source, to, func(in *codeartifact.CopyPackageVersionsInput) {
			in.VersionRevisions = map[string]string{"4.0.0": wrong, "5.0.0": aws.ToString(f.versions(t, source, seedPackage, "")["5.0.0"].Revision)}
		}))
		if out.FailedVersions["4.0.0"].ErrorCode != types.PackageVersionErrorCodeMismatchedRevision || len(out.SuccessfulVersions) != 0 ||
			out.FailedVersions["5.0.0"].ErrorCode != types.PackageVersionErrorCodeSkipped {
			t.Errorf("got %v, failed %v", out.SuccessfulVersions, out.FailedVersions)
		}
		if f.has(t, to, seedPackage, "4.0.0") || f.has(t, to, seedPackage, "5.0.0") {
			t.Error("something was copied")
		}
		out = copyAs(t, f.api, input(source, to, func(in *codeartifact.CopyPackageVersionsInput) {
			in.VersionRevisions = map[string]string{"4.0.0": revision}
		}))
		wantSucceeded(t, out.SuccessfulVersions, map[string]types.PackageVersionStatus{"4.0.0": types.PackageVersionStatusPublished})
	})
	t.Run("003-5 and 003-6 other content is kept unless it may be overwritten", func(t *testing.T) {
		to := f.repo(t)
		other := npmPackage{Name: seedPackage, Version: "4.0.0", Files: map[string]string{"other.txt": "other"}}
		if status, body := f.put(t, to, other); status != http.StatusCreated {
			t.Fatalf("%d %s", status, body)
		}
		for _, allow := range []*bool{nil, aws.Bool(false)} {
			out := copyAs(t, f.api, input(source, to, func(in *codeartifact.CopyPackageVersionsInput) {
				in.Versions, in.AllowOverwrite = []string{"4.0.0", "5.0.0"}, allow
			}))
			wantSucceeded(t, out.SuccessfulVersions, nil)
			wantFailed(t, out.FailedVersions, map[string]string{
				"4.0.0": "ALREADY_EXISTS Version 4.0.0 already exists", "5.0.0": "SKIPPED Version 5.0.0 was skipped"})
		}
		if _, got := f.tarball(t, to, seedPackage, "4.0.0"); !bytes.Equal(got, other.tarball(t)) {
			t.Error("4.0.0 was changed")
		}
		out := copyAs(t, f.api, input(source, to, func(in *codeartifact.CopyPackageVersionsInput) {
			in.Versions, in.AllowOverwrite = []string{"4.0.0", "5.0.0"}, aws.Bool(true)
		}))
		wantSucceeded(t, out.SuccessfulVersions, both)
		_, want := f.tarball(t, source, seedPackage, "4.0.0")
		if _, got := f.tarball(t, to, seedPackage, "4.0.0"); !bytes.Equal(got, want) {
			t.Error("4.0.0 has not the source's content")
		}
	})
	t.Run("003-6 assets that the source lacks are gone after overwriting", func(t *testing.T) {
		from, to := f.repo(t), f.repo(t)
		for repo, names := range map[string][]string{from: {"a.bin"}, to: {"a.bin", "b.bin"}} {
			for i, name := range names {
				if _, err := f.asset(t.Context(), repo, "tool", "1", name, []byte(repo), i < len(names)-1); err != nil {
					t.Fatal(err)
				}
			}
		}
		out := copyAs(t, f.api, input(from, to, func(in *codeartifact.CopyPackageVersionsInput) {
			in.Format, in.Namespace, in.Package = types.PackageFormatGeneric, aws.String("my-ns"), aws.String("tool")
			in.Versions, in.AllowOverwrite = []string{"1"}, aws.Bool(true)
		}))
		if len(out.SuccessfulVersions) != 1 {
			t.Fatalf("failed %v", out.FailedVersions)
		}
		if got := f.assetNames(t, to, "tool", "1"); !slices.Equal(got, []string{"a.bin"}) {
			t.Errorf("assets %v, want a.bin alone", got)
		}
	})
	t.Run("003-7 upstreams are searched only when asked for", func(t *testing.T) {
		upstream := f.seeded(t)
		from, to := f.repo(t, upstream), f.repo(t)
		f.publish(t, from, "unrelated", "1.0.0")
		out, err := f.api.CopyPackageVersions(t.Context(), input(from, to, versions("4.0.0")))
		if err != nil {
			// The source has no record of the package at all.
			wantError[*types.ResourceNotFoundException](t, err)
		} else {
			wantFailed(t, out.FailedVersions, map[string]string{"4.0.0": "NOT_FOUND Could not find version 4.0.0"})
		}
		out = copyAs(t, f.api, input(from, to, func(in *codeartifact.CopyPackageVersionsInput) {
			in.Versions, in.IncludeFromUpstream = []string{"4.0.0"}, aws.Bool(true)
		}))
		wantSucceeded(t, out.SuccessfulVersions, map[string]types.PackageVersionStatus{"4.0.0": types.PackageVersionStatusPublished})
		if f.has(t, from, seedPackage, "4.0.0") || !f.has(t, to, seedPackage, "4.0.0") {
			t.Error("the version must be in the destination and not in the source")
		}
	})
	t.Run("003-7 a version that the known package lacks is told by name", func(t *testing.T) {
		upstream := f.repo(t)
		f.publish(t, upstream, seedPackage, "5.6.7")
		from, to := f.repo(t, upstream), f.repo(t)
		f.publish(t, from, seedPackage, "4.0.0")
		out := copyAs(t, f.api, input(from, to, versions("5.6.7")))
		wantFailed(t, out.FailedVersions, map[string]string{"5.6.7": "NOT_FOUND Could not find version 5.6.7"})
		wantSucceeded(t, out.SuccessfulVersions, nil)
	})
	t.Run("003-8 a format that needs a namespace is refused without one", func(t *testing.T) {
		for _, format := range []types.PackageFormat{types.PackageFormatMaven, types.PackageFormatGeneric} {
			_, err := f.api.CopyPackageVersions(t.Context(), input(source, target, func(in *codeartifact.CopyPackageVersionsInput) {
				in.Format, in.Versions = format, []string{"1"}
			}))
			wantError[*types.ValidationException](t, err)
		}
	})
	t.Run("003-10 a format without namespaces is refused with one", func(t *testing.T) {
		for _, format := range []types.PackageFormat{types.PackageFormatPypi, types.PackageFormatNuget} {
			_, err := f.api.CopyPackageVersions(t.Context(), input(source, target, func(in *codeartifact.CopyPackageVersionsInput) {
				in.Format, in.Namespace, in.Versions = format, aws.String("ns"), []string{"1"}
			}))
			wantError[*types.ValidationException](t, err)
		}
	})
	t.Run("003-9 a scope is the namespace, with or without its sign", func(t *testing.T) {
		f.publish(t, source, "@types/react", "1.0.0", "2.0.0")
		for namespace, version := range map[string]string{"types": "1.0.0", "@types": "2.0.0"} {
			out := copyAs(t, f.api, input(source, target, func(in *codeartifact.CopyPackageVersionsInput) {
				in.Namespace, in.Package, in.Versions = aws.String(namespace), aws.String("react"), []string{version}
			}))
			wantSucceeded(t, out.SuccessfulVersions, map[string]types.PackageVersionStatus{version: types.PackageVersionStatusPublished})
		}
	})
	t.Run("003-11 a generic version is copied with all assets", func(t *testing.T) {
		from, to := f.repo(t), f.repo(t)
		names := []string{"a.bin", "b.bin", "c.bin"}
		for i, name := range names {
			if _, err := f.asset(t.Context(), from, "tool", "1", name, []byte(name), i < len(names)-1); err != nil {
				t.Fatal(err)
			}
		}
		out := copyAs(t, f.api, input(from, to, func(in *codeartifact.CopyPackageVersionsInput) {
			in.Format, in.Namespace, in.Package, in.Versions = types.PackageFormatGeneric, aws.String("my-ns"), aws.String("tool"), []string{"1"}
		}))
		if out.SuccessfulVersions["1"].Status != types.PackageVersionStatusPublished {
			t.Fatalf("got %v, failed %v", out.SuccessfulVersions, out.FailedVersions)
		}
		if got := f.assetNames(t, to, "tool", "1"); !slices.Equal(got, names) {
			t.Errorf("assets %v, want %v", got, names)
		}
	})
	t.Run("003-12 a tag follows the version it points at", func(t *testing.T) {
		from, to := f.repo(t), f.repo(t)
		f.publish(t, to, seedPackage, "1.0.0")
		f.publish(t, from, seedPackage, "4.0.0")
		copyAs(t, f.api, input(from, to, versions("4.0.0")))
		_, body := do(t, http.MethodGet, f.url(to, "-/package/"+seedPackage+"/dist-tags"), f.token, nil)
		if got := decode[map[string]string](t, body)["latest"]; got != "4.0.0" {
			t.Errorf("latest is %q, want 4.0.0", got)
		}
	})
	t.Run("003-13 a wrong owner finds nothing", func(t *testing.T) {
		_, err := f.api.CopyPackageVersions(t.Context(), input(source, target, func(in *codeartifact.CopyPackageVersionsInput) {
			in.Versions, in.DomainOwner = []string{"4.0.0"}, aws.String("999999999999")
		}))
		var nf *types.ResourceNotFoundException
		if !errors.As(err, &nf) {
			wantError[*types.AccessDeniedException](t, err)
		}
	})
	t.Run("003-14 reading the source and copying to the destination are both needed", func(t *testing.T) {
		to := f.repo(t)
		const allow = `{"Effect":"Allow","Action":"codeartifact:*","Resource":"*"}`
		deny := func(action, repo string) string {
			return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[%s,{"Effect":"Deny","Action":"codeartifact:%s","Resource":["arn:aws:codeartifact:%s:%s:repository/%s/%s","arn:aws:codeartifact:%s:%s:package/%s/%s/*"]}]}`,
				allow, action, seedRegion, seedAccount, seedDomain, repo, seedRegion, seedAccount, seedDomain, repo)
		}
		for name, policy := range map[string]string{
			"cannot-read": deny("ReadFromRepository", source), "cannot-copy": deny("CopyPackageVersions", to),
		} {
			_, err := f.user(t, name, policy).CopyPackageVersions(t.Context(), input(source, to, versions("4.0.0")))
			if wantError[*types.AccessDeniedException](t, err); f.has(t, to, seedPackage, "4.0.0") {
				t.Errorf("%s: 4.0.0 was copied", name)
			}
		}
		may := f.user(t, "may-both", deny("ReadFromRepository", to))
		wantSucceeded(t, copyAs(t, may, input(source, to, versions("4.0.0"))).SuccessfulVersions,
			map[string]types.PackageVersionStatus{"4.0.0": types.PackageVersionStatusPublished})
	})
	t.Run("003-15 the seed's literal request, unsigned and signed", func(t *testing.T) {
		f.raw(t, "POST", "/v1/package/versions/copy", "", false).wantAPIError(t, http.StatusForbidden, "MissingAuthenticationTokenException", "")
		f.raw(t, "POST", "/v1/package/versions/copy", "", true).wantAPIError(t, http.StatusBadRequest, "ValidationException", "FIELD_VALIDATION_FAILED")
	})
	t.Run("003-16 answers have the service's shape", func(t *testing.T) {
		to := f.repo(t)
		path := fmt.Sprintf("/v1/package/versions/copy?domain=%s&source-repository=%s&destination-repository=%s&format=npm&package=%s", seedDomain, source, to, seedPackage)
		ok := f.raw(t, "POST", path, `{"versions":["4.0.0"]}`, true)
		var members map[string]json.RawMessage
		if err := json.Unmarshal(ok.body, &members); err != nil || ok.status != http.StatusOK || ok.header.Get("Content-Type") != "application/json" {
			t.Fatalf("%d %v %s: %v", ok.status, ok.header, ok.body, err)
		}
		if len(members) != 2 || string(members["failedVersions"]) != "{}" || members["successfulVersions"] == nil {
			t.Errorf("members %s, want the two maps", ok.body)
		}
		f.raw(t, "POST", path, `{}`, true).wantAPIError(t, http.StatusBadRequest, "ValidationException", "FIELD_VALIDATION_FAILED")
		f.raw(t, "POST", path, `{"versions":`, true).wantAPIError(t, http.StatusBadRequest, "ValidationException", "CANNOT_PARSE")
	})
	t.Run("003-17 what may not be copied fails with one of the six codes", func(t *testing.T) {
		from, to := f.repo(t), f.repo(t)
		f.publish(t, from, seedPackage, "1.0.0", "2.0.0", "3.0.0", "4.0.0")
		if _, err := f.api.DisposePackageVersions(t.Context(), &codeartifact.DisposePackageVersionsInput{Domain: aws.String(seedDomain),
			Repository: &from, Format: types.PackageFormatNpm, Package: aws.String(seedPackage), Versions: []string{"1.0.0"}}); err != nil {
			t.Fatal(err)
		}
		f.setStatus(t, from, seedPackage, types.PackageVersionStatusArchived, "2.0.0")
		f.setStatus(t, from, seedPackage, types.PackageVersionStatusUnlisted, "3.0.0")
		out := copyAs(t, f.api, input(from, to, versions("1.0.0", "2.0.0", "9.0.0")))
		for v, want := range map[string]types.PackageVersionErrorCode{"1.0.0": "NOT_ALLOWED", "2.0.0": "SKIPPED", "9.0.0": "NOT_FOUND"} {
			if got := out.FailedVersions[v].ErrorCode; got != want {
				t.Errorf("%s: %s, want %s", v, got, want)
			}
		}
		out = copyAs(t, f.api, input(from, to, versions("2.0.0", "3.0.0", "4.0.0")))
		wantSucceeded(t, out.SuccessfulVersions, map[string]types.PackageVersionStatus{"2.0.0": "Archived", "3.0.0": "Unlisted", "4.0.0": "Published"})
		for v, got := range f.versions(t, to, seedPackage, "") {
			if want := out.SuccessfulVersions[v].Status; got.Status != want {
				t.Errorf("%s is %s in the destination, want %s", v, got.Status, want)
			}
		}
	})
	t.Run("3.5 source and destination differ", func(t *testing.T) {
		_, err := f.api.CopyPackageVersions(t.Context(), input(source, source, versions("4.0.0")))
		wantError[*types.ValidationException](t, err)
	})
}
