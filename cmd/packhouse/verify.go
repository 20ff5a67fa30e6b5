package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/jobs"
)

func newVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Read all stored bytes and say which packages are damaged",
		Long: "Read all stored bytes at full speed, check them against their digests, and compare the database with what is stored, both ways.\n" +
			"It works on the data directory, beside a running server or without one. Damaged files are quarantined, so that nobody gets them;\n" +
			"restore them from a backup and run verify again: what reads well is released. Nothing is removed. It ends with 1 if something is damaged.",
		Example: "  packhouse verify\n  packhouse verify --domain acme --repository team --sample 1000",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	domain := f.String("domain", "", "only this domain's files")
	owner := f.String("domain-owner", "", "the domain's account, if it is not the first one")
	repository := f.String("repository", "", "only this repository's files; needs --domain")
	sample := f.Int("sample", 0, "read only this many files, drawn at random; 0 reads all")
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		switch {
		case *sample < 0:
			return usageError{fmt.Errorf("--sample: %d is not allowed; allowed: 0 and more", *sample)}
		case *repository != "" && *domain == "":
			return usageError{errors.New("--repository needs --domain")}
		}
		s, err := openStore(cmd.Context(), cmd)
		if err != nil {
			return err
		}
		defer closing(s, &err)
		o := jobs.VerifyOptions{Sample: *sample}
		if *domain != "" {
			ref := packhouse.DomainRef{Owner: packhouse.AccountID(*owner), Name: *domain}
			if ref.Owner == "" {
				ref.Owner = s.Account
			}
			if err := narrow(cmd.Context(), s.Catalog, ref, *repository, &o); err != nil {
				return err
			}
		} else if *sample == 0 {
			o.Objects = s.Blobs
		}
		report, err := s.Verify(cmd.Context(), o, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		return tellVerified(cmd.OutOrStdout(), cmd.ErrOrStderr(), *form, report)
	}
	return cmd
}

// narrow has a verification look at one domain, or at one repository of it.
func narrow(ctx context.Context, db *catalog.DB, ref packhouse.DomainRef, repository string, o *jobs.VerifyOptions) error {
	err := db.View(ctx, func(tx *catalog.Tx) error {
		d, err := tx.Domain(ctx, ref)
		if err != nil {
			return err
		}
		o.DomainID = d.ID
		if repository == "" {
			return nil
		}
		r, err := tx.Repository(ctx, packhouse.RepoRef{Domain: ref, Name: repository})
		o.RepositoryID = r.ID
		return err
	})
	switch {
	case !errors.Is(err, catalog.ErrNotFound):
		return err
	case o.DomainID != 0:
		return packhouse.NotFoundf(packhouse.ResourceRepository, repository, "repository %s does not exist in domain %s", repository, ref.Name)
	}
	return packhouse.NotFoundf(packhouse.ResourceDomain, ref.Name, "domain %s does not exist in account %s", ref.Name, ref.Owner)
}

// tellVerified prints what was found: findings on out, the rest on errOut.
func tellVerified(out, errOut io.Writer, form string, r jobs.Report) error {
	var rows [][]string
	for _, f := range r.Findings {
		digest := f.Digest[:12]
		for _, file := range f.Files {
			name := packhouse.PackageName{Format: file.Format, Namespace: file.Namespace, Name: file.Package}.String() + "@" + file.Version
			rows = append(rows, []string{string(f.Problem), file.Domain + "/" + file.Repository, name, file.Asset, digest})
		}
		if len(f.Files) == 0 {
			rows = append(rows, []string{string(f.Problem), "-", "no version has it any more", "-", digest})
		}
	}
	if form != "table" || len(rows) > 0 {
		if err := list(out, form, r, []string{"PROBLEM", "REPOSITORY", "VERSION", "FILE", "SHA256"}, rows); err != nil {
			return err
		}
	}
	text := []string{fmt.Sprintf("%d stored file(s) read, %s: %d bad", r.Blobs, size(r.Bytes), r.Bad)}
	if r.Truncated {
		text = append(text, fmt.Sprintf("only the first %d are listed", len(r.Findings)))
	}
	if r.Released > 0 {
		text = append(text, fmt.Sprintf("%d were quarantined and read well again, they are released", r.Released))
	}
	if r.Unmarked {
		text = append(text, "nothing was quarantined or released, because writes are switched off")
	}
	if u := r.Unknown; u != nil && u.Objects > 0 {
		text = append(text, fmt.Sprintf("%d stored object(s), %s, belong to nothing and do no harm; beside a running server uploads under way may be among them", u.Objects, size(u.Bytes)))
	}
	fmt.Fprintln(errOut, strings.Join(text, "\n"))
	if r.Bad > 0 {
		return errTold
	}
	return nil
}

// size shows bytes in a binary unit.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, at := float64(n), 0
	for v >= 1024 && at < len(units)-1 {
		v /= 1024
		at++
	}
	if at == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[at])
}
