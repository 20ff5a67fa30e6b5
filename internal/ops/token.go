package ops

import (
	"context"
	"strconv"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// The duration of registry tokens (codeartifact.md 3.10), in seconds.
const (
	minTokenSeconds = 900
	maxTokenSeconds = 43200
)

// serviceName is what sts:AWSServiceName says of this service.
const serviceName = "codeartifact.amazonaws.com"

// RegistryToken makes a token for a domain and tells when it ends. seconds nil means 12
// hours; 0 the remaining life of temporary credentials. Needs GetAuthorizationToken on
// the domain and sts:GetServiceBearerToken. Errors: Invalid "duration", NotFound.
func (s *Service) RegistryToken(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, seconds *int64) (token string, expires time.Time, err error) {
	if err := s.allowDomain(ctx, who, packhouse.ActionGetAuthorizationToken, d); err != nil {
		return "", time.Time{}, err
	}
	now := s.now().UTC()
	expires, err = tokenExpiry(who, now, seconds)
	if err != nil {
		return "", time.Time{}, err
	}
	// A policy that limits the duration sees the one that the token will have.
	err = s.allow(ctx, who, packhouse.ActionGetServiceBearerToken, anyResource, map[string]string{
		"sts:awsservicename":  serviceName,
		"sts:durationseconds": strconv.FormatInt(int64(expires.Sub(now)/time.Second), 10),
	})
	if err != nil {
		return "", time.Time{}, err
	}
	err = s.catalog.View(ctx, func(tx *catalog.Tx) error {
		_, err := s.domainIn(ctx, tx, d)
		return err
	})
	if err != nil {
		return "", time.Time{}, storeError("look up domain", err)
	}
	token, err = s.identity.IssueRegistryToken(ctx, who, d, expires)
	return token, expires, storeError("issue token", err)
}

// tokenExpiry returns when a token asked for now ends.
func tokenExpiry(who packhouse.Principal, now time.Time, seconds *int64) (time.Time, error) {
	switch {
	case seconds == nil:
		return now.Add(maxTokenSeconds * time.Second), nil
	case *seconds == 0 && !who.Temporary:
		return time.Time{}, packhouse.Invalidf("duration",
			"a duration of 0 takes the remaining life of temporary credentials; these are long-lived, so name a duration of %d to %d seconds", minTokenSeconds, maxTokenSeconds)
	case *seconds == 0 && !who.Expires.After(now):
		return time.Time{}, &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "expired_token", Message: "the credentials have expired"}
	case *seconds == 0:
		return who.Expires, nil
	case *seconds < minTokenSeconds || *seconds > maxTokenSeconds:
		return time.Time{}, packhouse.Invalidf("duration", "a token lasts %d to %d seconds, or 0 for the remaining life of temporary credentials; %d is not allowed",
			minTokenSeconds, maxTokenSeconds, *seconds)
	}
	return now.Add(time.Duration(*seconds) * time.Second), nil
}
