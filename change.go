package packhouse

import "time"

// ChangeKind says what a change did.
type ChangeKind string

// The kinds of change. Every one of them leaves a row in the ledger.
const (
	ChangeDomainCreated       ChangeKind = "domain.created"
	ChangeDomainDeleted       ChangeKind = "domain.deleted"
	ChangeRepositoryCreated   ChangeKind = "repository.created"
	ChangeRepositoryUpdated   ChangeKind = "repository.updated"
	ChangeRepositoryDeleted   ChangeKind = "repository.deleted"
	ChangeConnectionAdded     ChangeKind = "connection.associated"
	ChangeConnectionRemoved   ChangeKind = "connection.disassociated"
	ChangePackageCreated      ChangeKind = "package.created"
	ChangePackageControls     ChangeKind = "package.origin"
	ChangePackageDeleted      ChangeKind = "package.deleted"
	ChangeVersionPublished    ChangeKind = "version.published"
	ChangeVersionAssetAdded   ChangeKind = "version.asset-added"
	ChangeVersionAssetRemoved ChangeKind = "version.asset-removed"
	ChangeVersionRetained     ChangeKind = "version.retained"
	ChangeVersionCopied       ChangeKind = "version.copied"
	ChangeVersionStatus       ChangeKind = "version.status"
	ChangeVersionOverlay      ChangeKind = "version.overlay"
	ChangeVersionDisposed     ChangeKind = "version.disposed"
	ChangeVersionDeleted      ChangeKind = "version.deleted"
	ChangeUpstreamChanged     ChangeKind = "upstream-changed"
	ChangeAssetDamaged        ChangeKind = "asset.damaged"  // its stored bytes are not what was kept
	ChangeAssetRestored       ChangeKind = "asset.restored" // they are again
	ChangeTagSet              ChangeKind = "tag.set"
	ChangeTagRemoved          ChangeKind = "tag.removed"
	ChangeResourceTagsChanged ChangeKind = "resource.tags"
	ChangePrincipalCreated    ChangeKind = "principal.created"
	ChangePolicyChanged       ChangeKind = "policy.changed"
	ChangeKeyChanged          ChangeKind = "credential.changed"
	ChangeSignedIn            ChangeKind = "principal.signed-in"
	ChangeSignedOut           ChangeKind = "principal.signed-out"
	ChangeWebhook             ChangeKind = "webhook.changed"
	ChangeBlocked             ChangeKind = "block.created"
	ChangeReleased            ChangeKind = "block.deleted"
	ChangeTokenCreated        ChangeKind = "token.created"
	ChangeTokenRevoked        ChangeKind = "token.revoked"
)

// Change is one row of the append-only ledger, written in the transaction that made
// the change. Coordinates are text: rows die, history does not.
type Change struct {
	ID        int64 // set by the catalog
	At        time.Time
	Principal string // ARN; "" for the server itself
	RequestID string
	Door      string // which door it came through
	Kind      ChangeKind

	DomainID int64 // 0 for account-level changes
	RepoID   int64 // 0 for domain-level changes
	Domain   DomainRef
	Repo     string
	Package  PackageName // zero for changes above packages
	Version  string
	Tag      string

	RevisionBefore, RevisionAfter string
	StatusBefore, StatusAfter     Status
	Sequence                      int64  // the package's Seq after the change
	DedupID                       string // identifies one logical event
	Detail                        string // short free text, such as what was set

	// What a change of a version did beside the revision and the status. Assets that
	// clients do not see in lists are not counted.
	AssetsAdded, AssetsRemoved, AssetsUpdated int
	MetadataUpdated                           bool

	// Administrator is the account that administers the repository, "" above
	// repositories. The catalog sets it when the change is read.
	Administrator AccountID
}
