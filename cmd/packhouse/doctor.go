package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/client"
	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/server"
)

func newDoctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong and say what to do",
		Long:  "Check the configuration, the data directory, the database, the keys, the running server, the clock and the external connections.",
		Args:  cobra.NoArgs,
	}
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir", "connection")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		findings := examine(cmd.Context(), c)
		bad := false
		var rows [][]string
		for _, f := range findings {
			bad = bad || f.State == stateBad
			rows = append(rows, []string{f.State, f.What, f.Text})
		}
		if err := list(cmd.OutOrStdout(), *form, findings, []string{"STATE", "WHAT", "FINDING"}, rows); err != nil {
			return err
		}
		if bad {
			return errTold
		}
		return nil
	}
	return cmd
}

// The states of a finding.
const (
	stateGood = "good"
	stateNote = "note" // works, but look at it
	stateBad  = "bad"
)

type finding struct {
	State string `json:"state"`
	What  string `json:"what"`
	Text  string `json:"finding"` // with what to do
}

func examine(ctx context.Context, c *config.Config) []finding {
	var all []finding
	add := func(state, what, format string, args ...any) {
		all = append(all, finding{state, what, fmt.Sprintf(format, args...)})
	}
	for _, w := range c.Warnings {
		add(stateNote, "configuration", "%s", w)
	}
	s, err := server.OpenStore(ctx, server.StoreOptions{Dir: c.DataDir, Log: slog.New(slog.DiscardHandler)})
	switch {
	case errors.Is(err, server.ErrNoData):
		add(stateNote, "data directory", "%s is empty; `packhouse serve` makes it", c.DataDir)
	case err != nil:
		add(stateBad, "data directory", "%v", err)
	default:
		defer func() { _ = s.Close() }() // nothing was written
		add(stateGood, "data directory", "%s is readable by its owner only", c.DataDir)
		add(stateGood, "keys", "%d master key(s), the installation's keyset opens", len(s.Keys.List()))
		if err := s.Catalog.Ping(ctx); err != nil {
			add(stateBad, "database", "%v", err)
		} else {
			add(stateGood, "database", "answers")
		}
		examineStored(ctx, s.Catalog, add)
	}
	if free, mark, err := server.FreeSpace(c); err != nil {
		add(stateNote, "disk", "%v", err)
	} else if free < mark {
		add(stateBad, "disk", "%d MiB are free and %d MiB are the mark: publishes are refused; make room or lower disk.low_bytes", free>>20, mark>>20)
	} else {
		add(stateGood, "disk", "%d MiB are free", free>>20)
	}
	examineServer(ctx, c, add)
	for _, p := range probeConnections(ctx, c) {
		switch {
		case p.Reached:
			add(stateGood, "connection "+p.Name, "%s (%s) answers: %s", p.Address, p.Source, p.Answer)
		case p.Address == "":
			add(stateNote, "connection "+p.Name, "%s", p.Answer)
		default:
			add(stateBad, "connection "+p.Name, "%s (%s): %s", p.Address, p.Source, p.Answer)
		}
	}
	return all
}

// examineStored tells of stored files that were found to be damaged; it looks at none.
func examineStored(ctx context.Context, db *catalog.DB, add func(state, what, format string, args ...any)) {
	var n int64
	err := db.View(ctx, func(tx *catalog.Tx) (err error) {
		n, err = tx.CountQuarantined(ctx)
		return err
	})
	switch {
	case err != nil:
		add(stateBad, "stored files", "%v", err)
	case n > 0:
		add(stateBad, "stored files", "%d are damaged; `packhouse verify` names the packages and releases what was put right", n)
	default:
		add(stateGood, "stored files", "none is known to be damaged")
	}
}

// clockTolerance is how far two clocks may be apart; signatures fail at five minutes.
const clockTolerance = 2 * time.Minute

func examineServer(ctx context.Context, c *config.Config, add func(state, what, format string, args ...any)) {
	conf, err := client.Load(c.DataDir, os.Getenv)
	if err != nil {
		add(stateNote, "server", "%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, conf.Endpoint+"/readyz", nil)
	if err != nil {
		add(stateBad, "server", "the address %q cannot be used: %v", conf.Endpoint, err)
		return
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		add(stateNote, "server", "%s does not answer; start it with `packhouse serve`", conf.Endpoint)
		return
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		add(stateBad, "server", "%s/readyz answers %s", conf.Endpoint, resp.Status)
		return
	}
	add(stateGood, "server", "%s is ready", conf.Endpoint)
	if theirs, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		if apart := time.Since(theirs).Abs(); apart > clockTolerance {
			add(stateBad, "clock", "this machine and the server are %s apart; signatures fail at 5 minutes: synchronise the clocks", apart.Round(time.Second))
		} else {
			add(stateGood, "clock", "agrees with the server's")
		}
	}
	if cl, err := client.New(conf); err != nil {
		add(stateBad, "credentials", "%v", err)
	} else if err := cl.Call(ctx, http.MethodPost, "/v1/domains", nil, struct{}{}, nil); err != nil {
		add(stateBad, "credentials", "a signed call is refused: %v", err)
	} else {
		add(stateGood, "credentials", "a signed call is accepted")
	}
}
