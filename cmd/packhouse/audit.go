package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

func newAudit() *cobra.Command {
	return group("audit", "Read the audit log", newAuditExport())
}

const (
	auditPage  = 500         // records of one read
	auditEvery = time.Second // how often --follow looks
)

func newAuditExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the audit log as JSON lines",
		Long: "Print the audit log as JSON lines, the oldest first, each record in the form of CloudTrail. With --account only records that\n" +
			"concern an account: as caller, as owner of the domain or as administrator of the repository.",
		Example: "  packhouse audit export --since 24h",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	since := f.String("since", "", "a duration such as 24h, or a time such as 2026-01-31T00:00:00Z; all without it")
	account := f.String("account", "", "only records that concern this account")
	follow := f.Bool("follow", false, "go on with what is recorded from now on, until interrupted")
	settingFlags(cmd, "data-dir", "region")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		from, err := readSince(*since, time.Now())
		if err != nil {
			return err
		}
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		s, err := openStore(cmd.Context(), cmd)
		if err != nil {
			return err
		}
		defer closing(s, &err)
		e := auditExport{db: s.Catalog, out: cmd.OutOrStdout(), region: c.Region, account: packhouse.AccountID(*account)}
		return e.run(cmd.Context(), from, *follow)
	}
	return cmd
}

// readSince reads --since; the zero time is the beginning.
func readSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usageError{fmt.Errorf("--since: %q is neither a duration such as 24h nor a time such as 2026-01-31T00:00:00Z", text)}
	}
	return t, nil
}

// auditExport writes records as lines.
type auditExport struct {
	db      *catalog.DB
	out     io.Writer
	region  string
	account packhouse.AccountID // "" for everybody's
}

func (e *auditExport) run(ctx context.Context, from time.Time, follow bool) error {
	var last int64
	if !from.IsZero() {
		err := e.db.View(ctx, func(tx *catalog.Tx) (err error) {
			last, err = tx.AuditBefore(ctx, from)
			return err
		})
		if err != nil {
			return err
		}
	}
	ticker := time.NewTicker(auditEvery)
	defer ticker.Stop()
	for {
		var records []packhouse.AuditRecord
		err := e.db.View(ctx, func(tx *catalog.Tx) (err error) {
			records, err = tx.Audit(ctx, last, auditPage)
			return err
		})
		switch {
		case err != nil && follow && ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		if err := e.write(records); err != nil {
			return err
		}
		if len(records) > 0 {
			last = records[len(records)-1].ID
			continue
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (e *auditExport) write(records []packhouse.AuditRecord) error {
	enc := json.NewEncoder(e.out)
	enc.SetEscapeHTML(false)
	for i := range records {
		event, concerned := cloudTrail(&records[i], e.region, e.account)
		if !concerned {
			continue
		}
		if err := enc.Encode(event); err != nil {
			return err
		}
	}
	return nil
}
