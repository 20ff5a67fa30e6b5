package main

import (
	"context"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse/internal/client"
	"github.com/packhouse/packhouse/internal/codeartifact"
	"github.com/packhouse/packhouse/internal/formats"
	"github.com/packhouse/packhouse/internal/mcp"
)

func newMCP() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "Offer a server's operations to an assistant as tools",
		Long: "Speak the Model Context Protocol on standard input and output, and call a running server with the identity\n" +
			"that the environment or the data directory names. Only operations that read are offered, unless --write is given;\n" +
			"in either case the server's policies decide. The server offers the same tools at /mcp.",
		Args: cobra.NoArgs,
	}
	write := cmd.Flags().Bool("write", false, "offer the operations that change something, too")
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		return mcp.ServeStdio(cmd.Context(), mcp.Options{
			Tools: codeartifact.Tools(formats.ServiceIDs()), Send: signed(c), Write: *write, Version: version()})
	}
	return cmd
}

// signed makes calls with the client's key.
func signed(c *client.Client) mcp.Send {
	return func(ctx context.Context, r codeartifact.Request) (mcp.Answer, error) {
		// As the SDKs do, so that the same call may be made twice within a second.
		r.Header.Set("Amz-Sdk-Invocation-Id", uuid.NewString())
		a, err := c.Send(ctx, r.Method, r.Path, r.Query, r.Header, r.Body)
		if err != nil {
			return mcp.Answer{}, err
		}
		return mcp.Answer(*a), nil
	}
}
