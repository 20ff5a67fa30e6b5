package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse/internal/config"
)

func newConfig() *cobra.Command {
	return group("config", "Show, check and document the server's settings", newConfigShow(), newConfigCheck(), newConfigDocs())
}

func newConfigShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show every setting, its value and where it came from",
		Args:  cobra.NoArgs,
	}
	form := outputFlag(cmd)
	settingFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		type setting struct {
			Key    string `json:"key"`
			Value  string `json:"value"`
			Origin string `json:"origin"`
		}
		var all []setting
		var rows [][]string
		add := func(key, value string, from config.Origin) {
			all = append(all, setting{key, value, string(from)})
			rows = append(rows, []string{key, value, string(from)})
		}
		for _, s := range config.Settings() {
			add(s.Key, c.Text(s), c.Origin(s.Key))
		}
		for _, conn := range c.Connections {
			add("connections."+conn.Name, conn.URL, conn.Origin)
		}
		return list(cmd.OutOrStdout(), *form, all, []string{"KEY", "VALUE", "FROM"}, rows)
	}
	return cmd
}

func newConfigCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the settings without starting anything",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			for _, w := range c.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+w)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "The configuration is good.")
			return err
		},
	}
	settingFlags(cmd)
	return cmd
}

func newConfigDocs() *cobra.Command {
	return &cobra.Command{
		Use:   "docs",
		Short: "Print the configuration reference as Markdown",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), config.Reference())
			return err
		},
	}
}
