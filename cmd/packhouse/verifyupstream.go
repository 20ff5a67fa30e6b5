package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/client"
	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/formats"
	"github.com/packhouse/packhouse/internal/server"
)

func newVerifyUpstream() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify-upstream FORMAT/NAME",
		Short: "Compare what a repository serves with what the public registry serves",
		Long: "Fetch a package's index from a repository and from the public registry behind it, and print where they differ:\n" +
			"versions, digests, signatures, attestations, publishers, times, deprecations, dependencies, tags.\n" +
			"Addresses, which differ by design, are left out. The exit code is 0 when nothing differs and 1 when something does.",
		Example: "  packhouse verify-upstream npm/left-pad --domain main --repository store\n  packhouse verify-upstream npm/@scope/name --domain main --repository store -o json",
		Args:    one("FORMAT/NAME"),
	}
	domain := cmd.Flags().String("domain", "", "domain of the repository")
	owner := cmd.Flags().String("domain-owner", "", "account of the domain (default: your own)")
	repository := cmd.Flags().String("repository", "", "name of the repository")
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir", "connection")
	_ = cmd.MarkFlagRequired("domain")
	_ = cmd.MarkFlagRequired("repository")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		v, err := newVerification(cmd, args[0], *repository)
		if err != nil {
			return err
		}
		defer v.fetch.Close()
		v.query = url.Values{"domain": {*domain}}
		if *owner != "" {
			v.query.Set("domain-owner", *owner)
		}
		report, err := v.run(cmd.Context())
		if err != nil {
			return err
		}
		if *form == "table" && len(report.Differences) == 0 {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %d versions, nothing differs from %s\n", report.Package, report.Versions, report.Connection)
			return err
		}
		var rows [][]string
		for _, d := range report.Differences {
			rows = append(rows, []string{orDash(d.Version), d.Field, orDash(shorten(d.Served)), orDash(shorten(d.Upstream))})
		}
		if err := list(cmd.OutOrStdout(), *form, report, []string{"VERSION", "FIELD", "SERVED", "UPSTREAM"}, rows); err != nil {
			return err
		}
		if len(report.Differences) > 0 {
			return errTold
		}
		return nil
	}
	return cmd
}

// upstreamReport is what verify-upstream found.
type upstreamReport struct {
	Package     string              `json:"package"` // as it was asked for
	Connection  string              `json:"externalConnectionName"`
	Versions    int                 `json:"versions"` // of the public registry
	Differences []format.Difference `json:"differences"`
}

// verification is one comparison.
type verification struct {
	room       format.Format
	name       packhouse.PackageName
	asked      string // FORMAT/NAME
	repository string
	query      url.Values // names the domain
	config     *config.Config
	client     *client.Client
	fetch      *fetch.Client
}

func newVerification(cmd *cobra.Command, asked, repository string) (*verification, error) {
	v := &verification{asked: asked, repository: repository}
	id, rest, _ := strings.Cut(asked, "/")
	at := slices.IndexFunc(formats.All(), func(f format.Format) bool {
		_, pulls := f.(format.Puller)
		_, compares := f.(format.Comparer)
		return string(f.Spec().ID) == id && pulls && compares
	})
	if at < 0 || rest == "" {
		return nil, usageError{fmt.Errorf("%q is not allowed; give a package as npm/NAME or npm/@SCOPE/NAME", asked)}
	}
	v.room = formats.All()[at]
	namespace, name := "", rest
	if i := strings.LastIndexByte(rest, '/'); i >= 0 {
		namespace, name = rest[:i], rest[i+1:]
	}
	var err error
	if v.name, err = v.room.Canonical(namespace, name); err != nil {
		return nil, err
	}
	if v.config, err = loadConfig(cmd); err != nil {
		return nil, err
	}
	if v.client, err = newClient(cmd); err != nil {
		return nil, err
	}
	v.fetch = fetch.New(fetch.Options{UserAgent: "packhouse/" + version()})
	return v, nil
}

// run fetches both indexes and compares them.
func (v *verification) run(ctx context.Context) (upstreamReport, error) {
	report := upstreamReport{Package: v.asked, Differences: []format.Difference{}}
	setup := format.Setup{}
	query := url.Values{}
	for k, values := range v.query {
		query[k] = values
	}
	const tokenLife = 15 * time.Minute // the shortest there is
	if err := fetchSetup(ctx, v.client, query, v.repository, v.room.Spec().ID, tokenLife, &setup); err != nil {
		return report, err
	}
	served, err := v.index(ctx, fetch.Connection{Name: "repository " + v.repository, Format: v.room.Spec().ID,
		URL: setup.Endpoint, Secret: fetch.NewSecret(setup.Token)})
	if err != nil {
		return report, err
	}
	names, err := v.connections(ctx, v.repository, map[string]bool{})
	if err != nil {
		return report, err
	}
	conns := server.Connections(v.config.Connections, server.Discover(ctx, formats.All(), v.config.Connections, slog.New(slog.DiscardHandler)))
	for _, name := range names {
		upstream, err := v.index(ctx, conns[name])
		if packhouse.KindOf(err) == packhouse.KindNotFound && err != nil {
			continue
		}
		if err != nil {
			return report, err
		}
		report.Connection = name
		report.Versions, report.Differences, err = v.room.(format.Comparer).CompareIndexes(served, upstream)
		return report, err
	}
	return report, packhouse.NotFoundf(packhouse.ResourcePackage, v.asked, "no external connection behind repository %s has %s", v.repository, v.asked)
}

// index fetches the package's index of a registry.
func (v *verification) index(ctx context.Context, conn fetch.Connection) ([]byte, error) {
	got, err := v.room.(format.Puller).FetchIndex(ctx, getter{v.fetch, conn}, v.name, format.Validators{})
	return got.Body, err
}

// getter asks one registry.
type getter struct {
	client *fetch.Client
	conn   fetch.Connection
}

func (g getter) Get(ctx context.Context, path string, h http.Header, prior format.Validators) (format.Response, error) {
	return g.client.Get(ctx, g.conn, path, h, prior)
}

// connections lists the external connections of the format behind a repository, nearest
// first.
func (v *verification) connections(ctx context.Context, repository string, seen map[string]bool) ([]string, error) {
	if seen[repository] {
		return nil, nil
	}
	seen[repository] = true
	query := url.Values{"repository": {repository}}
	for k, values := range v.query {
		query[k] = values
	}
	var at struct {
		Repository struct {
			Upstreams []upstream `json:"upstreams"`
			External  []struct {
				Name   string             `json:"externalConnectionName"`
				Format packhouse.FormatID `json:"packageFormat"`
			} `json:"externalConnections"`
		} `json:"repository"`
	}
	if err := v.client.Call(ctx, http.MethodGet, "/v1/repository", query, nil, &at); err != nil {
		return nil, fmt.Errorf("look at repository %s: %w", repository, err)
	}
	var names []string
	for _, up := range at.Repository.Upstreams {
		further, err := v.connections(ctx, up.Name, seen)
		if err != nil {
			return nil, err
		}
		names = append(names, further...)
	}
	for _, c := range at.Repository.External {
		if c.Format == v.room.Spec().ID {
			names = append(names, c.Name)
		}
	}
	return names, nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// shorten keeps a value to one column.
func shorten(s string) string {
	const most = 60
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}
