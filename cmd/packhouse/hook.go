package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse/internal/codeartifact"
)

func newHook() *cobra.Command {
	cmd := group("hook", "Deliver events to webhooks", newHookCreate(), newHookList(), newHookGet(),
		newHookSwitch("enable", "Deliver to a webhook again, what it missed first"), newHookSwitch("disable", "Stop delivering to a webhook, keeping its place"),
		newHookDelete(), newHookTest(), newHookDeliveries(), newHookRedeliver())
	cmd.Aliases = []string{"webhook"}
	return cmd
}

const hooksPath = "/events/webhooks"

func hookPath(name string, more ...string) string {
	path := hooksPath + "/" + url.PathEscape(name)
	for _, m := range more {
		path += "/" + m
	}
	return path
}

// hook is a webhook as the server describes it.
type hook struct {
	Name       string     `json:"name"`
	URL        string     `json:"url"`
	Secret     string     `json:"secret,omitempty"`
	Domain     string     `json:"domain,omitempty"`
	Owner      string     `json:"domainOwner,omitempty"`
	Repository string     `json:"repository,omitempty"`
	Format     string     `json:"format,omitempty"`
	Types      []string   `json:"detailTypes,omitempty"`
	Enabled    *bool      `json:"enabled,omitempty"`
	Created    *time.Time `json:"createdTime,omitempty"`
}

func (h hook) row() []string {
	state, created := "disabled", "-"
	if h.Enabled != nil && *h.Enabled {
		state = "enabled"
	}
	if h.Created != nil {
		created = day(*h.Created, "-")
	}
	return []string{h.Name, h.URL, orAll(h.Domain), orAll(h.Repository), orAll(h.Format), state, created}
}

var hookHead = []string{"NAME", "URL", "DOMAIN", "REPOSITORY", "FORMAT", "STATE", "CREATED"}

func orAll(s string) string {
	if s == "" {
		return "all"
	}
	return s
}

func newHookCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create NAME URL",
		Short: "Deliver events to an address from now on",
		Long: "Deliver the events of your account's domains and repositories to an address, from now on. The secret that signs\n" +
			"deliveries is printed once; give one of your own in PACKHOUSE_HOOK_SECRET.",
		Example: "  packhouse hook create ci https://ci.example.com/packhouse --domain acme --format npm",
		Args:    cobra.ExactArgs(2),
	}
	f := cmd.Flags()
	domain := f.String("domain", "", "only this domain's events")
	owner := f.String("domain-owner", "", "the domain's account, if it is not yours")
	repository := f.String("repository", "", "only this repository's events; needs --domain")
	format := f.String("format", "", "only events of this package format")
	types := f.StringSlice("detail-type", nil, "only events of these detail types")
	disabled := f.Bool("disabled", false, "do not deliver yet")
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		enabled := !*disabled
		in := hook{Name: args[0], URL: args[1], Secret: os.Getenv("PACKHOUSE_HOOK_SECRET"), Domain: *domain, Owner: *owner,
			Repository: *repository, Format: *format, Types: *types, Enabled: &enabled}
		var out hook
		if err := callHooks(cmd, http.MethodPost, hooksPath, nil, in, &out); err != nil {
			return err
		}
		if in.Secret != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "Created webhook %q.\n", out.Name)
			return nil
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Created webhook %q. Its secret is shown this once:\n", out.Name)
		_, err := fmt.Fprintln(cmd.OutOrStdout(), out.Secret)
		return err
	}
	return cmd
}

// callHooks makes one call to the server.
func callHooks(cmd *cobra.Command, method, path string, query url.Values, in, out any) error {
	c, err := newClient(cmd)
	if err != nil {
		return err
	}
	return c.Call(cmd.Context(), method, path, query, in, out)
}

func newHookList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List webhooks", Args: cobra.NoArgs}
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var out struct {
			Webhooks []hook `json:"webhooks"`
		}
		if err := callHooks(cmd, http.MethodGet, hooksPath, nil, nil, &out); err != nil {
			return err
		}
		var rows [][]string
		for _, h := range out.Webhooks {
			rows = append(rows, h.row())
		}
		return list(cmd.OutOrStdout(), *form, out.Webhooks, hookHead, rows)
	}
	return cmd
}

