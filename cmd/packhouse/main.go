// Command packhouse is the server and the tools around it, one file per command.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run runs one command line and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once, as if we had never asked for the first.
	context.AfterFunc(ctx, stop)

	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	if !errors.Is(err, errTold) {
		fmt.Fprintln(stderr, "packhouse: "+explain(err))
	}
	return exitCode(ctx, err)
}

// newRoot makes the command tree.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "packhouse",
		Short:         "The artifact repository a team runs itself",
		Long:          "Packhouse keeps packages of every kind in one store and speaks AWS CodeArtifact and every package manager's own protocol.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(
		newServe(), newQuickstart(), newLogin(), newLogout(), newEnv(),
		newAccount(), newUser(), newGroup(), newRole(), newTrust(), newToken(), newKey(), newConnections(), newCooldown(), newBlock(), newReadOnly(),
		newVerify(), newVerifyUpstream(), newSigning(), newMCP(), newPolicy(), newAudit(), newEvent(), newHook(),
		newConfig(), newDoctor(), newVersion())
	return root
}

// group makes a command that only holds others. A word that is none of them is an
// error, with the nearest that is.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			text := fmt.Sprintf("%s has no command %q", cmd.CommandPath(), args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += fmt.Sprintf("; did you mean %q?", near[0])
			}
			return usageError{errors.New(text)}
		},
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(commands...)
	return cmd
}
