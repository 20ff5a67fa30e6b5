package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/server"
)

func newAccount() *cobra.Command {
	return group("account", "Create and list accounts, which know nothing of each other", newAccountCreate(), newAccountList(), newAccountShow())
}

func newAccountCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create an account with its first administrator",
		Long: "Create an account: identities and domains that nobody of another account sees or reaches unless a policy lets them.\n" +
			"Its administrator's access key is printed once. A running server knows the account within a second. There is no such\n" +
			"request over the network: an administrator is one of an account, and nobody's policies stand above accounts.",
		Example: "  packhouse account create research\n  packhouse account create partner --id 444455556666 --admin omar",
		Args:    one("NAME"),
	}
	var n identity.NewAccount
	cmd.Flags().StringVar((*string)(&n.ID), "id", "", "its number, 12 digits; without it one is made")
	cmd.Flags().StringVar(&n.Admin, "admin", server.AdminName, "name of its first administrator")
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		n.Name = args[0]
		account, key, err := identity.CreateAccount(ctx, s.Catalog, n)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Created account %s, %s, with %s. The secret is shown this once:\n", account.ID, account.Name, key.Principal.ARN)
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", account.Name, key.KeyID, key.Secret)
		return err
	})
	return cmd
}

func newAccountList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List accounts, the first one first", Args: cobra.NoArgs}
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, _ []string) error {
		accounts, err := identity.Accounts(ctx, s.Catalog)
		if err != nil {
			return err
		}
		all := []map[string]any{}
		var rows [][]string
		for _, a := range accounts {
			all = append(all, accountJSON(a))
			rows = append(rows, []string{string(a.ID), a.Name, day(a.Created, "-")})
		}
		return list(cmd.OutOrStdout(), *form, all, []string{"ID", "NAME", "CREATED"}, rows)
	})
	return cmd
}

func accountJSON(a catalog.AccountRow) map[string]any {
	return map[string]any{"accountId": a.ID, "name": a.Name, "createDate": a.Created}
}

func newAccountShow() *cobra.Command {
	cmd := &cobra.Command{Use: "show ACCOUNT", Short: "Show an account, by its number or its name, and how much is in it", Args: one("ACCOUNT")}
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		account, err := identity.FindAccount(ctx, s.Catalog, args[0])
		if err != nil {
			return err
		}
		out := accountJSON(account)
		head, line := []string{"ID", "NAME", "CREATED"}, []string{string(account.ID), account.Name, day(account.Created, "-")}
		err = s.Catalog.View(ctx, func(tx *catalog.Tx) error {
			for _, kind := range []packhouse.PrincipalKind{packhouse.KindUser, packhouse.KindGroup, packhouse.KindRole} {
				n, err := tx.CountPrincipals(ctx, account.ID, kind)
				if err != nil {
					return err
				}
				out[string(kind)+"Count"] = n
				head, line = append(head, plural[kind]), append(line, fmt.Sprint(n))
			}
			return nil
		})
		if err != nil {
			return err
		}
		return list(cmd.OutOrStdout(), *form, out, head, [][]string{line})
	})
	return cmd
}

// plural are the heads of columns that count identities.
var plural = map[packhouse.PrincipalKind]string{packhouse.KindUser: "USERS", packhouse.KindGroup: "GROUPS", packhouse.KindRole: "ROLES"}

// accountValue is the value of --account where it says whose identities a command is
// about.
type accountValue string

func (v *accountValue) String() string { return string(*v) }

// Set takes any text: what it names is found out when the store is open.
func (v *accountValue) Set(text string) error {
	*v = accountValue(text)
	return nil
}

// Type is how help texts call the value.
func (v *accountValue) Type() string { return "ACCOUNT" }

// ofAccount gives a group of commands the flag --account.
func ofAccount(cmd *cobra.Command) *cobra.Command {
	cmd.PersistentFlags().Var(new(accountValue), "account", "number or name of the account (default: the first one)")
	return cmd
}

// chooseAccount makes the account that the flag names the store's.
func chooseAccount(ctx context.Context, cmd *cobra.Command, s *server.Store) error {
	var chosen *accountValue
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if v, ok := f.Value.(*accountValue); ok {
			chosen = v
		}
	})
	if chosen == nil {
		return nil
	}
	account, err := identity.FindAccount(ctx, s.Catalog, string(*chosen))
	if err == nil {
		s.Account = account.ID
	}
	return err
}
