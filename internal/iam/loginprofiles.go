package iam

import (
	"context"
	"time"

	"github.com/packhouse/packhouse"
)

type loginProfile struct {
	UserName              string
	CreateDate            timestamp
	PasswordResetRequired bool
}

type loginProfileOutput struct{ LoginProfile loginProfile }

func newLoginProfileOutput(user string, since time.Time) *loginProfileOutput {
	return &loginProfileOutput{loginProfile{user, timestamp(since), false}}
}

// passwordInput has no way to force a change at the next sign-in: package managers could
// not show it.
type passwordInput struct {
	userName
	Password              string `rule:"secret,required"`
	PasswordResetRequired string `rule:"no"`
}

func createLoginProfile(ctx context.Context, c *call, in *passwordInput) (*loginProfileOutput, error) {
	since, err := c.api.Service.CreateLoginProfile(ctx, c.who, c.ref(packhouse.KindUser, in.UserName), in.Password)
	if err != nil {
		return nil, err
	}
	return newLoginProfileOutput(in.UserName, since), nil
}

func updateLoginProfile(ctx context.Context, c *call, in *passwordInput) (*nothing, error) {
	return &nothing{}, c.api.Service.UpdateLoginProfile(ctx, c.who, c.ref(packhouse.KindUser, in.UserName), in.Password)
}

func getLoginProfile(ctx context.Context, c *call, in *ownUserInput) (*loginProfileOutput, error) {
	ref, err := c.user(in.UserName)
	if err != nil {
		return nil, err
	}
	since, err := c.api.Service.LoginProfile(ctx, c.who, ref)
	if err != nil {
		return nil, err
	}
	return newLoginProfileOutput(ref.Name, since), nil
}

func deleteLoginProfile(ctx context.Context, c *call, in *userName) (*nothing, error) {
	return &nothing{}, c.api.Service.DeleteLoginProfile(ctx, c.who, c.ref(packhouse.KindUser, in.UserName))
}
