package ops

import (
	"context"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/resolve"
)

// RepositoryCooldown is what holds for the external connections of one repository.
type RepositoryCooldown = resolve.RepositoryCooldown

// Cooldowns lists how long the repositories of a domain hold back fresh versions of their
// external connections (reliability.md S45). A repository sets that by its tags. Errors:
// NotFound.
func (s *Service) Cooldowns(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef) ([]RepositoryCooldown, error) {
	if err := s.allowDomain(ctx, who, packhouse.ActionListRepositoriesInDomain, d); err != nil {
		return nil, err
	}
	return s.resolver.Cooldowns(ctx, d)
}

// Withheld tells which versions of a package a repository does not show, and why; named is
// FORMAT/NAME or FORMAT/@NAMESPACE/NAME, which asks for all of them, or either with
// @VERSION. An empty list means that nothing is held back. Errors: Invalid "invalid_package";
// NotFound.
func (s *Service) Withheld(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, named string) ([]format.Withheld, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, r); err != nil {
		return nil, err
	}
	n, version, err := s.parsePackage(named)
	if err != nil {
		return nil, err
	}
	list, err := s.resolver.Withheld(ctx, packhouse.PackageRef{Repo: r, Package: n}, version)
	if err != nil {
		return nil, s.suggest(ctx, who, r, n, err)
	}
	return list, nil
}

// parsePackage reads FORMAT/NAME or FORMAT/@NAMESPACE/NAME, with @VERSION behind it or not.
// Errors: Invalid "invalid_package", and those of the format.
func (s *Service) parsePackage(text string) (n packhouse.PackageName, version string, err error) {
	invalid := packhouse.Invalidf("invalid_package", "%q names no package: write FORMAT/NAME or FORMAT/@NAMESPACE/NAME, such as npm/left-pad or npm/@acme/box, with @VERSION behind it or not", text)
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 {
		return n, "", invalid
	}
	room, ok := s.formats[packhouse.FormatID(parts[0])]
	if !ok {
		return n, "", unknownFormat(packhouse.FormatID(parts[0]))
	}
	name, version, versioned := strings.Cut(parts[len(parts)-1], "@")
	if name == "" || versioned == (version == "") {
		return n, "", invalid
	}
	namespace := ""
	if len(parts) == 3 {
		if namespace = strings.TrimPrefix(parts[1], "@"); namespace == "" {
			return n, "", invalid
		}
	}
	if n, err = room.Canonical(namespace, name); err == nil && versioned {
		_, err = room.VersionKey(version)
	}
	return n, version, err
}
