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

// identityKey is the JSON key of each kind's name, as in the IAM API.
var identityKey = map[packhouse.PrincipalKind]string{packhouse.KindUser: "userName", packhouse.KindGroup: "groupName", packhouse.KindRole: "roleName"}

// shortPolicies are the short names of policies that the server ships.
var shortPolicies = map[string]string{"admin": authz.AdminAccess, "read-only": authz.ReadOnlyAccess, "administrator": authz.AdministratorAccess}

func ref(s *server.Store, kind packhouse.PrincipalKind, name string) packhouse.IdentityRef {
	return packhouse.IdentityRef{Account: s.Account, Kind: kind, Name: name}
}

// placed is ref for something to be made under a path.
func placed(s *server.Store, kind packhouse.PrincipalKind, path, name string) packhouse.IdentityRef {
	at := ref(s, kind, name)
	at.Path = path
	return at
}

func pathFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("path", packhouse.RootPath, "path in the ARN, as in /team/web/")
}

func boundaryFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("boundary", "", "managed policy that limits what all other policies allow: a permissions boundary")
}

// boundaryRef names the policy that a flag or an argument does; "" is none.
func boundaryRef(s *server.Store, policy string) identity.PolicyRef {
	if policy == "" {
		return identity.PolicyRef{}
	}
	return policyRef(s, policy)
}

// newIdentityBoundary sets or removes a permissions boundary.
func newIdentityBoundary(kind packhouse.PrincipalKind) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "boundary NAME [POLICY]",
		Short: "Set the permissions boundary of a " + string(kind),
		Long: "Set the permissions boundary of a " + string(kind) + ", in the place of any other: a managed policy that gives nothing and limits what\n" +
			"all other policies allow. POLICY is admin, read-only or administrator, or the name or the ARN of a managed policy.",
		Example: "  packhouse " + string(kind) + " boundary NAME read-only\n  packhouse " + string(kind) + " boundary NAME --remove",
	}
	remove := cmd.Flags().Bool("remove", false, "take the permissions boundary away")
	settingFlags(cmd, "data-dir")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) < 1 || len(args) > 2 || *remove != (len(args) == 1) {
			return usageError{errors.New(cmd.CommandPath() + " needs NAME and either POLICY or --remove")}
		}
		return nil
	}
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		limit, done := identity.PolicyRef{}, "has no permissions boundary any more."
		if !*remove {
			limit, done = policyRef(s, args[1]), "has the permissions boundary "+args[1]+"."
		}
		if _, err := directory(s).Update(ctx, ref(s, kind, args[0]), identity.Update{Boundary: &limit}); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "The %s %s %s\n", kind, args[0], done)
		return err
	})
	return cmd
}

// newIdentityList lists groups or roles.
func newIdentityList(kind packhouse.PrincipalKind) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List " + string(kind) + "s", Args: cobra.NoArgs}
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, _ []string) error {
		all := []map[string]any{}
		var rows [][]string
		for after := ""; ; {
			page, err := directory(s).List(ctx, s.Account, kind, packhouse.RootPath, after, 100)
			if err != nil {
				return err
			}
			for _, p := range page {
				all = append(all, map[string]any{identityKey[kind]: p.Name, "arn": p.ARN, "createDate": p.Created})
				rows = append(rows, []string{p.Name, day(p.Created, "-"), p.ARN})
				after = p.Name
			}
			if len(page) < 100 {
				return list(cmd.OutOrStdout(), *form, all, []string{"NAME", "CREATED", "ARN"}, rows)
			}
		}
	})
	return cmd
}

// newIdentityGet shows one identity with its policies and what else it has.
func newIdentityGet(kind packhouse.PrincipalKind) *cobra.Command {
	cmd := &cobra.Command{Use: "get NAME", Short: "Show a " + string(kind) + " and its policies", Args: one("NAME")}
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		d, at := directory(s), ref(s, kind, args[0])
		row, boundary, err := d.Bounded(ctx, at)
		if err != nil {
			return err
		}
		attached, err := d.Attached(ctx, at)
		if err != nil {
			return err
		}
		inline, err := d.Inline(ctx, at)
		if err != nil {
			return err
		}
		policies, documents := []string{}, []string{}
		for _, p := range attached {
			policies = append(policies, p.Name)
		}
		for _, p := range inline {
			documents = append(documents, p.Name)
		}
		out := map[string]any{identityKey[kind]: row.Name, "arn": row.ARN, "createDate": row.Created, "attachedPolicies": policies, "inlinePolicies": documents}
		head := []string{"NAME", "POLICIES", "INLINE"}
		line := []string{row.Name, strings.Join(policies, ","), strings.Join(documents, ",")}
		if kind != packhouse.KindGroup {
			out["permissionsBoundary"] = boundary
			head, line = append(head, "BOUNDARY"), append(line, boundary[strings.LastIndexByte(boundary, '/')+1:])
		}
		if kind == packhouse.KindUser {
			out["disabled"] = row.Disabled
			head, line = append(head, "STATUS"), append(line, status(row.Disabled))
		}
		switch kind {
		case packhouse.KindUser, packhouse.KindGroup:
			names, title, err := others(ctx, d, at)
			if err != nil {
				return err
			}
			out[title], head, line = names, append(head, strings.ToUpper(title)), append(line, strings.Join(names, ","))
		case packhouse.KindRole:
			out["assumeRolePolicyDocument"], out["maxSessionDuration"] = row.Trust, int(row.MaxSession/time.Second)
			head, line = append(head, "LONGEST SESSION"), append(line, row.MaxSession.String())
		}
		return list(cmd.OutOrStdout(), *form, out, append(head, "ARN"), [][]string{append(line, row.ARN)})
	})
	return cmd
}

