package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
)

const (
	// uploadLife is how long an upload waits to be gone on with (reliability.md R11).
	uploadLife = 24 * time.Hour
	// uploadPart is how many bytes become durable at once while a request goes on: what a
	// killed server has to be sent again.
	uploadPart = 32 << 20
	// maxUploadParts bounds the parts of one upload.
	maxUploadParts = 10_000
	// sweptUploads is how many expired uploads are looked up at once.
	sweptUploads = 100
)

// StartUpload begins an upload; see format.Uploads.
func (s *Service) StartUpload(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, about []byte) (format.UploadStatus, error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionPublishPackageVersion, pkg); err != nil {
		return format.UploadStatus{}, err
	}
	if len(about) > format.MaxUploadAbout {
		return format.UploadStatus{}, packhouse.Invalidf("about_too_large", "the description of the upload has %d bytes; at most %d are allowed", len(about), format.MaxUploadAbout)
	}
	repo, _, err := s.repository(ctx, pkg.Repo)
	if err != nil {
		return format.UploadStatus{}, s.suggest(ctx, who, pkg.Repo, pkg.Package, err)
	}
	row := catalog.UploadRow{ID: uuid.NewString(), RepositoryID: repo.ID, Package: pkg.Package, PrincipalID: who.ID,
		About: about, Expires: s.now().UTC().Add(uploadLife)}
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		n, err := tx.CountUploads(ctx, who.ID)
		if err != nil {
			return err
		}
		if n >= format.MaxUploads {
			return &packhouse.Error{Kind: packhouse.KindQuotaExceeded, Reason: "too_many_uploads",
				Message: fmt.Sprintf("%s %s has begun %d uploads, which is the most there can be at a time; finish or delete one first", who.Kind, who.Name, n)}
		}
		return tx.InsertUpload(ctx, row)
	})
	return uploadStatus(row), storeError("start upload", err)
}

func uploadStatus(row catalog.UploadRow) format.UploadStatus {
	return format.UploadStatus{ID: row.ID, Offset: row.Offset, Expires: row.Expires, About: row.About}
}

// AppendUpload takes in a piece; see format.Uploads. Every part of it is a blob of its
// own, sealed with its own key: a key that went on after a restart might seal two
// different texts under one nonce (S36).
func (s *Service) AppendUpload(ctx context.Context, who packhouse.Principal, u format.UploadRef, from int64, r io.Reader) (format.UploadStatus, error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionPublishPackageVersion, u.Package); err != nil {
		return format.UploadStatus{}, err
	}
	row, parts, domain, err := s.upload(ctx, who, u)
	if err != nil {
		return format.UploadStatus{}, err
	}
	limit, err := s.assetLimit(ctx, u.Package, 0)
	if err != nil {
		return format.UploadStatus{}, err
	}
	size := int64(-1)
	if sized, ok := r.(format.Sized); ok {
		size = sized.Size()
	}
	switch {
	case from != row.Offset:
		return uploadStatus(row), wrongOffset(row.Offset)
	case size > limit-from:
		return uploadStatus(row), tooLargeUpload(limit)
	}
	for n := len(parts); ; n++ {
		if n >= maxUploadParts {
			return uploadStatus(row), packhouse.Invalidf("too_many_parts", "the upload has %d pieces, which is the most there can be; send larger ones", n)
		}
		took, err := s.appendPart(ctx, domain, &row, r, min(uploadPart, limit-row.Offset))
		switch {
		case errors.Is(err, catalog.ErrNotFound):
			if row, _, _, err = s.upload(ctx, who, u); err != nil {
				return format.UploadStatus{}, err
			}
			return uploadStatus(row), wrongOffset(row.Offset)
		case err != nil || took == 0:
			return uploadStatus(row), err
		case row.Offset == limit:
			return uploadStatus(row), endOfUpload(r, limit)
		}
	}
}

func wrongOffset(at int64) error {
	return packhouse.Invalidf(format.ReasonOffset, "the upload has %d bytes; go on there", at)
}

func tooLargeUpload(limit int64) error {
	return &packhouse.Error{Kind: packhouse.KindTooLarge, Reason: "asset_too_large",
		Message: fmt.Sprintf("the asset is larger than the limit of %d bytes", limit)}
}

// endOfUpload makes sure that nothing comes any more where nothing more is taken.
func endOfUpload(r io.Reader, limit int64) error {
	var one [1]byte
	if n, _ := io.ReadFull(r, one[:]); n > 0 {
		return tooLargeUpload(limit)
	}
	return nil
}

// appendPart takes in at most size bytes as one part, tells how many those were, and
// brings row up to date. What arrived before r failed is kept. Errors:
// catalog.ErrNotFound when another writer was quicker, or the upload is over.
func (s *Service) appendPart(ctx context.Context, domain catalog.DomainRow, row *catalog.UploadRow, r io.Reader, size int64) (int64, error) {
	st, err := s.vault.Stage(ctx, domain.Key, size, false)
	if err != nil {
		return 0, storeError("stage part", err)
	}
	defer st.Discard()
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	took, errBody := io.CopyBuffer(onlyWriter{st}, io.LimitReader(onlyReader{r}, size), buf[:])
	if errBody != nil {
		errBody = bodyError(errBody)
	}
	if took == 0 {
		return 0, errBody
	}
	// From here on a client that leaves changes nothing: it gets back to what is kept.
	ctx = context.WithoutCancel(ctx)
	if err := st.Finish(); err != nil {
		return 0, storeError("finish part", err)
	}
	ref, err := st.Keep(ctx, catalog.PartGeneration)
	if err != nil {
		return 0, storeError("keep part", err)
	}
	expires := s.now().UTC().Add(uploadLife)
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.AppendPart(ctx, row.ID, row.Offset, ref, expires) })
	if err != nil {
		if errors.Is(err, catalog.ErrNotFound) { // of other failures the outcome may be unknown
			s.dropPart(ctx, ref)
			return 0, err
		}
		return 0, storeError("append part", err)
	}
	row.Offset, row.Expires = row.Offset+took, expires
	return took, errBody
}

