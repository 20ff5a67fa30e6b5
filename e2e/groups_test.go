package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/aws/smithy-go"
)

// describeGroup returns a package group.
func (f *seedServer) describeGroup(t *testing.T, pattern string) *types.PackageGroupDescription {
	t.Helper()
	out, err := f.api.DescribePackageGroup(t.Context(), &codeartifact.DescribePackageGroupInput{Domain: aws.String(seedDomain), PackageGroup: &pattern})
	if err != nil {
		t.Fatal(err)
	}
	return out.PackageGroup
}

// publishing says what a package group does about PUBLISH: its parent, its mode, the mode
// that counts, the group that this is inherited from, and how many repositories it allows.
func (f *seedServer) publishing(t *testing.T, pattern string) string {
	t.Helper()
	g := f.describeGroup(t, pattern)
	text := func(r *types.PackageGroupReference) string {
		if r == nil {
			return "-"
		}
		return aws.ToString(r.Pattern)
	}
	r := g.OriginConfiguration.Restrictions["PUBLISH"]
	return fmt.Sprint(text(g.Parent), " ", r.Mode, " ", r.EffectiveMode, " ", text(r.InheritedFrom), " ", aws.ToInt64(r.RepositoriesCount))
}

// Package groups are made, nested, moved between and deleted, and npm itself is told each
// time what counts now (codeartifact.md 3.7).
func TestPackageGroupsMoveWhatCounts(t *testing.T) {
	t.Parallel()
	f := startSeedServer(t)
	ctx := t.Context()
	first, second := f.repo(t), f.repo(t)
	npm := tool(t, "npm")
	version := 0
	publish := func(repo string) error {
		t.Helper()
		version++
		dir := project(t, map[string]any{"name": "@acme/web-app", "version": strings.Repeat("1", version) + ".0.0", "license": "MIT"}, nil)
		out, err := npm.run(t, toolHome(t, f.url(repo, ""), f.token), dir, "publish")
		if err != nil && !strings.Contains(out, "E403") {
			t.Fatalf("npm publish: %v\n%s", err, out)
		}
		return err
	}
	want := func(when string, group string, allowed ...string) {
		t.Helper()
		if got := f.publishing(t, "/npm/acme/web~"); got != group {
			t.Errorf("%s the group is %q, want %q", when, got, group)
		}
		for _, repo := range []string{first, second} {
			if err := publish(repo); (err == nil) != slices.Contains(allowed, repo) {
				t.Errorf("%s npm publishes to %s: %v", when, repo, err)
			}
		}
	}
	update := func(in codeartifact.UpdatePackageGroupOriginConfigurationInput, pattern string) *codeartifact.UpdatePackageGroupOriginConfigurationOutput {
		t.Helper()
		in.Domain, in.PackageGroup = aws.String(seedDomain), &pattern
		out, err := f.api.UpdatePackageGroupOriginConfiguration(ctx, &in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	const inherit, allow, specific = "INHERIT", "ALLOW", "ALLOW_SPECIFIC_REPOSITORIES"

	if err := publish(first); err != nil { // the package is there before its group
		t.Fatal(err)
	}
	preview := &codeartifact.ListAssociatedPackagesInput{Domain: aws.String(seedDomain), PackageGroup: aws.String("/npm/acme/web~"), Preview: aws.Bool(true)}
	before, err := f.api.ListAssociatedPackages(ctx, preview)
	if err != nil || len(before.Packages) != 1 || aws.ToString(before.Packages[0].Package) != "web-app" || before.Packages[0].AssociationType != types.PackageGroupAssociationTypeStrong {
		t.Fatalf("what the group is to take: %v %+v", err, before)
	}
	f.group(t, "/npm/acme/web~")
	after, err := f.api.ListAssociatedPackages(ctx, &codeartifact.ListAssociatedPackagesInput{Domain: aws.String(seedDomain), PackageGroup: preview.PackageGroup})
	if err != nil || len(after.Packages) != 1 || *after.Packages[0].Package != *before.Packages[0].Package {
		t.Errorf("what the group has taken: %v %+v", err, after)
	}
	want("alone", "/* INHERIT ALLOW /* 0", first, second)

	f.group(t, "/npm/acme/*", "PUBLISH=BLOCK") // comes between
	want("below one that blocks", "/npm/acme/* INHERIT BLOCK /npm/acme/* 0")
	update(codeartifact.UpdatePackageGroupOriginConfigurationInput{
		Restrictions: map[string]types.PackageGroupOriginRestrictionMode{"PUBLISH": specific},
		AddAllowedRepositories: []types.PackageGroupAllowedRepository{{RepositoryName: &first, OriginRestrictionType: types.PackageGroupOriginRestrictionTypePublish},
			{RepositoryName: &second, OriginRestrictionType: types.PackageGroupOriginRestrictionTypePublish}},
	}, "/npm/acme/*")
	out := update(codeartifact.UpdatePackageGroupOriginConfigurationInput{
		RemoveAllowedRepositories: []types.PackageGroupAllowedRepository{{RepositoryName: &second, OriginRestrictionType: types.PackageGroupOriginRestrictionTypePublish}},
	}, "/npm/acme/*")
	if removed := out.AllowedRepositoryUpdates["PUBLISH"]["REMOVED"]; !slices.Equal(removed, []string{second}) {
		t.Errorf("removed %q, want %s", removed, second)
	}
	want("below one that allows one repository", "/npm/acme/* INHERIT ALLOW_SPECIFIC_REPOSITORIES /npm/acme/* 1", first)
	list, err := f.api.ListAllowedRepositoriesForGroup(ctx, &codeartifact.ListAllowedRepositoriesForGroupInput{Domain: aws.String(seedDomain),
		PackageGroup: aws.String("/npm/acme/web~"), OriginRestrictionType: types.PackageGroupOriginRestrictionTypePublish})
	if err != nil || !slices.Equal(list.AllowedRepositories, []string{first}) {
		t.Errorf("allowed for the child: %v %v", list, err)
	}

	f.group(t, "/npm/*", "PUBLISH=BLOCK") // above both: it moves nobody
	want("with one more above", "/npm/acme/* INHERIT ALLOW_SPECIFIC_REPOSITORIES /npm/acme/* 1", first)
	sub, err := f.api.ListSubPackageGroups(ctx, &codeartifact.ListSubPackageGroupsInput{Domain: aws.String(seedDomain), PackageGroup: aws.String("/npm/*")})
	if err != nil || len(sub.PackageGroups) != 1 || aws.ToString(sub.PackageGroups[0].Pattern) != "/npm/acme/*" {
		t.Errorf("children of /npm/*: %+v, %v", sub, err)
	}
	update(codeartifact.UpdatePackageGroupOriginConfigurationInput{Restrictions: map[string]types.PackageGroupOriginRestrictionMode{"PUBLISH": allow}}, "/npm/acme/web~")
	want("that allows by itself", "/npm/acme/* ALLOW ALLOW - 0", first, second)
	update(codeartifact.UpdatePackageGroupOriginConfigurationInput{Restrictions: map[string]types.PackageGroupOriginRestrictionMode{"PUBLISH": inherit}}, "/npm/acme/web~")
	gone, err := f.api.DeletePackageGroup(ctx, &codeartifact.DeletePackageGroupInput{Domain: aws.String(seedDomain), PackageGroup: aws.String("/npm/acme/*")})
	if err != nil || aws.ToString(gone.PackageGroup.Pattern) != "/npm/acme/*" {
		t.Fatalf("delete: %+v, %v", gone, err)
	}
	want("after the one between went", "/npm/* INHERIT BLOCK /npm/* 0")
}

// Every refusal of the package group operations, with its type and its reason
// (codeartifact.md 1.3, 3.7), and page tokens that are taken back by nobody else (1.2).
func TestPackageGroupRefusals(t *testing.T) {
	t.Parallel()
	f := startSeedServer(t)
	ctx := t.Context()
	domain, repo := aws.String(seedDomain), f.repo(t)
	f.group(t, "/npm/acme/*")
	create := func(pattern string) error {
		_, err := f.api.CreatePackageGroup(ctx, &codeartifact.CreatePackageGroupInput{Domain: domain, PackageGroup: &pattern})
		return err
	}
	update := func(pattern, mode string, add ...string) error {
		in := &codeartifact.UpdatePackageGroupOriginConfigurationInput{Domain: domain, PackageGroup: &pattern}
		if mode != "" {
			in.Restrictions = map[string]types.PackageGroupOriginRestrictionMode{"PUBLISH": types.PackageGroupOriginRestrictionMode(mode)}
		}
		for _, name := range add {
			in.AddAllowedRepositories = append(in.AddAllowedRepositories, types.PackageGroupAllowedRepository{RepositoryName: &name, OriginRestrictionType: "PUBLISH"})
		}
		_, err := f.api.UpdatePackageGroupOriginConfiguration(ctx, in)
		return err
	}
	remove := func(pattern string) error {
		_, err := f.api.DeletePackageGroup(ctx, &codeartifact.DeletePackageGroupInput{Domain: domain, PackageGroup: &pattern})
		return err
	}
	absent := aws.String("/npm/absent/*")
	_, describe := f.api.DescribePackageGroup(ctx, &codeartifact.DescribePackageGroupInput{Domain: domain, PackageGroup: absent})
	_, texts := f.api.UpdatePackageGroup(ctx, &codeartifact.UpdatePackageGroupInput{Domain: domain, PackageGroup: absent, Description: aws.String("x")})
	_, children := f.api.ListSubPackageGroups(ctx, &codeartifact.ListSubPackageGroupsInput{Domain: domain, PackageGroup: absent})
	_, allowed := f.api.ListAllowedRepositoriesForGroup(ctx, &codeartifact.ListAllowedRepositoriesForGroupInput{Domain: domain, PackageGroup: absent, OriginRestrictionType: "PUBLISH"})
	_, strangeType := f.api.ListAllowedRepositoriesForGroup(ctx, &codeartifact.ListAllowedRepositoriesForGroupInput{Domain: domain, PackageGroup: aws.String("/*"), OriginRestrictionType: "SIDEWAYS"})
	_, packages := f.api.ListAssociatedPackages(ctx, &codeartifact.ListAssociatedPackagesInput{Domain: domain, PackageGroup: absent})
	_, elsewhere := f.api.CreatePackageGroup(ctx, &codeartifact.CreatePackageGroupInput{Domain: aws.String("no-such-domain"), PackageGroup: absent})
	_, format := f.api.GetAssociatedPackageGroup(ctx, &codeartifact.GetAssociatedPackageGroupInput{Domain: domain, Format: "floppy", Package: aws.String("x")})
	const notFound, conflict, invalid = "ResourceNotFoundException", "ConflictException", "ValidationException"
	for _, tt := range []struct {
		name string
		err  error
		code string
	}{
		{"a group is described that does not exist", describe, notFound},
		{"texts of a group that does not exist", texts, notFound},
		{"children of a group that does not exist", children, notFound},
		{"repositories that a group allows that does not exist", allowed, notFound},
		{"packages of a group that does not exist, without preview", packages, notFound},
		{"origins of a group that does not exist", update("/npm/absent/*", "BLOCK"), notFound},
		{"a group is deleted that does not exist", remove("/npm/absent/*"), notFound},
		{"a domain that does not exist", elsewhere, notFound},
		{"a repository is allowed that does not exist", update("/npm/acme/*", "ALLOW_SPECIFIC_REPOSITORIES", "no-such-repo"), notFound},
		{"a group that exists", create("/npm/acme/*"), conflict},
		{"the root again", create("/*"), conflict},
		{"no slash at the beginning", create("npm/acme/*"), invalid},
		{"nothing but a slash", create("/"), invalid},
		{"no end", create("/npm/acme/web"), invalid},
		{"a star within a word", create("/npm/acme/we*"), invalid},
		{"something behind the end", create("/npm/acme/web$x"), invalid},
		{"a format that does not exist", create("/floppy/*"), invalid},
		{"a package of a format that does not exist", format, invalid},
		{"the root goes", remove("/*"), invalid},
		{"the root inherits", update("/*", "INHERIT"), invalid},
		{"a mode that does not exist", update("/npm/acme/*", "MAYBE"), invalid},
		{"a restriction that does not exist", strangeType, invalid},
		{"a list where all are allowed", update("/npm/acme/*", "ALLOW", repo), invalid},
		{"a list where the mode is inherited", update("/npm/acme/*", "", repo), invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var api smithy.APIError
			if !errors.As(tt.err, &api) || api.ErrorCode() != tt.code {
				t.Errorf("got %v, want %s", tt.err, tt.code)
			}
		})
	}
	if got := f.publishing(t, "/npm/acme/*"); got != "/* INHERIT ALLOW /* 0" {
		t.Errorf("after all that the group is %q", got)
	}

	for _, name := range []string{"a", "b", "c"} {
		f.group(t, "/npm/acme/"+name+"$")
	}
	one := aws.Int32(1)
	groups, err := f.api.ListPackageGroups(ctx, &codeartifact.ListPackageGroupsInput{Domain: domain, MaxResults: one})
	if err != nil || groups.NextToken == nil {
		t.Fatalf("a page: %+v, %v", groups, err)
	}
	token := groups.NextToken
	reader := f.user(t, "group-reader", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"codeartifact:*","Resource":"*"}]}`)
	for name, try := range map[string]func() error{
		"another list": func() error {
			_, err := f.api.ListSubPackageGroups(ctx, &codeartifact.ListSubPackageGroupsInput{Domain: domain, PackageGroup: aws.String("/npm/acme/*"), NextToken: token})
			return err
		},
		"a list of packages": func() error {
			_, err := f.api.ListAssociatedPackages(ctx, &codeartifact.ListAssociatedPackagesInput{Domain: domain, PackageGroup: aws.String("/*"), NextToken: token})
			return err
		},
		"a list of repositories": func() error {
			_, err := f.api.ListAllowedRepositoriesForGroup(ctx, &codeartifact.ListAllowedRepositoriesForGroupInput{Domain: domain, PackageGroup: aws.String("/*"), OriginRestrictionType: "PUBLISH", NextToken: token})
			return err
		},
		"another prefix": func() error {
			_, err := f.api.ListPackageGroups(ctx, &codeartifact.ListPackageGroupsInput{Domain: domain, Prefix: aws.String("/npm"), NextToken: token})
			return err
		},
		"another caller": func() error {
			_, err := reader.ListPackageGroups(ctx, &codeartifact.ListPackageGroupsInput{Domain: domain, NextToken: token})
			return err
		},
	} {
		t.Run("a page token for "+name, func(t *testing.T) { wantError[*types.ValidationException](t, try()) })
	}
	if next, err := f.api.ListPackageGroups(ctx, &codeartifact.ListPackageGroupsInput{Domain: domain, NextToken: token}); err != nil || len(next.PackageGroups) != 4 {
		t.Errorf("the same list goes on with %+v, %v", next, err)
	}
}
