package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse/internal/client"
	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/server"
)

// What an ephemeral server begins with.
const (
	ephemeralDomain     = "main"
	ephemeralRepository = "store"
)

// serveEphemeral runs a server that keeps nothing: packages and database are in memory,
// the few files that are needed besides are in a directory of their own, which is removed
// at the end. It prints the variables for clients on standard output once it answers.
func serveEphemeral(cmd *cobra.Command, c *config.Config, log *slog.Logger) (err error) {
	if c.Origin("data_dir") == config.FromFlag {
		return usageError{errors.New("--ephemeral keeps nothing, so it takes no --data-dir")}
	}
	// Everybody knows the key: what some file or variable says about another server does
	// not open this one.
	if c.Origin("listen") != config.FromFlag && !isLoopback(c.Listen) {
		return usageError{fmt.Errorf("an ephemeral server has a key that everybody knows; to let other hosts reach it, say so with --listen %s", c.Listen)}
	}
	if c.DataDir, err = os.MkdirTemp("", "packhouse-ephemeral-"); err != nil {
		return fmt.Errorf("make a directory for keys: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.DataDir)) }()
	s, err := server.Build(cmd.Context(), c, server.Options{Log: log, Version: version(), Ephemeral: true})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // waited for below
	err = furnish(ctx, client.Config{Endpoint: s.URL, Region: c.Region, AccessKeyID: server.EphemeralKeyID, Secret: server.EphemeralSecret}, cmd)
	if err != nil && cmd.Context().Err() == nil {
		stop()
		return errors.Join(err, <-ended)
	}
	return <-ended
}

// furnish makes a domain and a repository and prints the variables.
func furnish(ctx context.Context, at client.Config, cmd *cobra.Command) error {
	c, err := client.New(at)
	if err != nil {
		return err
	}
	q := quickstart{client: c, domain: ephemeralDomain, say: func(string, ...any) {}}
	if err := q.run(ctx, ephemeralRepository); err != nil {
		return err
	}
	return printEnv(cmd.OutOrStdout(), "sh", at)
}

// isLoopback reports whether only this host can reach an address to listen on.
func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
