package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/ops"
)

func newSigning() *cobra.Command {
	return group("signing", "Manage the keys with which published versions are signed", newSigningRotate())
}

func newSigningRotate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Give a domain another signing key",
		Long: "Give a domain another signing key and print its id. What was signed before stays valid: the key before is still\n" +
			"told to clients, with the time at which it ended, an hour from now. A running server uses the new key at once.",
		Example: "  packhouse signing rotate --domain main",
		Args:    cobra.NoArgs,
	}
	domain := cmd.Flags().String("domain", "", "name of the domain")
	settingFlags(cmd, "data-dir")
	_ = cmd.MarkFlagRequired("domain")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		s, err := openStore(cmd.Context(), cmd)
		if err != nil {
			return err
		}
		defer closing(s, &err)
		id, err := ops.RotateSigningKey(cmd.Context(), s.Catalog, packhouse.DomainRef{Owner: s.Account, Name: *domain}, time.Now())
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), id)
		return err
	}
	return cmd
}
