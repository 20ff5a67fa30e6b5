package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse/internal/client"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/formats"
)

func newQuickstart() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quickstart",
		Short: "Create a domain and a repository with the public registries behind it",
		Long: "Create domain \"main\" and repository \"store\" on a running server, with one upstream repository per public\n" +
			"registry that the server knows. It may be repeated; what exists is left alone.",
		Args: cobra.NoArgs,
	}
	domain := cmd.Flags().String("domain", "main", "name of the domain")
	repository := cmd.Flags().String("repository", "store", "name of the repository")
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		q := quickstart{client: c, domain: *domain, say: func(format string, args ...any) {
			fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
		}}
		if err := q.run(cmd.Context(), *repository); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Ready: repository %s in domain %s at %s\n", *repository, *domain, c.Endpoint())
		return err
	}
	return cmd
}

// newClient makes a client of the server that the environment or the data directory
// names.
func newClient(cmd *cobra.Command) (*client.Client, error) {
	c, err := loadConfig(cmd)
	if err != nil {
		return nil, err
	}
	conf, err := client.Load(c.DataDir, os.Getenv)
	if err != nil {
		return nil, err
	}
	return client.New(conf)
}

// quickstart makes a small set-up, each step only where it is missing.
type quickstart struct {
	client *client.Client
	domain string
	say    func(format string, args ...any)
}

// repositoryAnswer is what we read of RepositoryDescription.
type repositoryAnswer struct {
	Repository struct {
		Upstreams           []upstream `json:"upstreams"`
		ExternalConnections []struct {
			Name string `json:"externalConnectionName"`
		} `json:"externalConnections"`
	} `json:"repository"`
}

type upstream struct {
	Name string `json:"repositoryName"`
}

func (q *quickstart) run(ctx context.Context, name string) error {
	if err := q.ensure(ctx, "/v1/domain", url.Values{"domain": {q.domain}}, "domain "+q.domain, nil); err != nil {
		return err
	}
	var stores []string
	for _, f := range formats.All() {
		p, ok := f.(format.Puller)
		if !ok {
			continue
		}
		for _, c := range p.Connections() {
			if c.Store == "" {
				continue
			}
			if err := q.store(ctx, c); err != nil {
				return err
			}
			stores = append(stores, c.Store)
		}
	}
	return q.front(ctx, name, stores)
}

// store makes the repository that stands before a public registry.
func (q *quickstart) store(ctx context.Context, c format.PublicConnection) error {
	var at repositoryAnswer
	if err := q.ensure(ctx, "/v1/repository", q.query(c.Store), "repository "+c.Store, &at); err != nil {
		return err
	}
	for _, have := range at.Repository.ExternalConnections {
		if have.Name == c.Name {
			return nil
		}
	}
	query := q.query(c.Store)
	query.Set("external-connection", c.Name)
	if err := q.create(ctx, "/v1/repository/external-connection", query); err != nil {
		return fmt.Errorf("connect %s to %s: %w", c.Store, c.Name, err)
	}
	q.say("connected %s to %s", c.Store, c.Name)
	return nil
}

// front makes the repository that people use, and puts stores that it lacks behind it.
func (q *quickstart) front(ctx context.Context, name string, stores []string) error {
	var at repositoryAnswer
	if err := q.ensure(ctx, "/v1/repository", q.query(name), "repository "+name, &at); err != nil {
		return err
	}
	upstreams := at.Repository.Upstreams
	for _, s := range stores {
		if !slices.Contains(upstreams, upstream{s}) {
			upstreams = append(upstreams, upstream{s})
		}
	}
	if len(upstreams) == len(at.Repository.Upstreams) {
		return nil
	}
	if err := q.client.Call(ctx, http.MethodPut, "/v1/repository", q.query(name), map[string]any{"upstreams": upstreams}, nil); err != nil {
		return fmt.Errorf("set upstreams of %s: %w", name, err)
	}
	for _, u := range upstreams[len(at.Repository.Upstreams):] {
		q.say("put %s behind %s", u.Name, name)
	}
	return nil
}

// ensure reads a thing into out, and makes it where it is missing. It looks first:
// making again what this very second made would repeat a signature, which the server
// refuses.
func (q *quickstart) ensure(ctx context.Context, path string, query url.Values, what string, out any) error {
	err := q.client.Call(ctx, http.MethodGet, path, query, nil, out)
	var refused *client.Error
	if errors.As(err, &refused) && refused.Type == "ResourceNotFoundException" {
		if err = q.create(ctx, path, query); err == nil {
			q.say("created %s", what)
			err = q.client.Call(ctx, http.MethodGet, path, query, nil, out)
		}
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", what, err)
	}
	return nil
}

// create posts; a conflict means that somebody else was quicker.
func (q *quickstart) create(ctx context.Context, path string, query url.Values) error {
	err := q.client.Call(ctx, http.MethodPost, path, query, struct{}{}, nil)
	var refused *client.Error
	if errors.As(err, &refused) && refused.Type == "ConflictException" {
		return nil
	}
	return err
}

func (q *quickstart) query(repository string) url.Values {
	return url.Values{"domain": {q.domain}, "repository": {repository}}
}
