package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/server"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server until SIGTERM or Ctrl-C. The first start makes the data directory, an account and an administrator.\n" +
			"Every flag is also a variable (PACKHOUSE_LISTEN and so on) and a key of the configuration file;\n" +
			"`packhouse config docs` lists all settings.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			log := server.NewLogger(cmd.ErrOrStderr(), c.Log)
			for _, w := range c.Warnings {
				log.Warn("configuration", "warning", w)
			}
			if ephemeral, _ := cmd.Flags().GetBool("ephemeral"); ephemeral {
				return serveEphemeral(cmd, c, log)
			}
			s, err := server.Build(cmd.Context(), c, server.Options{Log: log, Version: version()})
			if err != nil {
				return err
			}
			welcome(cmd.OutOrStdout(), c, s)
			return s.Run(cmd.Context())
		},
	}
	cmd.Flags().Bool("ephemeral", false, "keep everything in memory and use keys that everybody knows, for tests")
	settingFlags(cmd)
	return cmd
}

// welcome says where the server is and what to type next, without any secret.
func welcome(w io.Writer, c *config.Config, s *server.Server) {
	fmt.Fprintf(w, "Packhouse %s at %s\n", version(), s.URL)
	if !s.Fresh {
		fmt.Fprintf(w, "data %s, account %s, region %s\n", c.DataDir, s.Account(), c.Region)
		return
	}
	flag := ""
	if c.Origin("data_dir") != config.FromDefault {
		flag = " --data-dir " + quotePOSIX(c.DataDir)
	}
	fmt.Fprintf(w, "account %s, region %s, data in %s\n", s.Account(), c.Region, c.DataDir)
	fmt.Fprintf(w, "The administrator's access key is in %s (profile %q).\n\n", server.AWSCredentialsFile(c.DataDir), server.Profile)
	fmt.Fprintf(w, "Next, in another terminal:\n")
	fmt.Fprintf(w, "  eval \"$(packhouse env%s)\"\n", flag)
	fmt.Fprintf(w, "  packhouse quickstart\n")
	fmt.Fprintf(w, "  packhouse login npm --domain main --repository store\n")
}
