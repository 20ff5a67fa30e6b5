package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/server"
)

// onStore makes the body of a command that works on the data directory, beside a running
// server.
func onStore(run func(ctx context.Context, s *server.Store, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		s, err := openStore(cmd.Context(), cmd)
		if err != nil {
			return err
		}
		defer closing(s, &err)
		return run(cmd.Context(), s, args)
	}
}

// directory is the administration of a store's identities by its operator.
func directory(s *server.Store) identity.Directory {
	return identity.Directory{Catalog: s.Catalog, Note: packhouse.Change{Door: "command"}}
}
