package ops

import (
	"context"
	"net/url"
	"strings"

	"github.com/packhouse/packhouse"
)

// The values of an endpoint type, and the suffixes under which the service itself has
// different hosts for them (codeartifact.md 3.11).
const (
	endpointIPv4      = "ipv4"
	endpointDualstack = "dualstack"
	serviceSuffix     = "amazonaws.com"
	dualstackSuffix   = "on.aws"
)

// Endpoint returns the base URL of a repository for a format, with trailing slash.
// address is scheme and host under which the request came in; the configured public URL
// goes before it. endpointType is "", "ipv4" or "dualstack". Errors: Invalid
// "endpoint_type", "format_not_supported"; NotFound.
//
// Source: addresses.md 2 and 3.
func (s *Service) Endpoint(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, f packhouse.FormatID, endpointType, address string) (string, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionGetRepositoryEndpoint, r); err != nil {
		return "", err
	}
	switch endpointType {
	case "", endpointIPv4, endpointDualstack:
	default:
		return "", packhouse.Invalidf("endpoint_type", "endpoint type %q is not allowed: it is ipv4 or dualstack", endpointType)
	}
	if _, ok := s.namespaceRule(f); !ok {
		return "", unknownFormat(f)
	}
	if _, _, err := s.repository(ctx, r); err != nil {
		return "", err
	}
	if s.publicURL != "" {
		address = s.publicURL
	}
	label := r.Domain.Name + "-" + string(r.Domain.Owner)
	if s.hostSuffix == "" {
		return strings.TrimRight(address, "/") + "/" + string(f) + "/d/" + label + "/" + r.Name + "/", nil
	}
	return s.hostEndpoint(label, string(f)+"/"+r.Name+"/", address, endpointType)
}

// hostEndpoint returns the address in host form: scheme and port are those of address.
func (s *Service) hostEndpoint(label, path, address, endpointType string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", packhouse.Internal(err)
	}
	suffix := s.hostSuffix
	if endpointType == endpointDualstack && suffix == serviceSuffix {
		suffix = dualstackSuffix
	}
	host := label + ".d.codeartifact." + s.region + "." + suffix
	if port := u.Port(); port != "" {
		host += ":" + port
	}
	return u.Scheme + "://" + host + "/" + path, nil
}
