package ops

import (
	"context"
	"io"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// PublishAsset is the input of Service.PublishAsset: PublishPackageVersion.
type PublishAsset struct {
	Version    packhouse.VersionRef
	Asset      string
	SHA256     string // what the caller declared, 64 lower-case hexadecimal digits
	Unfinished bool
	Body       io.Reader // read to its end
}

// PublishAsset publishes one asset of a format that takes assets this way, by
// codeartifact.md 3.8. It returns the version and the asset with all four hashes; the
// same bytes again succeed and change nothing.
//
// Errors: Invalid "format_not_supported", "digest_mismatch" and what the format says
// about names; Conflict "version_exists", "version_finished"; Denied; TooLarge.
func (s *Service) PublishAsset(ctx context.Context, who packhouse.Principal, in PublishAsset) (packhouse.PackageVersion, packhouse.Asset, error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionPublishPackageVersion, in.Version.PackageRef); err != nil {
		return packhouse.PackageVersion{}, packhouse.Asset{}, err
	}
	pkg := in.Version.PackageRef
	room, ok := s.formats[pkg.Package.Format]
	if !ok || !room.Spec().ViaAPI {
		return packhouse.PackageVersion{}, packhouse.Asset{}, packhouse.Invalidf("format_not_supported",
			"packages of format %s are published with their own client, not with this operation", pkg.Package.Format)
	}
	content, err := s.Stage(ctx, who, pkg, in.Body, 0)
	if err != nil {
		return packhouse.PackageVersion{}, packhouse.Asset{}, err
	}
	out, err := s.Publish(ctx, who, format.Publication{
		Package: pkg, DisplayName: pkg.Package.Name, Version: in.Version.Version, Unfinished: in.Unfinished, ViaAPI: true,
		Assets: []format.NewAsset{{Name: in.Asset, Content: content, Declared: packhouse.Hashes{SHA256: in.SHA256}, Overwrite: true}},
	})
	if err != nil {
		return packhouse.PackageVersion{}, packhouse.Asset{}, err
	}
	return out.Version, out.Asset, nil
}