// status is the word for whether a user is let in.
func status(disabled bool) string {
	if disabled {
		return "disabled"
	}
	return "active"
}

// others are the members of a group, or the groups of a user.
func others(ctx context.Context, d identity.Directory, at packhouse.IdentityRef) (names []string, title string, err error) {
	var rows []catalog.PrincipalRow
	if title = "groups"; at.Kind == packhouse.KindGroup {
		title = "members"
		_, rows, err = d.Members(ctx, at, "", identity.MaxIdentities)
	} else {
		rows, err = d.GroupsOf(ctx, at)
	}
	names = []string{}
	for _, row := range rows {
		names = append(names, row.Name)
	}
	return names, title, err
}

// newIdentityDelete removes one identity with everything that hangs on it.
func newIdentityDelete(kind packhouse.PrincipalKind) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a " + string(kind) + " with its policies and credentials",
		Long:  "Delete a " + string(kind) + " with its policies, memberships and credentials. A running server refuses its credentials within a second.",
		Args:  one("NAME"),
	}
	yes := cmd.Flags().Bool("yes", false, "delete without asking")
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		if !*yes {
			return usageError{fmt.Errorf("deleting the %s %s cannot be undone; say --yes", kind, args[0])}
		}
		if kind == packhouse.KindUser && args[0] == server.AdminName {
			fmt.Fprintln(cmd.ErrOrStderr(), "The administrator of the first start is gone with this; `packhouse user create NAME --policy administrator` makes another.")
		}
		if err := directory(s).Delete(ctx, ref(s, kind, args[0]), true); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "Deleted the %s %s.\n", kind, args[0])
		return err
	})
	return cmd
}

const policyHelp = "POLICY is admin, read-only or administrator, the name of a managed policy, or a file with an IAM policy document,\n" +
	"which becomes an inline policy with the file's name."

// newIdentityAttach gives a policy to an identity.
func newIdentityAttach(kind packhouse.PrincipalKind) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "attach NAME POLICY",
		Short:   "Give a policy to a " + string(kind),
		Long:    "Give a policy to a " + string(kind) + ". " + policyHelp,
		Example: "  packhouse " + string(kind) + " attach NAME read-only",
		Args:    two("NAME", "POLICY"),
	}
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		if err := attach(ctx, s, ref(s, kind, args[0]), args[1]); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "The %s %s has the policy %s.\n", kind, args[0], args[1])
		return err
	})
	return cmd
}

func attach(ctx context.Context, s *server.Store, at packhouse.IdentityRef, policy string) error {
	d := directory(s)
	if info, err := os.Stat(policy); err == nil && info.Mode().IsRegular() {
		text, err := readPolicy(policy)
		if err != nil {
			return err
		}
		return d.PutInline(ctx, at, catalog.InlinePolicyRow{Name: inlineName(policy), Document: text})
	}
	return d.Attach(ctx, at, policyRef(s, policy))
}

// inlineName is the name of the inline policy that a file becomes.
func inlineName(path string) string { return strings.TrimSuffix(filepath.Base(path), ".json") }

// policyRef names a managed policy by its short name, its name or its ARN.
func policyRef(s *server.Store, text string) identity.PolicyRef {
	if long, ok := shortPolicies[text]; ok {
		text = long
	}
	if p, err := identity.ParsePolicyARN(text); err == nil {
		return p
	}
	if _, ok := authz.Managed(text); ok {
		return identity.PolicyRef{Account: "aws", Name: text}
	}
	return identity.PolicyRef{Account: s.Account, Name: text}
}

// newIdentityDetach takes a policy from an identity.
func newIdentityDetach(kind packhouse.PrincipalKind) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "detach NAME POLICY",
		Short:   "Take a policy from a " + string(kind),
		Long:    "Take a policy from a " + string(kind) + ": a managed one, or an inline one by its name.",
		Example: "  packhouse " + string(kind) + " detach NAME read-only",
		Args:    two("NAME", "POLICY"),
	}
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		d, at := directory(s), ref(s, kind, args[0])
		err := d.Detach(ctx, at, policyRef(s, args[1]))
		if packhouse.KindOf(err) == packhouse.KindNotFound {
			if ierr := d.DeleteInline(ctx, at, inlineName(args[1])); packhouse.KindOf(ierr) != packhouse.KindNotFound {
				err = ierr
			}
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "The %s %s has the policy %s no more.\n", kind, args[0], args[1])
		return err
	})
	return cmd
}

// two demands two arguments and names them.
func two(first, second string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 2 {
			return usageError{errors.New(cmd.CommandPath() + " needs " + first + " and " + second + "; see " + cmd.CommandPath() + " --help")}
		}
		return nil
	}
}
