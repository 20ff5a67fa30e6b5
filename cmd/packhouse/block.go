package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse/internal/codeartifact"
)

// blocksPath is where the server keeps what is blocked.
const blocksPath = "/guard/blocks"

// blockTarget is what a block is of, on the command line.
const blockTarget = "PACKAGE[@VERSION]|sha256:HEX"

func newBlock() *cobra.Command {
	return group("block", "Keep packages, versions or bytes from everybody at once", newBlockAdd(), newBlockRelease(), newBlockList())
}

func newBlockAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add " + blockTarget,
		Short: "Block a package, a version or bytes in a domain",
		Long: "Block a package, a version or bytes in a domain, at once and in all of its repositories: documents leave it out, and downloads,\n" +
			"publishes and copies are refused with the reason. Nothing is deleted; release takes it back.",
		Example: "  packhouse block add npm/left-pad@1.4.0 --domain acme --reason 'steals tokens, see the advisory'\n  packhouse block add sha256:9f86d0… --domain acme",
		Args:    one(blockTarget),
	}
	at := guardFlags(cmd, false)
	reason := cmd.Flags().String("reason", "", "what everybody is told who asks for it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var out codeartifact.BlockJSON
		if err := at.call(cmd, http.MethodPost, blocksPath, at.query(), codeartifact.BlockJSON{Target: args[0], Reason: *reason}, &out); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "%s is blocked in domain %s.\n", out.Target, *at.domain)
		return err
	}
	return cmd
}

func newBlockRelease() *cobra.Command {
	cmd := &cobra.Command{Use: "release " + blockTarget, Short: "Release what is blocked in a domain", Args: one(blockTarget)}
	at := guardFlags(cmd, false)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := at.call(cmd, http.MethodDelete, blocksPath, at.query([2]string{"target", args[0]}), nil, nil); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "%s is not blocked any more in domain %s.\n", args[0], *at.domain)
		return err
	}
	return cmd
}

func newBlockList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List what is blocked in a domain", Args: cobra.NoArgs}
	form := outputFlag(cmd)
	at := guardFlags(cmd, false)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var out struct {
			Blocks []codeartifact.BlockJSON `json:"blocks"`
		}
		if err := at.call(cmd, http.MethodGet, blocksPath, at.query(), nil, &out); err != nil {
			return err
		}
		var rows [][]string
		for _, b := range out.Blocks {
			rows = append(rows, []string{b.Target, day(*b.Created, "-"), b.Principal, b.Reason})
		}
		return list(cmd.OutOrStdout(), *form, out.Blocks, []string{"TARGET", "SINCE", "BY", "REASON"}, rows)
	}
	return cmd
}
