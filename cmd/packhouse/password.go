package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
)

func newUserPassword() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "password NAME",
		Short: "Set a user's password, for signing in with a package manager",
		Long: "Set a user's password. On a terminal it is asked for twice; --stdin reads it from standard input, --generate makes\n" +
			"one and prints it once. Tokens that exist stay good: `packhouse token revoke` ends them.",
		Example: "  packhouse user password dana\n  packhouse user password dana --generate",
		Args:    one("NAME"),
	}
	stdin := cmd.Flags().Bool("stdin", false, "read the password from standard input")
	generate := cmd.Flags().Bool("generate", false, "make a password and print it once")
	remove := cmd.Flags().Bool("remove", false, "take the password away")
	cmd.MarkFlagsMutuallyExclusive("stdin", "generate", "remove")
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		password := ""
		switch {
		case *remove:
		case *generate:
			password = rand.Text()
		case *stdin:
			password, err = readLine(cmd.InOrStdin())
		default:
			password, err = askTwice(cmd)
		}
		if err != nil {
			return err
		}
		if password == "" && !*remove {
			return usageError{errors.New("the password is empty; --remove takes a password away")}
		}
		s, err := openStore(cmd.Context(), cmd)
		if err != nil {
			return err
		}
		defer closing(s, &err)
		if err := identity.SetPassword(cmd.Context(), s.Catalog, packhouse.Principal{}, s.Account, args[0], password); err != nil {
			return err
		}
		switch {
		case *remove:
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "User %s has no password any more.\n", args[0])
		case *generate:
			fmt.Fprintf(cmd.ErrOrStderr(), "Set the password of user %s. It is shown this once:\n", args[0])
			_, err = fmt.Fprintln(cmd.OutOrStdout(), password)
		default:
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Set the password of user %s.\n", args[0])
		}
		return err
	}
	return cmd
}

// readLine reads a password that a script passes, without the end of its line.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, identity.MaxPassword+2)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// askTwice asks for a password on the terminal, without showing it.
func askTwice(cmd *cobra.Command) (string, error) {
	terminal, ok := cmd.InOrStdin().(*os.File)
	if !ok {
		return "", noTerminal()
	}
	show, err := hideInput(terminal)
	if err != nil {
		return "", noTerminal()
	}
	defer show()
	lines := bufio.NewReader(io.LimitReader(terminal, 4*identity.MaxPassword))
	ask := func(prompt string) (string, error) {
		fmt.Fprint(cmd.ErrOrStderr(), prompt)
		line, err := lines.ReadString('\n')
		fmt.Fprintln(cmd.ErrOrStderr())
		return strings.TrimRight(line, "\r\n"), err
	}
	first, err := ask("Password: ")
	if err != nil {
		return "", err
	}
	second, err := ask("Again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", usageError{errors.New("the two passwords differ; nothing was changed")}
	}
	return first, nil
}

func noTerminal() error {
	return usageError{errors.New("there is no terminal to ask for the password on; use --stdin or --generate")}
}

func newUserOTP() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "otp NAME",
		Short: "Give a user a second factor: one-time passwords of an authenticator app",
		Long: "Give a user a second factor, in the place of any other, and print its key once. From then on the user's own tokens\n" +
			"change nothing without a one-time password. Access keys, registry tokens and tokens made with --automation need none.",
		Example: "  packhouse user otp dana\n  packhouse user otp dana --remove",
		Args:    one("NAME"),
	}
	remove := cmd.Flags().Bool("remove", false, "take the second factor away")
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		s, err := openStore(cmd.Context(), cmd)
		if err != nil {
			return err
		}
		defer closing(s, &err)
		if *remove {
			if err := identity.RemoveSecondFactor(cmd.Context(), s.Catalog, packhouse.Principal{}, s.Account, args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "User %s has no second factor any more.\n", args[0])
			return err
		}
		key, err := identity.EnrolSecondFactor(cmd.Context(), s.Catalog, packhouse.Principal{}, s.Account, args[0])
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "User %s has a second factor. Put one of these into an authenticator app; they are shown this once:\n", args[0])
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n", key.URL, key.Secret)
		return err
	}
	return cmd
}
