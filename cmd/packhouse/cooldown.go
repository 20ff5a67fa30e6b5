package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse/internal/codeartifact"
	"github.com/packhouse/packhouse/internal/resolve"
)

func newCooldown() *cobra.Command {
	return group("cooldown", "Hold back fresh versions of public registries", newCooldownSet(), newCooldownRemove(), newCooldownList(), newCooldownExplain())
}

// guarded is the domain that a command about what is held back or blocked is for, and the
// repository where it takes one.
type guarded struct{ domain, owner, repository *string }

// guardFlags adds the flags of the place. Domain is required, and repository where it is
// one of them.
func guardFlags(cmd *cobra.Command, repository bool) guarded {
	f := cmd.Flags()
	g := guarded{domain: f.String("domain", "", "name of the domain"), owner: f.String("domain-owner", "", "the domain's account, if it is not yours"), repository: new(string)}
	_ = cmd.MarkFlagRequired("domain")
	if repository {
		g.repository = f.String("repository", "", "name of the repository")
		_ = cmd.MarkFlagRequired("repository")
	}
	settingFlags(cmd, "data-dir")
	return g
}

// query names the place to the server.
func (g guarded) query(more ...[2]string) url.Values {
	q := url.Values{"domain": {*g.domain}}
	if *g.owner != "" {
		q.Set("domain-owner", *g.owner)
	}
	if *g.repository != "" {
		q.Set("repository", *g.repository)
	}
	for _, m := range more {
		q.Set(m[0], m[1])
	}
	return q
}

// call asks the server.
func (g guarded) call(cmd *cobra.Command, method, path string, query url.Values, in, out any) error {
	c, err := newClient(cmd)
	if err != nil {
		return err
	}
	return c.Call(cmd.Context(), method, path, query, in, out)
}

// described is what a cooldown's commands ask of a repository.
type described struct {
	ARN         string     `json:"arn"`
	Connections []struct{} `json:"externalConnections"`
}

// describe asks for the repository.
func (g guarded) describe(cmd *cobra.Command) (described, error) {
	var out struct {
		Repository described `json:"repository"`
	}
	err := g.call(cmd, http.MethodGet, "/v1/repository", g.query(), nil, &out)
	return out.Repository, err
}

func newCooldownSet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Set how old versions must be that a repository takes from its external connection",
		Long: "Set how old a version must be, by its registry's own time, before it can be had through the repository's external connection.\n" +
			"What the repository holds already stays. --allow replaces the list of what is not held back: npm/NAME, npm/@SCOPE/NAME,\n" +
			"either with @VERSION behind it, or a name that ends with a star. Both are tags of the repository.",
		Example: "  packhouse cooldown set --domain acme --repository npm-store --age 72h\n" +
			"  packhouse cooldown set --domain acme --repository npm-store --allow 'npm/@acme/*' --allow npm/left-pad@1.4.1",
		Args: cobra.NoArgs,
	}
	at := guardFlags(cmd, true)
	age := cmd.Flags().String("age", "", "least age, such as 72h; 0s for none, whatever the server is set to")
	allow := cmd.Flags().StringArray("allow", nil, "package or version that is not held back; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		type tag struct {
			Key   string `json:"key"`
			Value string `json:"value"`
		}
		var tags []tag
		if *age != "" {
			if _, err := resolve.ParseAge(*age); err != nil {
				return usageError{fmt.Errorf("--age: %w", err)}
			}
			tags = append(tags, tag{resolve.CooldownAgeTag, *age})
		}
		if cmd.Flags().Changed("allow") {
			list := strings.TrimSpace(strings.Join(*allow, " "))
			if _, err := resolve.ParseExceptions(list); err != nil {
				return usageError{fmt.Errorf("--allow: %w", err)}
			}
			tags = append(tags, tag{resolve.CooldownAllowTag, list})
		}
		if len(tags) == 0 {
			return usageError{errors.New("one of --age and --allow is needed")}
		}
		repo, err := at.describe(cmd)
		if err != nil {
			return err
		}
		err = at.call(cmd, http.MethodPost, "/v1/tag", url.Values{"resourceArn": {repo.ARN}}, map[string]any{"tags": tags}, nil)
		if err == nil && len(repo.Connections) == 0 {
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Repository %s has no external connection, so this holds nothing back yet. The rule counts in the repository "+
				"that has the connection; packhouse cooldown list --domain %s shows which.\n", *at.repository, *at.domain)
		}
		return err
	}
	return cmd
}

func newCooldownRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove",
		Short: "Remove a repository's own cooldown and its exceptions",
		Long:  "Remove a repository's own cooldown and its exceptions. The server's setting cooldown.age holds again.",
		Args:  cobra.NoArgs,
	}
	at := guardFlags(cmd, true)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		repo, err := at.describe(cmd)
		if err != nil {
			return err
		}
		keys := []string{resolve.CooldownAgeTag, resolve.CooldownAllowTag}
		return at.call(cmd, http.MethodPost, "/v1/untag", url.Values{"resourceArn": {repo.ARN}}, map[string]any{"tagKeys": keys}, nil)
	}
	return cmd
}

func newCooldownList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the cooldowns of a domain's repositories", Args: cobra.NoArgs}
	form := outputFlag(cmd)
	at := guardFlags(cmd, false)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var out struct {
			Cooldowns []codeartifact.CooldownJSON `json:"cooldowns"`
		}
		if err := at.call(cmd, http.MethodGet, "/guard/cooldowns", at.query(), nil, &out); err != nil {
			return err
		}
		var rows [][]string
		for _, c := range out.Cooldowns {
			from := "server"
			if c.Own {
				from = "repository"
			}
			rows = append(rows, []string{c.Repository, strings.Join(c.Connections, ","), c.Age, from, c.Allow})
		}
		return list(cmd.OutOrStdout(), *form, out.Cooldowns, []string{"REPOSITORY", "CONNECTION", "AGE", "SET BY", "ALLOW"}, rows)
	}
	return cmd
}

func newCooldownExplain() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "explain PACKAGE[@VERSION]",
		Short:   "Tell which versions of a package a repository holds back, why and until when",
		Example: "  packhouse cooldown explain npm/left-pad --domain acme --repository team\n  packhouse cooldown explain npm/@acme/box@1.4.0 --domain acme --repository team",
		Args:    one("PACKAGE[@VERSION]"),
	}
	form := outputFlag(cmd)
	at := guardFlags(cmd, true)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var out struct {
			Versions []codeartifact.WithheldJSON `json:"versions"`
		}
		if err := at.call(cmd, http.MethodGet, "/guard/withheld", at.query([2]string{"package", args[0]}), nil, &out); err != nil {
			return err
		}
		var rows [][]string
		for _, v := range out.Versions {
			rows = append(rows, []string{v.Version, v.Reason, v.Why})
		}
		if *form == "table" && len(rows) == 0 {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "Repository %s holds nothing of %s back.\n", *at.repository, args[0])
			return err
		}
		return list(cmd.OutOrStdout(), *form, out.Versions, []string{"VERSION", "REASON", "WHY"}, rows)
	}
	return cmd
}
