package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/server"
)

func newRole() *cobra.Command {
	const kind = packhouse.KindRole
	return ofAccount(group("role", "Create and list roles, and who may assume them",
		newRoleCreate(), newIdentityList(kind), newIdentityGet(kind), newIdentityDelete(kind), newRoleTrust(),
		newIdentityAttach(kind), newIdentityDetach(kind), newIdentityBoundary(kind)))
}

func newRoleCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create NAME --trust FILE",
		Short: "Create a role",
		Long: "Create a role that others assume for a while, with `aws sts assume-role` or a token of their CI system.\n" +
			"The trust policy says who may. --policy may be repeated. " + policyHelp,
		Example: "  packhouse role create deploy --trust trust.json --policy read-only",
		Args:    one("NAME"),
	}
	trust := cmd.Flags().String("trust", "", "file with the trust policy")
	description := cmd.Flags().String("description", "", "what the role is for")
	longest := cmd.Flags().Duration("max-session", identity.DefaultMaxSession, "how long a session lasts at most, 1h to 12h")
	policies := cmd.Flags().StringArray("policy", nil, "policy of the role; may be repeated")
	path := pathFlag(cmd)
	boundary := boundaryFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		if *trust == "" {
			return usageError{errors.New("--trust: a file is needed that says who may assume the role")}
		}
		document, err := readTrust(*trust)
		if err != nil {
			return err
		}
		return createIdentity(ctx, cmd, s, placed(s, packhouse.KindRole, *path, args[0]), identity.NewIdentity{Trust: document,
			Description: *description, MaxSession: longest.Truncate(time.Second), Boundary: boundaryRef(s, *boundary)}, *policies)
	})
	return cmd
}

func readTrust(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", usageError{fmt.Errorf("--trust: %w", err)}
	}
	if info.Size() > authz.MaxIdentityPolicy {
		return "", usageError{fmt.Errorf("--trust: %s is larger than %d bytes", filepath.Base(path), authz.MaxIdentityPolicy)}
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

func newRoleTrust() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "trust NAME FILE",
		Short:   "Replace a role's trust policy",
		Example: "  packhouse role trust deploy trust.json",
		Args:    two("NAME", "FILE"),
	}
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		document, err := readTrust(args[1])
		if err != nil {
			return err
		}
		if _, err := directory(s).Update(ctx, ref(s, packhouse.KindRole, args[0]), identity.Update{Trust: &document}); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "The role %s has a new trust policy.\n", args[0])
		return err
	})
	return cmd
}
