package format

import (
	"context"
	"io"
	"time"

	"github.com/packhouse/packhouse"
)

// Uploads is the part of House that takes in an asset by several requests. What an upload
// has is durable up to its offset, whatever happens to the server; an upload that nobody
// goes on with for 24 hours is dropped (reliability.md R11, R12).
//
// An upload belongs to one package of one repository and to one principal. Every method
// needs PublishPackageVersion on the package, and answers NotFound "upload_not_found"
// for an upload of somebody else, of another package, ended or expired.
type Uploads interface {
	// StartUpload begins an upload of nothing yet. about comes back with its status; at
	// most MaxUploadAbout bytes. Errors: QuotaExceeded "too_many_uploads" where the caller
	// has begun MaxUploads that are not ended.
	StartUpload(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, about []byte) (UploadStatus, error)
	// AppendUpload takes in what r holds, which must belong at the offset from. When r
	// fails, what arrived before is kept. The status is that after the call, also beside
	// an error of r, TooLarge where the asset exceeds the format's limit, and Invalid
	// ReasonOffset where the upload does not end at from: of two writers one gets that.
	AppendUpload(ctx context.Context, who packhouse.Principal, u UploadRef, from int64, r io.Reader) (UploadStatus, error)
	// UploadStatus tells how far an upload has come.
	UploadStatus(ctx context.Context, who packhouse.Principal, u UploadRef) (UploadStatus, error)
	// FinishUpload makes the upload's bytes an asset in staging, for Publish. The upload
	// stays until AbortUpload, so that a publish that fails can be tried again.
	FinishUpload(ctx context.Context, who packhouse.Principal, u UploadRef) (Staged, error)
	// AbortUpload ends an upload and drops its bytes.
	AbortUpload(ctx context.Context, who packhouse.Principal, u UploadRef) error
}

// The limits of Uploads.
const (
	MaxUploads     = 20      // of one principal at a time
	MaxUploadAbout = 4 << 10 // bytes
)

// ReasonOffset marks the Invalid of a piece that does not begin where the upload ends.
const ReasonOffset = "range_not_satisfiable"

// UploadRef names an upload.
type UploadRef struct {
	Package packhouse.PackageRef
	ID      string // 36 characters, not to be guessed
}

// UploadStatus is how far an upload has come.
type UploadStatus struct {
	ID      string
	Offset  int64 // bytes that are durable
	Expires time.Time
	About   []byte
}
