package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/server"
)

func newUserKey() *cobra.Command {
	return group("key", "Create, list, switch and delete the access keys of users",
		newUserKeyCreate(), newUserKeyList(), newUserKeySwitch("activate", true), newUserKeySwitch("deactivate", false), newUserKeyDelete())
}

func newUserKeyCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create USER",
		Short:   "Create an access key of a user",
		Long:    "Create an access key of a user, which is printed once. A user has two at most: make a new one, take it into use, delete the old one.",
		Example: "  packhouse user key create ci",
		Args:    one("USER"),
	}
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		c, _, err := directory(s).CreateAccessKey(ctx, ref(s, packhouse.KindUser, args[0]))
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Created an access key of %s. The secret is shown this once:\n", c.Principal.ARN)
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", args[0], c.KeyID, c.Secret)
		return err
	})
	return cmd
}

func newUserKeyList() *cobra.Command {
	cmd := &cobra.Command{Use: "list USER", Short: "List the access keys of a user", Args: one("USER")}
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		type key struct {
			ID       string    `json:"accessKeyId"`
			Status   string    `json:"status"`
			Created  time.Time `json:"createDate"`
			LastUsed time.Time `json:"lastUsedDate,omitzero"`
		}
		all := []key{}
		var rows [][]string
		keys, err := directory(s).AccessKeys(ctx, ref(s, packhouse.KindUser, args[0]))
		if err != nil {
			return err
		}
		for _, k := range keys {
			status := "Inactive"
			if k.Active {
				status = "Active"
			}
			all = append(all, key{k.ID, status, k.Created, k.LastUsed})
			rows = append(rows, []string{k.ID, status, day(k.Created, "-"), day(k.LastUsed, "never")})
		}
		return list(cmd.OutOrStdout(), *form, all, []string{"ID", "STATUS", "CREATED", "LAST USED"}, rows)
	})
	return cmd
}

func newUserKeySwitch(verb string, active bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:     verb + " USER ID",
		Short:   "Switch an access key on",
		Example: "  packhouse user key " + verb + " ci AKIAIOSFODNN7EXAMPLE",
		Args:    two("USER", "ID"),
	}
	if !active {
		cmd.Short = "Switch an access key off"
	}
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		if err := directory(s).SetAccessKeyActive(ctx, ref(s, packhouse.KindUser, args[0]), args[1], active); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "%sd %s; a running server knows within a second.\n", verb, args[1])
		return err
	})
	return cmd
}

func newUserKeyDelete() *cobra.Command {
	cmd := &cobra.Command{Use: "delete USER ID", Short: "Delete an access key", Args: two("USER", "ID")}
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		if err := directory(s).DeleteAccessKey(ctx, ref(s, packhouse.KindUser, args[0]), args[1]); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "Deleted %s; a running server refuses it within a second.\n", args[1])
		return err
	})
	return cmd
}
