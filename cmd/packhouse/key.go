package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse/internal/keys/local"
	"github.com/packhouse/packhouse/internal/server"
)

func newKey() *cobra.Command {
	return group("key", "Create and list the master keys that domains are encrypted with", newKeyCreate(), newKeyList())
}

func newKeyCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create [ALIAS]",
		Short:   "Create a master key",
		Long:    "Create a master key in the data directory's key file. Domains use it when they are created with it.",
		Example: "  packhouse key create team-a\n  aws codeartifact create-domain --domain team-a --encryption-key alias/team-a",
		Args:    cobra.MaximumNArgs(1),
	}
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		provider, err := openKeys(cmd)
		if err != nil {
			return err
		}
		alias := ""
		if len(args) == 1 {
			alias = strings.TrimPrefix(args[0], "alias/")
		}
		id, err := provider.Add(alias)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), id)
		return err
	}
	return cmd
}

func newKeyList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List master keys", Args: cobra.NoArgs}
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		provider, err := openKeys(cmd)
		if err != nil {
			return err
		}
		type key struct {
			ID      string   `json:"keyId"`
			Aliases []string `json:"aliases"`
			Default bool     `json:"default"`
		}
		all := []key{}
		var rows [][]string
		for _, k := range provider.List() {
			one := key{k.ID, []string{}, k.Default}
			for _, a := range k.Aliases {
				one.Aliases = append(one.Aliases, "alias/"+a)
			}
			use := ""
			if k.Default {
				use = "default"
			}
			all = append(all, one)
			rows = append(rows, []string{k.ID, strings.Join(one.Aliases, ","), use})
		}
		return list(cmd.OutOrStdout(), *form, all, []string{"ID", "ALIASES", "USE"}, rows)
	}
	return cmd
}

func openKeys(cmd *cobra.Command) (*local.Provider, error) {
	c, err := loadConfig(cmd)
	if err != nil {
		return nil, err
	}
	path := server.KeyFile(c.DataDir)
	if !exists(path) {
		return nil, fmt.Errorf("%s: %w", filepath.Dir(path), server.ErrNoData)
	}
	return local.Open(path)
}
