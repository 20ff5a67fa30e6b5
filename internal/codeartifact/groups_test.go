package codeartifact

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/ops"
)

var sampleGroup = packhouse.PackageGroupRef{Domain: sampleDomain, Pattern: "/npm/acme/*"}

func (s *serviceDouble) group() packhouse.PackageGroup {
	g := packhouse.PackageGroup{Ref: sampleGroup, Created: sampleTime, Restrictions: map[packhouse.RestrictionType]packhouse.GroupRestriction{}}
	if !s.empty {
		g.Contact, g.Description, g.Parent = "ann", "ours", "/*"
		g.Restrictions[packhouse.RestrictPublish] = packhouse.GroupRestriction{Mode: packhouse.ModeInherit, Effective: packhouse.ModeAllowSpecific, InheritedFrom: "/*", Repositories: 2}
		g.Restrictions[packhouse.RestrictExternalUpstream] = packhouse.GroupRestriction{Mode: packhouse.ModeBlock, Effective: packhouse.ModeBlock}
	}
	return g
}

func (s *serviceDouble) CreatePackageGroup(_ context.Context, who packhouse.Principal, in ops.CreatePackageGroup) (packhouse.PackageGroup, error) {
	return s.group(), s.called("CreatePackageGroup", who, in)
}

func (s *serviceDouble) PackageGroup(_ context.Context, who packhouse.Principal, g packhouse.PackageGroupRef) (packhouse.PackageGroup, error) {
	return s.group(), s.called("PackageGroup", who, g)
}

func (s *serviceDouble) UpdatePackageGroup(_ context.Context, who packhouse.Principal, in ops.UpdatePackageGroup) (packhouse.PackageGroup, error) {
	return s.group(), s.called("UpdatePackageGroup", who, in)
}

func (s *serviceDouble) DeletePackageGroup(_ context.Context, who packhouse.Principal, g packhouse.PackageGroupRef) (packhouse.PackageGroup, error) {
	return s.group(), s.called("DeletePackageGroup", who, g)
}

func (s *serviceDouble) PackageGroups(_ context.Context, who packhouse.Principal, d packhouse.DomainRef, prefix string, p ops.Page) ([]packhouse.PackageGroup, string, error) {
	return one(s, s.group()), s.next, s.called("PackageGroups", who, d, prefix, p)
}

func (s *serviceDouble) SubPackageGroups(_ context.Context, who packhouse.Principal, g packhouse.PackageGroupRef, p ops.Page) ([]packhouse.PackageGroup, string, error) {
	return one(s, s.group()), s.next, s.called("SubPackageGroups", who, g, p)
}

func (s *serviceDouble) AssociatedPackageGroup(_ context.Context, who packhouse.Principal, d packhouse.DomainRef, n packhouse.PackageName) (packhouse.PackageGroup, packhouse.PackageGroupAssociation, error) {
	return s.group(), packhouse.AssociationWeak, s.called("AssociatedPackageGroup", who, d, n)
}

func (s *serviceDouble) AssociatedPackages(_ context.Context, who packhouse.Principal, g packhouse.PackageGroupRef, preview bool, p ops.Page) ([]ops.AssociatedPackage, string, error) {
	return one(s, ops.AssociatedPackage{Name: samplePackage.Package, Association: packhouse.AssociationStrong}), s.next, s.called("AssociatedPackages", who, g, preview, p)
}

func (s *serviceDouble) AllowedRepositories(_ context.Context, who packhouse.Principal, g packhouse.PackageGroupRef, t packhouse.RestrictionType, p ops.Page) ([]string, string, error) {
	return one(s, "test-repo"), s.next, s.called("AllowedRepositories", who, g, t, p)
}

func (s *serviceDouble) UpdateGroupOrigin(_ context.Context, who packhouse.Principal, in ops.UpdateGroupOrigin) (packhouse.PackageGroup, map[packhouse.RestrictionType]ops.AllowedUpdates, error) {
	var updates map[packhouse.RestrictionType]ops.AllowedUpdates
	if !s.empty {
		updates = map[packhouse.RestrictionType]ops.AllowedUpdates{packhouse.RestrictPublish: {Added: []string{"test-repo"}}}
	}
	return s.group(), updates, s.called("UpdateGroupOrigin", who, in)
}

