package jobs

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/catalog"
)

// VerifyOptions say what Verify looks at.
type VerifyOptions struct {
	// DomainID and RepositoryID narrow it; 0 for everything.
	DomainID, RepositoryID int64
	// Sample is how many blobs are read, drawn at random; 0 for all.
	Sample int
	// Objects are looked through for those that no row knows; nil for not.
	Objects blob.Store
	// Mark has what is found written down: damaged blobs are quarantined, quarantined ones
	// that read well released.
	Mark bool
}

// Report is what Verify found.
type Report struct {
	Blobs     int64     `json:"blobs"`     // read
	Bytes     int64     `json:"bytes"`     // of these, plain
	Bad       int64     `json:"bad"`       // of the blobs; more than Findings where there are very many
	Findings  []Finding `json:"findings"`  // never nil
	Released  int64     `json:"released"`  // blobs that were quarantined and read well again
	Unknown   *Unknown  `json:"unknown"`   // nil where objects were not looked through
	Unmarked  bool      `json:"unmarked"`  // what was found was not written down
	Truncated bool      `json:"truncated"` // there are more findings than are listed
}

// Finding is a blob whose bytes are not as they should be.
type Finding struct {
	Problem Problem `json:"problem"`
	Digest  string  `json:"digest"` // SHA-256 in hexadecimal
	Size    int64   `json:"size"`
	Cause   string  `json:"cause"`
	// Files are what the blob is; empty where no version has it any more.
	Files []File `json:"files"`
}

// File is a file of a version.
type File struct {
	DomainOwner packhouse.AccountID `json:"domainOwner"`
	Domain      string              `json:"domain"`
	Repository  string              `json:"repository"`
	Format      packhouse.FormatID  `json:"format"`
	Namespace   string              `json:"namespace"`
	Package     string              `json:"package"`
	Version     string              `json:"version"`
	Asset       string              `json:"asset"`
}

// Unknown are stored objects that no row knows: what was left behind by attempts that
// failed, and beside a running server uploads that are just being recorded.
type Unknown struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"` // as stored
}

const (
	// maxFindings bounds the findings that are listed.
	maxFindings = 10_000
	// findingFiles bounds the files that one finding lists.
	findingFiles = 1000
)

// Verify reads stored bytes at full speed and compares rows with objects (reliability.md
// R16, R17). It removes nothing. Errors: those of the catalog and of listing objects; ctx's.
func (s *Store) Verify(ctx context.Context, o VerifyOptions) (Report, error) {
	r := Report{Findings: []Finding{}, Unmarked: !o.Mark}
	f := catalog.BlobFilter{DomainID: o.DomainID, RepositoryID: o.RepositoryID, Limit: page}
	var drawn []catalog.StoredBlob
	seen := 0
	for {
		blobs, err := s.blobs(ctx, f)
		if err != nil {
			return r, err
		}
		for _, b := range blobs {
			f.AfterID = b.ID
			seen++
			switch at := rand.IntN(seen); { //nolint:gosec // nobody gains by guessing it
			case o.Sample == 0:
				if err := s.verifyBlob(ctx, o, b, &r); err != nil {
					return r, err
				}
			case len(drawn) < o.Sample:
				drawn = append(drawn, b)
			case at < o.Sample:
				drawn[at] = b
			}
		}
		if len(blobs) < page {
			break
		}
	}
	for _, b := range drawn {
		if err := s.verifyBlob(ctx, o, b, &r); err != nil {
			return r, err
		}
	}
	if o.Objects == nil {
		return r, nil
	}
	r.Unknown = &Unknown{}
	return r, s.countUnknown(ctx, o.Objects, r.Unknown)
}

func (s *Store) verifyBlob(ctx context.Context, o VerifyOptions, b catalog.StoredBlob, r *Report) error {
	problem, cause, err := s.examine(ctx, b, nil)
	if err != nil {
		return err
	}
	r.Blobs++
	r.Bytes += b.Size
	if o.Mark {
		stands, err := s.settle(ctx, s.Catalog.Update, b.BlobRow, problem, cause)
		if err != nil {
			return err
		}
		if !stands {
			return nil
		}
		if problem == "" && !b.Quarantined.IsZero() {
			r.Released++
		}
	}
	if problem == "" {
		return nil
	}
	if r.Bad++; len(r.Findings) >= maxFindings {
		r.Truncated = true
		return nil
	}
	uses, err := s.uses(ctx, b.ID, findingFiles)
	if err != nil {
		return err
	}
	found := Finding{Problem: problem, Digest: b.Digest.Hex(), Size: b.Size, Cause: cause.Error(), Files: []File{}}
	for _, u := range uses {
		a := u.Asset
		found.Files = append(found.Files, File{a.Repo.Domain.Owner, a.Repo.Domain.Name, a.Repo.Name, a.Package.Format, a.Package.Namespace, a.Package.Name, a.Version, a.Asset})
	}
	r.Findings = append(r.Findings, found)
	return nil
}

// countUnknown counts the objects that no row knows.
func (s *Store) countUnknown(ctx context.Context, objects blob.Store, u *Unknown) error {
	var batch []blob.Info
	flush := func() error {
		names := make([]string, len(batch))
		for i, o := range batch {
			names[i] = string(o.Key)
		}
		var known map[string]bool
		if err := s.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
			known, err = tx.KnownObjects(ctx, names)
			return err
		}); err != nil {
			return err
		}
		batch = slices.DeleteFunc(batch, func(o blob.Info) bool { return known[string(o.Key)] })
		for _, o := range batch {
			u.Objects++
			u.Bytes += o.Size
		}
		batch = batch[:0]
		return nil
	}
	err := objects.List(ctx, "", func(o blob.Info) error {
		if batch = append(batch, o); len(batch) < page {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}
