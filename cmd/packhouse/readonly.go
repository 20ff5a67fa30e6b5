package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse/internal/server"
)

func newReadOnly() *cobra.Command {
	return group("read-only", "Switch writes off and on, for maintenance and backups", newReadOnlySwitch(true), newReadOnlySwitch(false))
}

func newReadOnlySwitch(on bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "off",
		Short: "Take writes again",
		Args:  cobra.NoArgs,
	}
	done := "writes are taken again within a second"
	reason := new(string)
	if on {
		cmd.Use, cmd.Short = "on", "Refuse writes with 503; everything that is stored can be read"
		cmd.Example = "  packhouse read-only on --reason \"moving to another disk, back at noon\""
		cmd.Flags().StringVar(reason, "reason", "", "one line that clients are told")
		done = "writes are refused within a second, and after a restart; `packhouse read-only off` ends that"
	}
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		if err := server.SetReadOnly(c.DataDir, on, *reason); err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), done)
		return err
	}
	return cmd
}