// TestPackageGroupOperations calls each row with the real SDK client and looks at what the
// engine was asked.
func TestPackageGroupOperations(t *testing.T) {
	pattern := aws.String(sampleGroup.Pattern)
	allowed := func(name string, kind types.PackageGroupOriginRestrictionType) []types.PackageGroupAllowedRepository {
		return []types.PackageGroupAllowedRepository{{RepositoryName: aws.String(name), OriginRestrictionType: kind}}
	}
	for _, tt := range []struct {
		in     any
		method string
		given  []any
	}{
		{&sdk.CreatePackageGroupInput{Domain: inDomain, PackageGroup: pattern, ContactInfo: aws.String("ann"), Description: aws.String("ours"), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}},
			"CreatePackageGroup", []any{ops.CreatePackageGroup{Group: sampleGroup, Contact: "ann", Description: "ours", Tags: []packhouse.ResourceTag{{Key: "a", Value: "b"}}}}},
		{&sdk.DescribePackageGroupInput{Domain: inDomain, DomainOwner: aws.String("222222222222"), PackageGroup: pattern}, "PackageGroup",
			[]any{packhouse.PackageGroupRef{Domain: packhouse.DomainRef{Owner: "222222222222", Name: "test-domain"}, Pattern: "/npm/acme/*"}}},
		{&sdk.UpdatePackageGroupInput{Domain: inDomain, PackageGroup: pattern, Description: aws.String("")}, "UpdatePackageGroup",
			[]any{ops.UpdatePackageGroup{Group: sampleGroup, Description: aws.String("")}}},
		{&sdk.DeletePackageGroupInput{Domain: inDomain, PackageGroup: pattern}, "DeletePackageGroup", []any{sampleGroup}},
		{&sdk.ListPackageGroupsInput{Domain: inDomain, Prefix: aws.String("/npm")}, "PackageGroups", []any{sampleDomain, "/npm", ops.Page{Limit: 100}}},
		{&sdk.ListSubPackageGroupsInput{Domain: inDomain, PackageGroup: pattern, MaxResults: aws.Int32(7)}, "SubPackageGroups", []any{sampleGroup, ops.Page{Limit: 7}}},
		{&sdk.GetAssociatedPackageGroupInput{Domain: inDomain, Format: "npm", Namespace: inNamespace, Package: inPackage}, "AssociatedPackageGroup", []any{sampleDomain, samplePackage.Package}},
		{&sdk.ListAssociatedPackagesInput{Domain: inDomain, PackageGroup: pattern, Preview: aws.Bool(true)}, "AssociatedPackages", []any{sampleGroup, true, ops.Page{Limit: 100}}},
		{&sdk.ListAllowedRepositoriesForGroupInput{Domain: inDomain, PackageGroup: pattern, OriginRestrictionType: "PUBLISH"}, "AllowedRepositories",
			[]any{sampleGroup, packhouse.RestrictPublish, ops.Page{Limit: 100}}},
		{&sdk.UpdatePackageGroupOriginConfigurationInput{Domain: inDomain, PackageGroup: pattern, Restrictions: map[string]types.PackageGroupOriginRestrictionMode{"PUBLISH": "BLOCK"},
			AddAllowedRepositories: allowed("a-repo", "INTERNAL_UPSTREAM"), RemoveAllowedRepositories: allowed("b-repo", "EXTERNAL_UPSTREAM")}, "UpdateGroupOrigin",
			[]any{ops.UpdateGroupOrigin{Group: sampleGroup, Modes: map[packhouse.RestrictionType]packhouse.RestrictionMode{"PUBLISH": "BLOCK"},
				Add: []ops.AllowedRepository{{Type: "INTERNAL_UPSTREAM", Name: "a-repo"}}, Remove: []ops.AllowedRepository{{Type: "EXTERNAL_UPSTREAM", Name: "b-repo"}}}}},
	} {
		in := reflect.ValueOf(tt.in)
		name := strings.TrimSuffix(in.Elem().Type().Name(), "Input")
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			if _, err := invoke(t.Context(), d.client(), name, in); err != nil {
				t.Fatal(err)
			}
			method, given := d.service.last()
			if want := append([]any{caller}, tt.given...); method != tt.method || !reflect.DeepEqual(given, want) {
				t.Errorf("engine was asked\n%s %#v, want\n%s %#v", method, given, tt.method, want)
			}
		})
	}
}

// The answer of a description as the real client reads it (codeartifact.md 1.5, 2.1).
func TestPackageGroupDescription(t *testing.T) {
	out, err := newDoor(t).client().DescribePackageGroup(t.Context(), &sdk.DescribePackageGroupInput{Domain: inDomain, PackageGroup: aws.String("/npm/acme/*")})
	if err != nil {
		t.Fatal(err)
	}
	g := out.PackageGroup
	if *g.Arn != "arn:aws:codeartifact:us-west-2:111122223333:package-group/test-domain/npm/acme/%2a" || *g.Parent.Arn != "arn:aws:codeartifact:us-west-2:111122223333:package-group/test-domain/%2a" ||
		*g.Parent.Pattern != "/*" || !g.CreatedTime.Equal(sampleTime) || *g.ContactInfo != "ann" {
		t.Errorf("got %+v", g)
	}
	r := g.OriginConfiguration.Restrictions
	if p := r["PUBLISH"]; p.Mode != "INHERIT" || p.EffectiveMode != "ALLOW_SPECIFIC_REPOSITORIES" || *p.InheritedFrom.Pattern != "/*" || *p.RepositoriesCount != 2 {
		t.Errorf("publish %+v", p)
	}
	if x := r["EXTERNAL_UPSTREAM"]; x.Mode != "BLOCK" || x.EffectiveMode != "BLOCK" || x.InheritedFrom != nil {
		t.Errorf("external upstream %+v", x)
	}
}
