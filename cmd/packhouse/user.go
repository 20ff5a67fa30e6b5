package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/server"
)

func newUser() *cobra.Command {
	const kind = packhouse.KindUser
	return ofAccount(group("user", "Create and list users, their keys, passwords and policies",
		newUserCreate(), newUserList(), newIdentityGet(kind), newIdentityDelete(kind), newUserKey(),
		newIdentityAttach(kind), newIdentityDetach(kind), newIdentityBoundary(kind), newUserDisable(), newUserEnable(),
		newUserPassword(), newUserOTP()))
}

func newUserCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a user with an access key",
		Long: "Create a user with an access key, which is printed once. A running server knows the user within a second.\n" +
			"--policy is admin (of packages), administrator (of everything), read-only, or a file with an IAM policy document; it may be repeated.",
		Example: "  packhouse user create ci --policy read-only",
		Args:    one("NAME"),
	}
	policies := cmd.Flags().StringArray("policy", nil, "admin, administrator, read-only or a policy file; may be repeated")
	path := pathFlag(cmd)
	boundary := boundaryFlag(cmd)
	settingFlags(cmd, "data-dir")
	var u identity.NewUser
	cmd.PreRunE = func(*cobra.Command, []string) error { return choosePolicies(&u, *policies) }
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		u.Account, u.Name, u.Path, u.Boundary = s.Account, args[0], *path, boundaryRef(s, *boundary)
		c, err := identity.CreateUser(ctx, s.Catalog, packhouse.Principal{}, u)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Created %s. The secret is shown this once:\n", c.Principal.ARN)
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", u.Name, c.KeyID, c.Secret)
		return err
	})
	return cmd
}

// choosePolicies turns values of --policy into managed policies and one document.
func choosePolicies(u *identity.NewUser, values []string) error {
	if len(values) == 0 {
		return usageError{errors.New("--policy: one is needed: admin, read-only or a file; without a policy a user may do nothing")}
	}
	for _, v := range values {
		if long, ok := shortPolicies[v]; ok {
			v = long
		}
		if _, shipped := authz.Managed(v); shipped {
			u.Policies = append(u.Policies, v)
			continue
		}
		if u.Document != "" {
			return usageError{errors.New("--policy: one file at most; put its statements together")}
		}
		text, err := readPolicy(v)
		if err != nil {
			return err
		}
		u.Document = text
	}
	return nil
}

func readPolicy(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", usageError{fmt.Errorf("--policy: %q is neither admin nor read-only nor a file", path)}
	}
	if info.Size() > authz.MaxIdentityPolicy {
		return "", usageError{fmt.Errorf("--policy: %s is larger than %d bytes", filepath.Base(path), authz.MaxIdentityPolicy)}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if _, err := authz.ParseIdentity(filepath.Base(path), text); err != nil {
		return "", err
	}
	return string(text), nil
}

func newUserList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List users", Args: cobra.NoArgs}
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, _ []string) error {
		type user struct {
			Name     string    `json:"userName"`
			ARN      string    `json:"arn"`
			Disabled bool      `json:"disabled"`
			Policies []string  `json:"policies"`
			Created  time.Time `json:"createDate"`
		}
		users := []user{}
		err := s.Catalog.View(ctx, func(tx *catalog.Tx) error {
			users = users[:0]
			rows, err := tx.Principals(ctx, s.Account)
			if err != nil {
				return err
			}
			for _, p := range rows {
				if p.Kind != packhouse.KindUser {
					continue
				}
				u := user{Name: p.Name, ARN: p.ARN, Disabled: p.Disabled, Created: p.Created, Policies: []string{}}
				policies, err := tx.PoliciesOf(ctx, p.ID)
				if err != nil {
					return err
				}
				for _, pol := range policies {
					u.Policies = append(u.Policies, pol.Name)
				}
				inline, err := tx.InlinePolicies(ctx, p.ID)
				if err != nil {
					return err
				}
				for _, pol := range inline {
					u.Policies = append(u.Policies, pol.Name)
				}
				users = append(users, u)
			}
			return nil
		})
		if err != nil {
			return err
		}
		var rows [][]string
		for _, u := range users {
			rows = append(rows, []string{u.Name, status(u.Disabled), strings.Join(u.Policies, ","), day(u.Created, "-"), u.ARN})
		}
		return list(cmd.OutOrStdout(), *form, users, []string{"NAME", "STATUS", "POLICIES", "CREATED", "ARN"}, rows)
	})
	return cmd
}

// newUserDisable and newUserEnable are the operator's way to lock somebody out at once.
func newUserDisable() *cobra.Command {
	return newUserSwitch(true, "disable", "Stop every key, password, token and session of a user",
		"Stop every access key, password, token and session of a user. A running server refuses them within a second. What the\n"+
			"user owns and may do stays as it is; `packhouse user enable` lets the user in again.",
		"The user %s is disabled.\n")
}

func newUserEnable() *cobra.Command {
	return newUserSwitch(false, "enable", "Let a disabled user in again",
		"Let a disabled user in again, with access keys, password and long-lived tokens as they were. Registry tokens and sessions\n"+
			"from before have ended for good.",
		"The user %s is enabled. Registry tokens and sessions from before have ended.\n")
}

func newUserSwitch(disabled bool, verb, short, long, done string) *cobra.Command {
	cmd := &cobra.Command{Use: verb + " NAME", Short: short, Long: long, Example: "  packhouse user " + verb + " dana", Args: one("NAME")}
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		if _, err := directory(s).Disable(ctx, ref(s, packhouse.KindUser, args[0]), disabled); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), done, args[0])
		return err
	})
	return cmd
}

// one demands a single argument and names it.
func one(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{fmt.Errorf("%s needs %s; see %s --help", cmd.CommandPath(), name, cmd.CommandPath())}
		}
		return nil
	}
}
