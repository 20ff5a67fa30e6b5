package iam

import (
	"context"
	"encoding/xml"

	"github.com/packhouse/packhouse"
)

// noneOutput is a list that is always empty.
type noneOutput struct{ list string }

// MarshalXML writes the list and that there is no more of it.
func (o *noneOutput) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	if err := e.EncodeElement(members[string]{}, xml.StartElement{Name: xml.Name{Local: o.list}}); err != nil {
		return err
	}
	if err := e.EncodeElement(false, xml.StartElement{Name: xml.Name{Local: "IsTruncated"}}); err != nil {
		return err
	}
	return e.EncodeToken(start.End())
}

type noneOfUserInput struct {
	ownUserInput
	page
}

type noneOfRoleInput struct {
	roleName
	page
}

// noneOperations list what identities here never have: Terraform asks before it deletes
// a role, and a user with all that hangs on it.
func noneOperations() []operation {
	ofUser := func(name, list string) operation {
		return op(name, func(ctx context.Context, c *call, in *noneOfUserInput) (*noneOutput, error) {
			ref, err := c.user(in.UserName)
			if err != nil {
				return nil, err
			}
			return &noneOutput{list}, c.api.Service.HasNone(ctx, c.who, packhouse.Action("iam:"+name), ref)
		})
	}
	return []operation{
		op("ListInstanceProfilesForRole", func(ctx context.Context, c *call, in *noneOfRoleInput) (*noneOutput, error) {
			return &noneOutput{"InstanceProfiles"}, c.api.Service.HasNone(ctx, c.who, "iam:ListInstanceProfilesForRole", c.ref(packhouse.KindRole, in.RoleName))
		}),
		ofUser("ListSSHPublicKeys", "SSHPublicKeys"),
		ofUser("ListSigningCertificates", "Certificates"),
		ofUser("ListServiceSpecificCredentials", "ServiceSpecificCredentials"),
		ofUser("ListMFADevices", "MFADevices"),
		op("ListVirtualMFADevices", func(ctx context.Context, c *call, _ *page) (*noneOutput, error) {
			return &noneOutput{"VirtualMFADevices"}, c.api.Service.NoVirtualMFADevices(ctx, c.who)
		}),
	}
}
