package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/formats"
	"github.com/packhouse/packhouse/internal/server"
)

func newConnections() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "connections",
		Aliases: []string{"connection"},
		Short:   "List external connections, their addresses and whether they answer",
		Long: "List the external connections: name, format, address, where the address came from, and whether it answers.\n" +
			"Write an address down with `serve --connection NAME=URL`, the configuration file or PACKHOUSE_CONNECTION_NAME_URL.",
		Args: cobra.NoArgs,
	}
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir", "connection")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		all := probeConnections(cmd.Context(), c)
		var rows [][]string
		for _, p := range all {
			rows = append(rows, []string{p.Name, string(p.Format), p.Address, p.Source, p.Answer})
		}
		return list(cmd.OutOrStdout(), *form, all, []string{"NAME", "FORMAT", "ADDRESS", "FROM", "ANSWERS"}, rows)
	}
	return cmd
}

// probed is a connection with what it answered.
type probed struct {
	Name    string             `json:"externalConnectionName"`
	Format  packhouse.FormatID `json:"packageFormat"`
	Address string             `json:"address"`
	Source  string             `json:"source"`
	Answer  string             `json:"answer"`
	Reached bool               `json:"reached"`
}

// probeTimeout bounds the question to one registry.
const probeTimeout = 10 * time.Second

// probeConnections asks every connection that has an address for its root. Any answer
// but one about credentials or our request's way there counts.
func probeConnections(ctx context.Context, c *config.Config) []probed {
	rooms := formats.All()
	log := slog.New(slog.DiscardHandler)
	conns := server.Connections(c.Connections, server.Discover(ctx, rooms, c.Connections, log))
	client := fetch.New(fetch.Options{UserAgent: "packhouse/" + version()})
	defer client.Close()
	all := make([]probed, 0, len(conns))
	for _, conn := range conns {
		all = append(all, probed{Name: conn.Name, Format: conn.Format, Address: conn.URL, Source: conn.Source})
	}
	slices.SortFunc(all, func(a, b probed) int { return strings.Compare(a.Name, b.Name) })
	pullable := map[packhouse.FormatID]bool{}
	for _, id := range server.PullFormats(rooms) {
		pullable[id] = true
	}
	var wg sync.WaitGroup
	for i := range all {
		p := &all[i]
		if p.Address == "" && !pullable[p.Format] {
			p.Source, p.Answer = "-", "not used: the format is not served yet"
			continue
		}
		if p.Address == "" {
			p.Source, p.Answer = "-", "no address: set --connection "+p.Name+"=URL"
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, probeTimeout)
			defer cancel()
			began := time.Now()
			_, err := client.Get(ctx, conns[p.Name], "", http.Header{}, format.Validators{})
			switch {
			case err == nil || packhouse.KindOf(err) == packhouse.KindNotFound:
				p.Reached, p.Answer = true, fmt.Sprintf("yes, in %d ms", time.Since(began).Milliseconds())
			default:
				p.Answer = "no: " + probeText(err)
			}
		})
	}
	wg.Wait()
	return all
}

func probeText(err error) string {
	var e *packhouse.Error
	if errors.As(err, &e) {
		return e.Message
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "a file that the connection names is missing"
	}
	return err.Error()
}
