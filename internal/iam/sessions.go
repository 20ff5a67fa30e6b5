package iam

import (
	"context"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/ops"
)

type callerIdentityOutput struct {
	Arn     string
	UserID  string `xml:"UserId"`
	Account string
}

// getCallerIdentity needs no right: the signature has told who asks.
func getCallerIdentity(ctx context.Context, c *call, _ *struct{}) (*callerIdentityOutput, error) {
	id, err := c.api.Identity.UserID(ctx, c.who)
	if err != nil {
		return nil, err
	}
	return &callerIdentityOutput{c.who.ARN, id, string(c.who.Account)}, nil
}

type credentials struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      timestamp
}

func credentialsOf(t identity.TemporaryCredentials) credentials {
	return credentials{t.KeyID, t.Secret, t.SessionToken, timestamp(t.Expires)}
}

type assumedRoleUser struct {
	AssumedRoleID string `xml:"AssumedRoleId"`
	Arn           string
}

func (c *call) assumedRole(ctx context.Context, who packhouse.Principal) (assumedRoleUser, error) {
	id, err := c.api.Identity.UserID(ctx, who)
	return assumedRoleUser{id, who.ARN}, err
}

type policyDescriptor struct {
	Arn string `wire:"arn" rule:"arn,required"`
}

// sessionInput is what both ways to a role's session have.
type sessionInput struct {
	RoleArn         string `rule:"arn,required"`
	RoleSessionName string `rule:"sessionName,required"`
	Policy          string `rule:"document"`
	PolicyArns      []policyDescriptor
	DurationSeconds int `rule:"seconds"`
}

type assumeRoleInput struct {
	sessionInput
	ExternalID        string `wire:"ExternalId" rule:"externalId"`
	Tags              []tag
	TransitiveTagKeys []string `rule:"unsupported"`
	SerialNumber      string   `rule:"unsupported"`
	TokenCode         string   `rule:"unsupported"`
	SourceIdentity    string   `rule:"unsupported"`
}

type assumeRoleOutput struct {
	Credentials      credentials
	AssumedRoleUser  assumedRoleUser
	PackedPolicySize int
}

// maxPolicyArns bounds the managed policies of one session.
const maxPolicyArns = 10

// session reads what both ways ask for.
func (in sessionInput) session() (ops.RoleSession, error) {
	ask := ops.RoleSession{Name: in.RoleSessionName, Life: time.Duration(in.DurationSeconds) * time.Second}
	rest, ok := strings.CutPrefix(in.RoleArn, "arn:"+packhouse.Partition+":iam::")
	account, place, isRole := strings.Cut(rest, ":role/")
	at := strings.LastIndexByte(place, '/') + 1
	name, rolePath := place[at:], "/"+place[:at]
	if !ok || path(rolePath) != "" || !isRole || !packhouse.ValidAccountID(account) || rules["roleName"](name) != "" {
		return ask, packhouse.Invalidf(reasonConstraint, "%s is not the ARN of a role: arn:aws:iam::ACCOUNT:role/PATH/NAME", shown(in.RoleArn))
	}
	ask.Role = packhouse.IdentityRef{Account: packhouse.AccountID(account), Kind: packhouse.KindRole, Name: name, Path: rolePath}
	if in.Policy != "" {
		ask.Policies = []string{in.Policy}
	}
	if len(in.PolicyArns) > maxPolicyArns {
		return ask, packhouse.Invalidf(reasonConstraint, "A session takes at most %d policy ARNs", maxPolicyArns)
	}
	for _, p := range in.PolicyArns {
		ref, err := identity.ParsePolicyARN(p.Arn)
		if err != nil {
			return ask, err
		}
		ask.Managed = append(ask.Managed, ref)
	}
	return ask, nil
}

// packed tells how full the room for a session's policies and tags is, in percent.
func packed(t identity.TemporaryCredentials) int {
	return identity.PackedPercent(t.Principal.Session)
}

func assumeRole(ctx context.Context, c *call, in *assumeRoleInput) (*assumeRoleOutput, error) {
	ask, err := in.session()
	if err != nil {
		return nil, err
	}
	ask.ExternalID, ask.Tags = in.ExternalID, toTags(in.Tags)
	made, err := c.api.Service.AssumeRole(ctx, c.who, ask)
	if err != nil {
		return nil, err
	}
	assumed, err := c.assumedRole(ctx, made.Principal)
	if err != nil {
		return nil, err
	}
	return &assumeRoleOutput{credentialsOf(made), assumed, packed(made)}, nil
}

type webIdentityInput struct {
	sessionInput
	WebIdentityToken string `rule:"token,required"`
	ProviderID       string `wire:"ProviderId" rule:"unsupported"`
}

type webIdentityOutput struct {
	Credentials                 credentials
	SubjectFromWebIdentityToken string
	AssumedRoleUser             assumedRoleUser
	PackedPolicySize            int
	Provider                    string
	Audience                    string
}

func assumeRoleWithWebIdentity(ctx context.Context, c *call, in *webIdentityInput) (*webIdentityOutput, error) {
	ask, err := in.session()
	if err != nil {
		return nil, err
	}
	made, err := c.api.Service.AssumeRoleWithWebIdentity(ctx, ask, in.WebIdentityToken)
	if err != nil {
		return nil, err
	}
	assumed, err := c.assumedRole(ctx, made.Principal)
	if err != nil {
		return nil, err
	}
	return &webIdentityOutput{credentialsOf(made.TemporaryCredentials), made.Subject, assumed, packed(made.TemporaryCredentials), made.Provider, made.Audience}, nil
}

type sessionTokenInput struct {
	DurationSeconds *int   `rule:"seconds"`
	SerialNumber    string `rule:"unsupported"`
	TokenCode       string `rule:"unsupported"`
}

type sessionTokenOutput struct{ Credentials credentials }

func getSessionToken(ctx context.Context, c *call, in *sessionTokenInput) (*sessionTokenOutput, error) {
	life := ops.DefaultUserSession
	if in.DurationSeconds != nil {
		life = time.Duration(*in.DurationSeconds) * time.Second
	}
	made, err := c.api.Service.SessionToken(ctx, c.who, life)
	if err != nil {
		return nil, err
	}
	return &sessionTokenOutput{credentialsOf(made)}, nil
}
