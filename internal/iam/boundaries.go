package iam

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
)

// attachedBoundary is how an identity's permissions boundary is shown.
type attachedBoundary struct{ PermissionsBoundaryType, PermissionsBoundaryArn string }

// boundaryOf returns nil for an identity without one.
func boundaryOf(row packhouse.Identity) *attachedBoundary {
	if row.Boundary == "" {
		return nil
	}
	return &attachedBoundary{"PermissionsBoundaryPolicy", row.Boundary}
}

// parseBoundary reads the ARN of a managed policy; "" is none.
func parseBoundary(arn string) (identity.PolicyRef, error) {
	if arn == "" {
		return identity.PolicyRef{}, nil
	}
	return identity.ParsePolicyARN(arn)
}

type putBoundaryInput[N named] struct {
	Of                  N
	PermissionsBoundary string `rule:"arn,required"`
}

// boundaryOperations are the rows that users and roles have alike.
func boundaryOperations[N named](title string, kind packhouse.PrincipalKind) []operation {
	return []operation{
		change("Put"+title+"PermissionsBoundary", func(ctx context.Context, c *call, in *putBoundaryInput[N]) (*nothing, error) {
			limit, err := identity.ParsePolicyARN(in.PermissionsBoundary)
			if err != nil {
				return nil, err
			}
			_, err = c.api.Service.UpdateIdentity(ctx, c.who, c.ref(kind, in.Of.name()), identity.Update{Boundary: &limit})
			return &nothing{}, err
		}),
		change("Delete"+title+"PermissionsBoundary", func(ctx context.Context, c *call, in *N) (*nothing, error) {
			_, err := c.api.Service.UpdateIdentity(ctx, c.who, c.ref(kind, (*in).name()), identity.Update{Boundary: &identity.PolicyRef{}})
			return &nothing{}, err
		}),
	}
}
