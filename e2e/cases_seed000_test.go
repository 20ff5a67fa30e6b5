package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
)

// The rows of codeartifact.md 5.1: DeletePackageVersions.
func TestSeed000DeletePackageVersions(t *testing.T) {
	t.Parallel()
	f := startSeedServer(t)
	remove := func(t *testing.T, repo string, versions []string, change func(*codeartifact.DeletePackageVersionsInput)) (*codeartifact.DeletePackageVersionsOutput, error) {
		in := &codeartifact.DeletePackageVersionsInput{Domain: aws.String(seedDomain), Repository: &repo,
			Format: types.PackageFormatNpm, Package: aws.String(seedPackage), Versions: versions}
		if change != nil {
			change(in)
		}
		return f.api.DeletePackageVersions(t.Context(), in)
	}

	repo := f.seeded(t)
	t.Run("000-1 a version is deleted and its last revision answered", func(t *testing.T) {
		before := aws.ToString(f.versions(t, repo, seedPackage, "")["4.0.0"].Revision)
		if raw, err := base64.StdEncoding.DecodeString(before); err != nil || len(raw) != 32 {
			t.Errorf("revision %q is not 32 bytes of base64: %v", before, err)
		}
		out, err := remove(t, repo, []string{"4.0.0"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		wantSucceeded(t, out.SuccessfulVersions, map[string]types.PackageVersionStatus{"4.0.0": types.PackageVersionStatusDeleted})
		if got := aws.ToString(out.SuccessfulVersions["4.0.0"].Revision); got != before {
			t.Errorf("revision %q, want %q as listed before", got, before)
		}
		if out.FailedVersions == nil || len(out.FailedVersions) != 0 {
			t.Errorf("failedVersions %v, want an empty map", out.FailedVersions)
		}
	})
	t.Run("000-2 the version is gone under every status and the other remains", func(t *testing.T) {
		for _, status := range append([]types.PackageVersionStatus{""}, types.PackageVersionStatusPublished.Values()...) {
			got := f.versions(t, repo, seedPackage, status)
			if _, found := got["4.0.0"]; found {
				t.Errorf("4.0.0 is listed with status filter %q", status)
			}
			if _, found := got["5.0.0"]; found != (status == "" || status == types.PackageVersionStatusPublished) {
				t.Errorf("5.0.0 listed with status filter %q: %v", status, found)
			}
		}
		f.restrictions(t, repo, seedPackage) // fails unless DescribePackage answers
	})
	t.Run("000-5 deleting cannot be undone", func(t *testing.T) {
		out, err := f.api.UpdatePackageVersionsStatus(t.Context(), &codeartifact.UpdatePackageVersionsStatusInput{
			Domain: aws.String(seedDomain), Repository: &repo, Format: types.PackageFormatNpm, Package: aws.String(seedPackage),
			Versions: []string{"4.0.0"}, TargetStatus: types.PackageVersionStatusPublished})
		if err != nil {
			t.Fatal(err)
		}
		if out.FailedVersions["4.0.0"].ErrorCode != types.PackageVersionErrorCodeNotFound || len(out.SuccessfulVersions) != 0 {
			t.Errorf("got %v, failed %v, want NOT_FOUND", out.SuccessfulVersions, out.FailedVersions)
		}
	})
	t.Run("000-3 the deleted version may be published again with other content", func(t *testing.T) {
		p := npmPackage{Name: seedPackage, Version: "4.0.0", Files: map[string]string{"other.txt": "other content"}}
		if status, body := f.put(t, repo, p); status != http.StatusCreated {
			t.Fatalf("publish: %d %s", status, body)
		}
		if status, got := f.tarball(t, repo, seedPackage, "4.0.0"); status != http.StatusOK || !bytes.Equal(got, p.tarball(t)) {
			t.Errorf("the new archive answers %d with %d bytes", status, len(got))
		}
	})
	t.Run("000-4 archiving is the alternative that can be undone", func(t *testing.T) {
		repo := f.seeded(t)
		_, before := f.tarball(t, repo, seedPackage, "4.0.0")
		f.setStatus(t, repo, seedPackage, types.PackageVersionStatusArchived, "4.0.0")
		if status, _ := f.tarball(t, repo, seedPackage, "4.0.0"); status != http.StatusNotFound {
			t.Errorf("an archived version's tarball answers %d, want 404", status)
		}
		f.setStatus(t, repo, seedPackage, types.PackageVersionStatusPublished, "4.0.0")
		if status, after := f.tarball(t, repo, seedPackage, "4.0.0"); status != http.StatusOK || !bytes.Equal(before, after) {
			t.Errorf("restored: %d, same bytes %v", status, bytes.Equal(before, after))
		}
	})
	t.Run("000-6 an expected status that does not hold deletes nothing", func(t *testing.T) {
		repo := f.seeded(t)
		out, err := remove(t, repo, []string{"4.0.0"}, func(in *codeartifact.DeletePackageVersionsInput) {
			in.ExpectedStatus = types.PackageVersionStatusUnlisted
		})
		if err != nil {
			t.Fatal(err)
		}
		wantSucceeded(t, out.SuccessfulVersions, nil)
		wantFailed(t, out.FailedVersions, map[string]string{"4.0.0": "MISMATCHED_STATUS current status: Published, expected status: Unlisted"})
		if !f.has(t, repo, seedPackage, "4.0.0") {
			t.Error("4.0.0 was deleted")
		}
	})
	t.Run("000-7 six expected statuses are values and no other", func(t *testing.T) {
		repo := f.seeded(t)
		for _, status := range []types.PackageVersionStatus{"Unfinished", "Unlisted", "Archived", "Disposed", "Deleted", "Published"} {
			out, err := remove(t, repo, []string{"4.0.0"}, func(in *codeartifact.DeletePackageVersionsInput) { in.ExpectedStatus = status })
			if err != nil {
				t.Errorf("%s: %v", status, err)
			} else if deleted := len(out.SuccessfulVersions) == 1; deleted != (status == "Published") {
				t.Errorf("%s: %v, failed %v", status, out.SuccessfulVersions, out.FailedVersions)
			}
		}
		for _, status := range []types.PackageVersionStatus{"published", "Yanked", "Published "} {
			_, err := remove(t, repo, []string{"5.0.0"}, func(in *codeartifact.DeletePackageVersionsInput) { in.ExpectedStatus = status })
			if e := wantError[*types.ValidationException](t, err); e.Reason != types.ValidationExceptionReasonFieldValidationFailed {
				t.Errorf("%q: reason %s", status, e.Reason)
			}
		}
	})
	t.Run("000-8 one unknown version spares the others", func(t *testing.T) {
		repo := f.seeded(t)
		out, err := remove(t, repo, []string{"4.0.0", "9.9.9"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		wantSucceeded(t, out.SuccessfulVersions, nil)
		if got := out.FailedVersions["9.9.9"].ErrorCode; got != types.PackageVersionErrorCodeNotFound {
			t.Errorf("9.9.9: %s", got)
		}
		if got := out.FailedVersions["4.0.0"]; got.ErrorCode != types.PackageVersionErrorCodeSkipped || aws.ToString(got.ErrorMessage) != "version 4.0.0 is skipped" {
			t.Errorf("4.0.0: %s %q", got.ErrorCode, aws.ToString(got.ErrorMessage))
		}
		if len(out.FailedVersions) != 2 || !f.has(t, repo, seedPackage, "4.0.0") {
			t.Errorf("failed %v; 4.0.0 must still be there", out.FailedVersions)
		}
	})
	t.Run("000-9 every format of the service is a value and foo is not", func(t *testing.T) {
		for _, format := range types.PackageFormatNpm.Values() {
			_, err := remove(t, repo, []string{"1.0.0"}, func(in *codeartifact.DeletePackageVersionsInput) {
				in.Format, in.Package = format, aws.String("nothing")
				switch format {
				case types.PackageFormatMaven, types.PackageFormatSwift, types.PackageFormatGeneric:
					in.Namespace = aws.String("ns")
				}
			})
			if e := wantError[*types.ResourceNotFoundException](t, err); e.ResourceType != types.ResourceTypePackage {
				t.Errorf("%s: %v", format, err)
			}
		}
		f.raw(t, "POST", "/v1/package/versions/delete?domain=test-domain&repository="+repo+"&format=foo&package=test-package", `{"versions":["4.0.0"]}`, true).
			wantAPIError(t, http.StatusBadRequest, "ValidationException", "FIELD_VALIDATION_FAILED")
	})
	t.Run("000-10 formats say whether there is a namespace", func(t *testing.T) {
		f.publish(t, repo, "@scope/x", "1.0.0")
		for format, namespace := range map[types.PackageFormat]*string{
			types.PackageFormatMaven: nil, types.PackageFormatSwift: nil, types.PackageFormatGeneric: nil,
			types.PackageFormatPypi: aws.String("ns"), types.PackageFormatNuget: aws.String("ns"), types.PackageFormatRuby: aws.String("ns"), types.PackageFormatCargo: aws.String("ns"),
		} {
			_, err := remove(t, repo, []string{"1.0.0"}, func(in *codeartifact.DeletePackageVersionsInput) {
				in.Format, in.Namespace, in.Package = format, namespace, aws.String("x")
			})
			wantError[*types.ValidationException](t, err)
		}
		out, err := remove(t, repo, []string{"1.0.0"}, func(in *codeartifact.DeletePackageVersionsInput) {
			in.Namespace, in.Package = aws.String("scope"), aws.String("x")
		})
		if err != nil {
			t.Fatal(err)
		}
		wantSucceeded(t, out.SuccessfulVersions, map[string]types.PackageVersionStatus{"1.0.0": types.PackageVersionStatusDeleted})
	})
	t.Run("000-11 an unknown repository and an unknown package say which", func(t *testing.T) {
		_, err := remove(t, "nowhere", []string{"4.0.0"}, nil)
		wantNotFound(t, err, types.ResourceTypeRepository, "nowhere")
		_, err = remove(t, repo, []string{"4.0.0"}, func(in *codeartifact.DeletePackageVersionsInput) { in.Package = aws.String("nothing") })
		if e := wantError[*types.ResourceNotFoundException](t, err); e.ResourceType != types.ResourceTypePackage || !strings.Contains(aws.ToString(e.ResourceId), "nothing") {
			t.Errorf("got %s %q", e.ResourceType, aws.ToString(e.ResourceId))
		}
	})
	t.Run("000-12 the domain's owner may be named and must be an account", func(t *testing.T) {
		repo := f.seeded(t)
		out, err := remove(t, repo, []string{"4.0.0"}, func(in *codeartifact.DeletePackageVersionsInput) { in.DomainOwner = aws.String(seedAccount) })
		if err != nil {
			t.Fatal(err)
		}
		wantSucceeded(t, out.SuccessfulVersions, map[string]types.PackageVersionStatus{"4.0.0": types.PackageVersionStatusDeleted})
		f.raw(t, "POST", "/v1/package/versions/delete?domain=test-domain&domain-owner=12345&repository="+repo+"&format=npm&package=test-package", `{"versions":["5.0.0"]}`, true).
			wantAPIError(t, http.StatusBadRequest, "ValidationException", "FIELD_VALIDATION_FAILED")
	})
	t.Run("000-13 a hundred versions and no more, and not none", func(t *testing.T) {
		list := make([]string, 101)
		for i := range list {
			list[i] = fmt.Sprintf("1.0.%d", i)
		}
		_, err := remove(t, repo, list, nil)
		wantError[*types.ValidationException](t, err)
		out, err := remove(t, repo, list[:100], nil)
		if err != nil || len(out.FailedVersions) != 100 {
			t.Errorf("a hundred: %v", err)
		}
		_, err = remove(t, repo, []string{}, nil)
		wantError[*types.ValidationException](t, err)
	})
	t.Run("000-13 a version named twice counts once", func(t *testing.T) {
		repo := f.seeded(t)
		out, err := remove(t, repo, []string{"4.0.0", "4.0.0"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		wantSucceeded(t, out.SuccessfulVersions, map[string]types.PackageVersionStatus{"4.0.0": types.PackageVersionStatusDeleted})
	})
	t.Run("000-14 failures carry one of the six codes", func(t *testing.T) {
		repo := f.seeded(t)
		f.setStatus(t, repo, seedPackage, types.PackageVersionStatusArchived, "5.0.0")
		out, err := remove(t, repo, []string{"4.0.0", "5.0.0", "6.0.0"}, func(in *codeartifact.DeletePackageVersionsInput) {
			in.ExpectedStatus = types.PackageVersionStatusPublished
		})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]types.PackageVersionErrorCode{"4.0.0": "SKIPPED", "5.0.0": "MISMATCHED_STATUS", "6.0.0": "NOT_FOUND"}
		for v, code := range want {
			if got := out.FailedVersions[v].ErrorCode; got != code {
				t.Errorf("%s: %s, want %s", v, got, code)
			}
		}
		if len(out.FailedVersions) != len(want) {
			t.Errorf("failed %v", out.FailedVersions)
		}
	})
}
