package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/server"
)

func newTrust() *cobra.Command {
	return ofAccount(group("trust", "Trust the tokens of CI systems and other OpenID Connect issuers", newTrustCreate(), newTrustList(), newTrustDelete()))
}

func newTrustCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create URL",
		Short: "Trust an OpenID Connect issuer",
		Long: "Trust the tokens of an OpenID Connect issuer that are made for one of the audiences. What they are good for is said by\n" +
			"the trust policies of roles. An issuer on a private address needs the setting auth.issuer_hosts.",
		Example: "  packhouse trust create https://ci.example.com --audience packhouse",
		Args:    one("URL"),
	}
	audiences := cmd.Flags().StringArray("audience", nil, "audience that tokens must name; may be repeated")
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		if len(*audiences) == 0 {
			return usageError{fmt.Errorf("--audience: one is needed; without, no token passes")}
		}
		row, err := directory(s).CreateProvider(ctx, s.Account, args[0], *audiences, nil)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), packhouse.ProviderARN(row.Account, row.Issuer))
		return err
	})
	return cmd
}

func newTrustList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List trusted issuers", Args: cobra.NoArgs}
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, _ []string) error {
		type provider struct {
			URL       string    `json:"url"`
			ARN       string    `json:"arn"`
			Audiences []string  `json:"clientIDList"`
			Created   time.Time `json:"createDate"`
		}
		all := []provider{}
		var rows [][]string
		providers, err := directory(s).Providers(ctx, s.Account)
		if err != nil {
			return err
		}
		for _, p := range providers {
			arn := packhouse.ProviderARN(p.Account, p.Issuer)
			all = append(all, provider{p.URL, arn, p.Audiences, p.Created})
			rows = append(rows, []string{p.URL, strings.Join(p.Audiences, ","), day(p.Created, "-"), arn})
		}
		return list(cmd.OutOrStdout(), *form, all, []string{"URL", "AUDIENCES", "CREATED", "ARN"}, rows)
	})
	return cmd
}

func newTrustDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete URL",
		Short: "Trust an issuer no more",
		Long:  "Trust an issuer no more. Sessions that began with its tokens last until they expire.",
		Args:  one("URL"),
	}
	settingFlags(cmd, "data-dir")
	cmd.RunE = onStore(func(ctx context.Context, s *server.Store, args []string) error {
		_, name, err := identity.ParseIssuer(args[0])
		if err != nil {
			return err
		}
		if err := directory(s).DeleteProvider(ctx, s.Account, name); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Tokens of %s are not accepted any more.\n", args[0])
		return err
	})
	return cmd
}
