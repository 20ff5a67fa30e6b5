package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/formats"
	"github.com/packhouse/packhouse/internal/server"
)

// settingFlags adds the flags of settings to a command: all of them, or those named.
func settingFlags(cmd *cobra.Command, only ...string) {
	f := cmd.Flags()
	f.String("config", "", "configuration file (YAML); also PACKHOUSE_CONFIG")
	for _, s := range config.Settings() {
		if s.Flag == "" || len(only) > 0 && !contains(only, s.Flag) {
			continue
		}
		// No default here: a flag that was not given must not hide the file's value.
		f.String(s.Flag, "", s.Help+defaultNote(s.Default))
		f.Lookup(s.Flag).DefValue = ""
	}
	if len(only) == 0 || contains(only, "connection") {
		f.StringArray("connection", nil, "address of an external connection: NAME=URL, or NAME=FORMAT,URL for one of your own; may be repeated")
	}
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

func defaultNote(text string) string {
	if text == "" {
		return ""
	}
	return " (default " + text + ")"
}

// loadConfig reads the configuration as the command's flags and the environment say.
func loadConfig(cmd *cobra.Command) (*config.Config, error) {
	rooms := formats.All()
	in := config.Input{Flags: map[string]string{}, Environ: os.Environ(),
		Known: formats.ServiceConnections(), Formats: server.PullFormats(rooms), File: os.Getenv("PACKHOUSE_CONFIG")}
	given := map[string]string{}
	cmd.Flags().Visit(func(f *pflag.Flag) { given[f.Name] = f.Value.String() })
	if path, ok := given["config"]; ok {
		in.File = path
	}
	for _, s := range config.Settings() {
		if v, ok := given[s.Flag]; ok && s.Flag != "" {
			in.Flags[s.Key] = v
		}
	}
	if cmd.Flags().Lookup("connection") != nil {
		in.Connections, _ = cmd.Flags().GetStringArray("connection")
	}
	c, err := config.Load(in)
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// openStore opens the data directory beside a running server.
func openStore(ctx context.Context, cmd *cobra.Command) (*server.Store, error) {
	c, err := loadConfig(cmd)
	if err != nil {
		return nil, err
	}
	s, err := server.OpenStore(ctx, server.StoreOptions{Dir: c.DataDir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	if err := chooseAccount(ctx, cmd, s); err != nil {
		closing(s, &err)
		return nil, err
	}
	return s, nil
}

func closing(c io.Closer, err *error) {
	if cerr := c.Close(); *err == nil {
		*err = cerr
	}
}
