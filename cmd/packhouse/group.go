package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/server"
)

func newGroup() *cobra.Command {
	const kind = packhouse.KindGroup
	return ofAccount(group("group", "Create and list groups of users, and who is in them",
		newGroupCreate(), newIdentityList(kind), newIdentityGet(kind), newIdentityDelete(kind),
		newGroupMember("add", "Put a user into a group", "is in", identity.Directory.AddMember),
		newGroupMember("remove", "Take a user out of a group", "is not in", identity.Directory.RemoveMember),
		newIdentityAttach(kind), newIdentityDetach(kind)))
}

func newGroupCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create NAME",
		Short:   "Create a group of users",
		Long:    "Create a group of users. Its policies hold for all of its members. --policy may be repeated. " + policyHelp,
		Example: "  packhouse group create developers --policy read-only",
		Args:    one("NAME"),
	}
	policies := cmd.Flags().StringArray("policy", nil, "policy of the group; may be repeated")
	path := pathFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		return createIdentity(ctx, cmd, s, placed(s, packhouse.KindGroup, *path, args[0]), identity.NewIdentity{}, *policies)
	})
	return cmd
}

// createIdentity makes a group or a role with its policies.
func createIdentity(ctx context.Context, cmd *cobra.Command, s *server.Store, at packhouse.IdentityRef, n identity.NewIdentity, policies []string) error {
	row, err := directory(s).Create(ctx, at, n)
	if err != nil {
		return err
	}
	for _, p := range policies {
		if err := attach(ctx, s, at, p); err != nil {
			return fmt.Errorf("created %s, but not with policy %s: %w", row.ARN, p, err)
		}
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), row.ARN)
	return err
}

func newGroupMember(verb, short, result string, change func(identity.Directory, context.Context, packhouse.AccountID, string, string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:     verb + " GROUP USER",
		Short:   short,
		Example: "  packhouse group " + verb + " developers dana",
		Args:    two("GROUP", "USER"),
	}
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		if err := change(directory(s), ctx, s.Account, args[0], args[1]); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "User %s %s group %s.\n", args[1], result, args[0])
		return err
	})
	return cmd
}
