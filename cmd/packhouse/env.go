package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse/internal/client"
	"github.com/packhouse/packhouse/internal/server"
)

func newEnv() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print lines for a shell that point the AWS tools here",
		Long: "Print lines that set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,\n" +
			"AWS_ENDPOINT_URL_CODEARTIFACT and PACKHOUSE_URL for the administrator:\n\n" +
			"  eval \"$(packhouse env)\"\n  packhouse env --shell fish | source\n  packhouse env --shell powershell | Out-String | Invoke-Expression",
		Args: cobra.NoArgs,
	}
	shell := cmd.Flags().String("shell", "", "sh, fish or powershell (default: what SHELL says)")
	_ = cmd.RegisterFlagCompletionFunc("shell", cobra.FixedCompletions([]string{"sh", "fish", "powershell"}, cobra.ShellCompDirectiveNoFileComp))
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		if !exists(server.AWSCredentialsFile(c.DataDir)) {
			return fmt.Errorf("%s: %w", c.DataDir, server.ErrNoData)
		}
		// Only the files count: what the shell has set already is what we replace.
		a, err := client.Load(c.DataDir, func(string) string { return "" })
		if err != nil {
			return err
		}
		return printEnv(cmd.OutOrStdout(), *shell, a)
	}
	return cmd
}

// printEnv writes the variables. A session token or profile left over from somewhere
// else would spoil the key, so they are taken out.
func printEnv(w io.Writer, shell string, a client.Config) error {
	if shell == "" {
		shell = "sh"
		if filepath.Base(os.Getenv("SHELL")) == "fish" {
			shell = "fish"
		}
	}
	set, unset := "export %s=%s\n", "unset %s\n"
	quote := quotePOSIX
	switch shell {
	case "sh", "bash", "zsh":
	case "fish":
		set, unset = "set -gx %s %s\n", "set -e %s\n"
		quote = func(s string) string {
			return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
		}
	case "powershell", "pwsh":
		set, unset = "$Env:%s = %s\n", "$Env:%s = $null\n"
		quote = func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	default:
		return usageError{fmt.Errorf("--shell: %q is not allowed; allowed: sh, fish or powershell", shell)}
	}
	for _, v := range [][2]string{
		{"AWS_ACCESS_KEY_ID", a.AccessKeyID}, {"AWS_SECRET_ACCESS_KEY", a.Secret}, {"AWS_REGION", a.Region},
		{"AWS_DEFAULT_REGION", a.Region}, // all that older AWS tools know
		{"AWS_ENDPOINT_URL_CODEARTIFACT", a.Endpoint}, {"PACKHOUSE_URL", a.Endpoint},
	} {
		if _, err := fmt.Fprintf(w, set, v[0], quote(v[1])); err != nil {
			return err
		}
	}
	for _, name := range []string{"AWS_SESSION_TOKEN", "AWS_PROFILE"} {
		if _, err := fmt.Fprintf(w, unset, name); err != nil {
			return err
		}
	}
	return nil
}

// quotePOSIX makes one word of s for sh.
func quotePOSIX(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:+=@") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
