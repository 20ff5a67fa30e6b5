package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/client"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/formats"
)

func newLogin() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "login CLIENT",
		Short:   "Point a package manager at a repository",
		Long:    "Get a token for a repository's domain and set a package manager up with it, as `aws codeartifact login` does.\n\nClients: " + clientNames(),
		Example: "  packhouse login npm --domain main --repository store\n  packhouse login npm --domain main --repository store --namespace @acme",
		Args:    one("CLIENT"),
	}
	f := cmd.Flags()
	domain := f.String("domain", "", "domain of the repository")
	owner := f.String("domain-owner", "", "account of the domain (default: your own)")
	repository := f.String("repository", "", "name of the repository")
	scope := f.String("namespace", "", "only for packages of this scope or namespace")
	duration := f.Duration("duration", 12*time.Hour, "how long the token lasts: 15m to 12h")
	show := f.Bool("print", false, "only show what would be written")
	settingFlags(cmd, "data-dir")
	_ = cmd.MarkFlagRequired("domain")
	_ = cmd.MarkFlagRequired("repository")
	cmd.ValidArgsFunction = completeClients
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		pm, id, err := findClient(args[0])
		if err != nil {
			return err
		}
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		setup := format.Setup{Scope: *scope, Print: *show}
		query := url.Values{"domain": {*domain}}
		if *owner != "" {
			query.Set("domain-owner", *owner)
		}
		if err := fetchSetup(cmd.Context(), c, query, *repository, id, *duration, &setup); err != nil {
			return err
		}
		lines, err := pm.Login(cmd.Context(), setup)
		if err != nil {
			return fmt.Errorf("set up %s: %w", pm.Name, err)
		}
		for _, l := range lines {
			fmt.Fprintln(cmd.OutOrStdout(), l)
		}
		if !*show {
			fmt.Fprintf(cmd.OutOrStdout(), "The login lasts until %s.\n", setup.Expires.Local().Format("2006-01-02 15:04 MST"))
		}
		return nil
	}
	return cmd
}

// fetchSetup makes the two calls that the AWS tool makes (codeartifact.md 3.11), in its
// order.
func fetchSetup(ctx context.Context, c *client.Client, query url.Values, repository string, id packhouse.FormatID, d time.Duration, s *format.Setup) error {
	seconds := url.Values{"duration": {strconv.Itoa(int(math.Ceil(d.Seconds())))}}
	for k, v := range query {
		seconds[k] = v
	}
	var token struct {
		Token   string  `json:"authorizationToken"`
		Expires float64 `json:"expiration"`
	}
	if err := c.Call(ctx, http.MethodPost, "/v1/authorization-token", seconds, nil, &token); err != nil {
		return fmt.Errorf("get a token: %w", err)
	}
	query.Set("repository", repository)
	query.Set("format", string(id))
	var at struct {
		Endpoint string `json:"repositoryEndpoint"`
	}
	if err := c.Call(ctx, http.MethodGet, "/v1/repository/endpoint", query, nil, &at); err != nil {
		return fmt.Errorf("get the repository's address: %w", err)
	}
	if token.Token == "" || at.Endpoint == "" {
		return errors.New("the server answered without a token or an address")
	}
	s.Token, s.Endpoint = token.Token, at.Endpoint
	s.Expires = time.Unix(int64(token.Expires), 0)
	return nil
}

func newLogout() *cobra.Command {
	return &cobra.Command{
		Use:               "logout CLIENT",
		Short:             "Take back what login wrote",
		Long:              "Take back exactly what `packhouse login` wrote.\n\nClients: " + clientNames(),
		Args:              one("CLIENT"),
		ValidArgsFunction: completeClients,
		RunE: func(cmd *cobra.Command, args []string) error {
			pm, _, err := findClient(args[0])
			if err != nil {
				return err
			}
			lines, err := pm.Logout(cmd.Context())
			if err != nil {
				return fmt.Errorf("set up %s: %w", pm.Name, err)
			}
			for _, l := range lines {
				fmt.Fprintln(cmd.OutOrStdout(), l)
			}
			return nil
		},
	}
}

// findClient finds a package manager by name among all formats.
func findClient(name string) (format.Client, packhouse.FormatID, error) {
	for _, f := range formats.All() {
		if s, ok := f.(format.ClientSetup); ok {
			for _, c := range s.Clients() {
				if c.Name == name {
					return c, f.Spec().ID, nil
				}
			}
		}
	}
	return format.Client{}, "", usageError{fmt.Errorf("there is no client %q to set up; there is: %s", name, clientNames())}
}

func clientNames() string {
	names := ""
	for _, f := range formats.All() {
		if s, ok := f.(format.ClientSetup); ok {
			for _, c := range s.Clients() {
				if names != "" {
					names += ", "
				}
				names += c.Name
			}
		}
	}
	return names
}

func completeClients(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, f := range formats.All() {
		if s, ok := f.(format.ClientSetup); ok {
			for _, c := range s.Clients() {
				names = append(names, c.Name)
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