func (s *Service) dropPart(ctx context.Context, ref packhouse.BlobRef) {
	if err := s.vault.Remove(ctx, ref); err != nil {
		s.log.WarnContext(ctx, "unused object left behind", "digest", ref.Digest, "error", err)
	}
}

// upload looks up an upload of who's with its parts.
func (s *Service) upload(ctx context.Context, who packhouse.Principal, u format.UploadRef) (row catalog.UploadRow, parts []packhouse.BlobRef, domain catalog.DomainRow, err error) {
	repo, domain, err := s.repository(ctx, u.Package.Repo)
	if err != nil {
		return row, nil, domain, err
	}
	err = s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if row, err = tx.Upload(ctx, u.ID); err == nil {
			parts, err = tx.UploadParts(ctx, u.ID)
		}
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) || err == nil && (row.RepositoryID != repo.ID || row.Package != u.Package.Package || row.PrincipalID != who.ID) {
		return catalog.UploadRow{}, nil, domain, uploadNotFound()
	}
	return row, parts, domain, storeError("look up upload", err)
}

func uploadNotFound() error {
	err := packhouse.NotFoundf("upload", "", "there is no such upload; it was finished, ended or left for 24 hours")
	err.Reason = "upload_not_found"
	return err
}

// UploadStatus tells how far an upload has come; see format.Uploads.
func (s *Service) UploadStatus(ctx context.Context, who packhouse.Principal, u format.UploadRef) (format.UploadStatus, error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionPublishPackageVersion, u.Package); err != nil {
		return format.UploadStatus{}, err
	}
	row, _, _, err := s.upload(ctx, who, u)
	return uploadStatus(row), err
}

// FinishUpload joins the parts into one asset; see format.Uploads. They are read again
// for that, and hashed as a whole.
func (s *Service) FinishUpload(ctx context.Context, who packhouse.Principal, u format.UploadRef) (format.Staged, error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionPublishPackageVersion, u.Package); err != nil {
		return nil, err
	}
	row, parts, domain, err := s.upload(ctx, who, u)
	if err != nil {
		return nil, err
	}
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.KeepUpload(ctx, row.ID, s.now().UTC().Add(uploadLife)) })
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, uploadNotFound()
	}
	if err != nil {
		return nil, storeError("keep upload", err)
	}
	st, err := s.vault.Stage(ctx, domain.Key, row.Offset, true)
	if err != nil {
		return nil, storeError("stage upload", err)
	}
	for _, part := range parts {
		if err = s.copyPart(ctx, domain, st, part); err != nil {
			break
		}
	}
	if err == nil {
		err = st.Finish()
	}
	if err != nil {
		st.Discard()
		return nil, storeError("join upload", err)
	}
	return &staged{Staging: st, domainID: domain.ID}, nil
}

// copyPart writes the plain bytes of a part.
func (s *Service) copyPart(ctx context.Context, domain catalog.DomainRow, w io.Writer, part packhouse.BlobRef) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	content, err := s.vault.Open(ctx, domain.Key, part)
	if err != nil {
		return err
	}
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	_, err = io.CopyBuffer(onlyWriter{w}, onlyReader{io.NewSectionReader(content, 0, part.Size)}, buf[:])
	copyBuffers.Put(buf)
	return errors.Join(err, content.Close())
}

// AbortUpload ends an upload; see format.Uploads.
func (s *Service) AbortUpload(ctx context.Context, who packhouse.Principal, u format.UploadRef) error {
	if err := s.allowPackage(ctx, who, packhouse.ActionPublishPackageVersion, u.Package); err != nil {
		return err
	}
	if _, _, _, err := s.upload(ctx, who, u); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	err := s.catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.EndUpload(ctx, u.ID) })
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return storeError("end upload", err)
	}
	if err := s.dropUpload(ctx, u.ID); err != nil {
		s.log.WarnContext(ctx, "upload is left to the sweep", "error", err)
	}
	return nil
}

// dropUpload removes the bytes of an upload that is over, and then all that is known of
// it: what dies in between is found again.
func (s *Service) dropUpload(ctx context.Context, id string) error {
	var parts []packhouse.BlobRef
	err := s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		parts, err = tx.UploadParts(ctx, id)
		return err
	})
	if err != nil {
		return err
	}
	for _, part := range parts {
		if err := s.vault.Remove(ctx, part); err != nil {
			return err
		}
	}
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.DeleteUpload(ctx, id) })
	if errors.Is(err, catalog.ErrNotFound) {
		return nil // somebody else was as far
	}
	return err
}

// SweepUploads drops the uploads that have expired, until none is left or ctx ends
// (reliability.md R11).
func (s *Service) SweepUploads(ctx context.Context) {
	dropped := 0
	for {
		var expired []string
		err := s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
			expired, err = tx.ExpiredUploads(ctx, sweptUploads)
			return err
		})
		for _, id := range expired {
			if err == nil {
				if err = s.dropUpload(ctx, id); err == nil {
					dropped++
				}
			}
		}
		if err != nil && ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "expired uploads not swept to their end", slog.Any("error", err))
		}
		if err != nil || len(expired) < sweptUploads {
			break
		}
	}
	if dropped > 0 {
		s.log.LogAttrs(ctx, slog.LevelInfo, "expired uploads removed", slog.Int("uploads", dropped))
	}
}