func newHookGet() *cobra.Command {
	cmd := &cobra.Command{Use: "get NAME", Short: "Show a webhook", Args: one("NAME")}
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var out hook
		if err := callHooks(cmd, http.MethodGet, hookPath(args[0]), nil, nil, &out); err != nil {
			return err
		}
		return list(cmd.OutOrStdout(), *form, out, hookHead, [][]string{out.row()})
	}
	return cmd
}

func newHookSwitch(verb, short string) *cobra.Command {
	cmd := &cobra.Command{Use: verb + " NAME", Short: short, Args: one("NAME")}
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := callHooks(cmd, http.MethodPost, hookPath(args[0], verb), nil, nil, nil); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Webhook %q is %sd.\n", args[0], verb)
		return nil
	}
	return cmd
}

func newHookDelete() *cobra.Command {
	cmd := &cobra.Command{Use: "delete NAME", Short: "Delete a webhook with what waits for it", Args: one("NAME")}
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := callHooks(cmd, http.MethodDelete, hookPath(args[0]), nil, nil, nil); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Deleted webhook %q.\n", args[0])
		return nil
	}
	return cmd
}

func newHookTest() *cobra.Command {
	cmd := &cobra.Command{Use: "test NAME", Short: "Send a test event to a webhook and say how that went", Args: one("NAME")}
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var out struct {
			Delivered bool   `json:"delivered"`
			Status    int    `json:"status"`
			Error     string `json:"error"`
		}
		if err := callHooks(cmd, http.MethodPost, hookPath(args[0], "test"), nil, nil, &out); err != nil {
			return err
		}
		if !out.Delivered {
			return errors.New("not delivered: " + answerText(out.Status, out.Error))
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "delivered, the receiver answered %d\n", out.Status)
		return err
	}
	return cmd
}

// answerText says how a receiver answered.
func answerText(status int, text string) string {
	if status == 0 {
		return text
	}
	answer := fmt.Sprintf("%d %s", status, http.StatusText(status))
	if text != "" {
		answer += ": " + text
	}
	return answer
}

// maxShown bounds an answer in a table, in characters.
const maxShown = 60

func deliveryRow(d codeartifact.DeliveryJSON) []string {
	next, answer := "-", []rune("-")
	if d.Next != nil {
		next = d.Next.UTC().Format("2006-01-02 15:04:05")
	}
	if d.Attempts > 0 {
		answer = []rune(answerText(d.Status, d.Error))
	}
	return []string{strconv.FormatInt(d.ID, 10), d.State, strconv.Itoa(d.Attempts), d.Domain + "/" + d.Repository, d.Package + " " + d.Version, d.Kind,
		next, string(answer[:min(len(answer), maxShown)])}
}

func newHookDeliveries() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "deliveries NAME",
		Short:   "List deliveries to a webhook, the newest first",
		Example: "  packhouse hook deliveries ci --state dead",
		Args:    one("NAME"),
	}
	state := cmd.Flags().String("state", "", "waiting, delivered or dead (given up)")
	limit := cmd.Flags().Int("limit", 100, "how many at most, up to 1000")
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		query := url.Values{"max-results": {strconv.Itoa(*limit)}}
		if *state != "" {
			query.Set("state", *state)
		}
		var out struct {
			Deliveries []codeartifact.DeliveryJSON `json:"deliveries"`
		}
		if err := callHooks(cmd, http.MethodGet, hookPath(args[0], "deliveries"), query, nil, &out); err != nil {
			return err
		}
		var rows [][]string
		for _, d := range out.Deliveries {
			rows = append(rows, deliveryRow(d))
		}
		return list(cmd.OutOrStdout(), *form, out.Deliveries, []string{"ID", "STATE", "TRIES", "REPOSITORY", "PACKAGE", "CHANGE", "NEXT", "ANSWER"}, rows)
	}
	return cmd
}

func newHookRedeliver() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "redeliver NAME [ID]",
		Short: "Deliver again what was given up, or one delivery",
		Args:  cobra.RangeArgs(1, 2),
	}
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var query url.Values
		if len(args) == 2 {
			query = url.Values{"delivery": {args[1]}}
		}
		var out struct {
			Redelivered int64 `json:"redelivered"`
		}
		if err := callHooks(cmd, http.MethodPost, hookPath(args[0], "redeliver"), query, nil, &out); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%d to be delivered again.\n", out.Redelivered)
		return nil
	}
	return cmd
}
