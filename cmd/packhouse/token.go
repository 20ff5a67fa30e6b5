package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/server"
)

func newToken() *cobra.Command {
	return ofAccount(group("token", "Create, list and revoke long-lived tokens", newTokenCreate(), newTokenList(), newTokenRevoke()))
}

func newTokenCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create NAME",
		Short:   "Create a token for package managers",
		Long:    "Create a long-lived token of a user, which is printed once. It may do what the user may do.",
		Example: "  packhouse token create laptop --user admin --read-only --expires 720h",
		Args:    one("NAME"),
	}
	user := cmd.Flags().String("user", server.AdminName, "whose token")
	readOnly := cmd.Flags().Bool("read-only", false, "the token may only read")
	automation := cmd.Flags().Bool("automation", false, "the token is for a machine: it needs no second factor")
	expires := cmd.Flags().Duration("expires", 0, "how long it lasts, such as 720h; 0 for ever")
	settingFlags(cmd, "data-dir")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *expires < 0 {
			return usageError{errors.New("--expires: a duration that is not negative is needed")}
		}
		return nil
	}
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		kind := identity.TokenPerson
		if *automation {
			kind = identity.TokenAutomation
		}
		var end time.Time
		if *expires > 0 {
			end = time.Now().UTC().Add(*expires)
		}
		token, err := identity.CreateToken(ctx, s.Catalog, packhouse.Principal{}, s.Account, *user,
			identity.NewToken{Name: args[0], Kind: kind, ReadOnly: *readOnly, Expires: end})
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Created token %q of user %q, expires %s. It is shown this once:\n", args[0], *user, day(end, "never"))
		_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
		return err
	})
	return cmd
}

func newTokenList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List tokens", Args: cobra.NoArgs}
	user := cmd.Flags().String("user", "", "only this user's")
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, _ []string) error {
		type token struct {
			ID       string     `json:"id"`
			Name     string     `json:"name"`
			User     string     `json:"userName"`
			ReadOnly bool       `json:"readOnly"`
			Active   bool       `json:"active"`
			Created  time.Time  `json:"createDate"`
			Expires  *time.Time `json:"expires"`
		}
		tokens := []token{}
		var rows [][]string
		err := s.Catalog.View(ctx, func(tx *catalog.Tx) error {
			tokens, rows = tokens[:0], rows[:0]
			principals, err := tx.Principals(ctx, s.Account)
			if err != nil {
				return err
			}
			for _, p := range principals {
				if *user != "" && p.Name != *user {
					continue
				}
				list, err := tx.Tokens(ctx, p.ID)
				if err != nil {
					return err
				}
				for _, t := range list {
					one := token{ID: t.PublicID, Name: t.Name, User: p.Name, ReadOnly: t.ReadOnly, Created: t.Created,
						Active: t.Enabled && (t.Expires.IsZero() || t.Expires.After(time.Now()))}
					status, may := "active", "read and write"
					if !one.Active {
						status = "ended"
					}
					if t.ReadOnly {
						may = "read"
					}
					if !t.Expires.IsZero() {
						one.Expires = &t.Expires
					}
					tokens = append(tokens, one)
					rows = append(rows, []string{t.PublicID, t.Name, p.Name, may, status, day(t.Created, "-"), day(t.Expires, "never")})
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		return list(cmd.OutOrStdout(), *form, tokens, []string{"ID", "NAME", "USER", "MAY", "STATUS", "CREATED", "EXPIRES"}, rows)
	})
	return cmd
}

func newTokenRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke a token; `packhouse token list` shows ids",
		Args:  one("ID"),
	}
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		err := s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			t, err := tx.TokenByPublicID(ctx, args[0])
			if err != nil {
				return err
			}
			if err := tx.DisableToken(ctx, args[0]); err != nil {
				return err
			}
			return tx.Record(ctx, packhouse.Change{At: time.Now().UTC(), Door: "command", Kind: packhouse.ChangeKeyChanged,
				Detail: "token " + t.PublicID + " of " + t.Principal.Name + " revoked"})
		})
		if errors.Is(err, catalog.ErrNotFound) {
			return packhouse.NotFoundf("token", args[0], "there is no token %q; `packhouse token list` shows ids", args[0])
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Revoked %s; a running server refuses it within a second.\n", args[0])
		return err
	})
	return cmd
}
