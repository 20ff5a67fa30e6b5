package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse/internal/client"
)

func newEvent() *cobra.Command {
	return group("event", "Watch and list what happens to package versions", newEventTail(), newEventList())
}

// retryStream is how long to wait before a stream that broke is taken up again.
const retryStream = time.Second

func newEventTail() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print events as they happen",
		Long: "Print the events of package versions as they happen, until Ctrl-C. When the server goes away, wait for it and go on\n" +
			"without losing any. With --follow=false print what happened since --since and end.",
		Example: "  packhouse event tail --domain acme --output json",
		Args:    cobra.NoArgs,
	}
	f := eventFlags(cmd, "", "begin at a time or so long ago, such as 10m; now if not given")
	follow := cmd.Flags().Bool("follow", true, "go on when all that happened so far is printed")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return f.run(cmd, *follow)
	}
	return cmd
}

func newEventList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Print the events since a time",
		Example: "  packhouse event list --since 24h",
		Args:    cobra.NoArgs,
	}
	f := eventFlags(cmd, "1h", "a time, such as 2026-01-31T12:00:00Z, or how long ago, such as 24h")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return f.run(cmd, false) }
	return cmd
}

// eventSelection is which events a command prints, and how.
type eventSelection struct{ domain, owner, repository, since, form *string }

func eventFlags(cmd *cobra.Command, since, help string) eventSelection {
	f := eventSelection{
		domain:     cmd.Flags().String("domain", "", "only this domain's"),
		owner:      cmd.Flags().String("domain-owner", "", "the domain's account, if it is not yours"),
		repository: cmd.Flags().String("repository", "", "only this repository's; needs --domain"),
		since:      cmd.Flags().String("since", since, help),
		form:       outputFlag(cmd),
	}
	settingFlags(cmd, "data-dir")
	return f
}

// run prints events. A stream that breaks is taken up behind the last event printed.
func (f eventSelection) run(cmd *cobra.Command, follow bool) error {
	print, err := eventPrinter(cmd.OutOrStdout(), *f.form)
	if err != nil {
		return err
	}
	query := url.Values{"follow": {fmt.Sprint(follow)}}
	for name, value := range map[string]string{"domain": *f.domain, "domain-owner": *f.owner, "repository": *f.repository} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if *f.since != "" {
		at, err := parseSince(*f.since, time.Now())
		if err != nil {
			return err
		}
		query.Set("since", at.UTC().Format(time.RFC3339Nano))
	} else if !follow {
		return usageError{errors.New("--since: a time is needed with --follow=false")}
	}
	c, err := newClient(cmd)
	if err != nil {
		return err
	}
	ctx, last := cmd.Context(), ""
	for {
		err := c.Stream(ctx, "/events", query, last, func(e client.ServerEvent) error {
			if e.Data != "" {
				if err := print(e.Data); err != nil {
					return printError{err}
				}
			}
			last = e.ID
			return nil
		})
		if ctx.Err() != nil && follow {
			return nil // Ctrl-C is how this ends
		}
		var refused *client.Error
		var broken printError
		if !follow || errors.As(err, &broken) || errors.As(err, &refused) && refused.Status < 500 && refused.Status != 429 {
			return err
		}
		if err != nil && last == "" {
			return err // the server was never there
		}
		if !sleepOr(ctx, retryStream) {
			return nil
		}
	}
}

// printError is a failure to print, which no second try mends.
type printError struct{ error }

func (e printError) Unwrap() error { return e.error }

// sleepOr waits and reports true, or false when ctx ends first.
func sleepOr(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// parseSince reads a time, or a duration before now.
func parseSince(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, usageError{fmt.Errorf("--since: %q is neither a time such as 2026-01-31T12:00:00Z nor a duration such as 24h", text)}
	}
	return at, nil
}

// eventPrinter returns what prints one event's JSON: as it is, one on a line, or as a row
// of a table.
func eventPrinter(w io.Writer, form string) (func(data string) error, error) {
	switch form {
	case "json":
		return func(data string) error {
			_, err := fmt.Fprintln(w, data)
			return err
		}, nil
	case "table":
	default:
		return nil, usageError{fmt.Errorf("--output: %q is not allowed; allowed: table or json", form)}
	}
	return func(data string) error {
		var e struct {
			Time   time.Time `json:"time"`
			Detail struct {
				Domain     string `json:"domainName"`
				Repository string `json:"repositoryName"`
				Format     string `json:"packageFormat"`
				Namespace  string `json:"packageNamespace"`
				Package    string `json:"packageName"`
				Version    string `json:"packageVersion"`
				State      string `json:"packageVersionState"`
				Operation  string `json:"operationType"`
			} `json:"detail"`
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		d := e.Detail
		name := d.Package
		if d.Namespace != "" {
			name = d.Namespace + "/" + name
		}
		// No tabwriter: it would hold rows back.
		_, err := fmt.Fprintf(w, "%s  %-7s  %-10s  %s/%s  %s  %s %s\n", e.Time.UTC().Format("2006-01-02 15:04:05"), d.Operation, d.State,
			d.Domain, d.Repository, d.Format, name, d.Version)
		return err
	}, nil
}
