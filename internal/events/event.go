// Package events tells other systems what happened to package versions: it makes events
// in EventBridge's shape out of the ledger's changes, and delivers them to webhooks.
//
// It is on the stores' floor. It decides no access: ops does, for whoever asks for events
// and for whoever sets up a webhook. Start reading with Of and Dispatcher.
package events

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
)

// Event is one event as receivers get it, in JSON. Source: codeartifact.md 3.13.
type Event struct {
	Version    string    `json:"version"`
	ID         string    `json:"id"` // the same for every delivery to one account
	DetailType string    `json:"detail-type"`
	Source     string    `json:"source"`
	Account    string    `json:"account"` // the receiving one
	Time       time.Time `json:"time"`    // of the change, whole seconds
	Region     string    `json:"region"`
	Resources  []string  `json:"resources"`
	Detail     any       `json:"detail"`
}

// VersionDetail is the detail of DetailVersionStateChange.
type VersionDetail struct {
	DomainName              string  `json:"domainName"`
	DomainOwner             string  `json:"domainOwner"`
	RepositoryName          string  `json:"repositoryName"`
	RepositoryAdministrator string  `json:"repositoryAdministrator"`
	PackageFormat           string  `json:"packageFormat"`
	PackageNamespace        *string `json:"packageNamespace"` // null when there is none
	PackageName             string  `json:"packageName"`
	PackageVersion          string  `json:"packageVersion"`
	PackageVersionState     string  `json:"packageVersionState"` // of a deleted one, the last
	PackageVersionRevision  string  `json:"packageVersionRevision"`
	Changes                 Changes `json:"changes"`
	OperationType           string  `json:"operationType"` // Created, Updated or Deleted
	SequenceNumber          int64   `json:"sequenceNumber"`
	EventDeduplicationID    string  `json:"eventDeduplicationId"`
}

// Changes says what changed of a version.
type Changes struct {
	AssetsAdded     int  `json:"assetsAdded"`
	AssetsRemoved   int  `json:"assetsRemoved"`
	AssetsUpdated   int  `json:"assetsUpdated"`
	MetadataUpdated bool `json:"metadataUpdated"`
	StatusChanged   bool `json:"statusChanged"`
}

const (
	source       = "aws.codeartifact"
	eventVersion = "0"
)

// The operation types.
const (
	created = "Created"
	updated = "Updated"
	deleted = "Deleted"
)

// operation returns the operation type of a change, "" for a change that no event tells
// of: one that is not about a version's content or state.
func operation(c *packhouse.Change) string {
	switch c.Kind {
	case packhouse.ChangeVersionPublished, packhouse.ChangeVersionRetained, packhouse.ChangeVersionCopied:
		if c.StatusBefore == "" {
			return created
		}
		return updated
	case packhouse.ChangeVersionAssetAdded, packhouse.ChangeVersionAssetRemoved, packhouse.ChangeVersionStatus,
		packhouse.ChangeVersionOverlay, packhouse.ChangeVersionDisposed:
		return updated
	case packhouse.ChangeVersionDeleted:
		return deleted
	}
	return ""
}

// Tells reports whether an event tells of the change.
func Tells(c *packhouse.Change) bool { return operation(c) != "" }

// Accounts returns whom the event of a change goes to: the domain's owner and the
// repository's administrator, once if they are the same.
func Accounts(c *packhouse.Change) []packhouse.AccountID {
	if c.Administrator == "" || c.Administrator == c.Domain.Owner {
		return []packhouse.AccountID{c.Domain.Owner}
	}
	return []packhouse.AccountID{c.Domain.Owner, c.Administrator}
}

// Of makes the event of a change, read from the ledger, that Tells is true of, for one
// of its Accounts. Made again of the same change it is the same to the byte.
func Of(c *packhouse.Change, region string, account packhouse.AccountID) Event {
	name := packhouse.PackageRef{Repo: packhouse.RepoRef{Domain: c.Domain, Name: c.Repo}, Package: c.Package}
	d := VersionDetail{
		DomainName: c.Domain.Name, DomainOwner: string(c.Domain.Owner),
		RepositoryName: c.Repo, RepositoryAdministrator: string(c.Administrator),
		PackageFormat: string(c.Package.Format), PackageName: c.Package.Name, PackageVersion: c.Version,
		PackageVersionState: string(c.StatusAfter), PackageVersionRevision: c.RevisionAfter,
		Changes: Changes{AssetsAdded: c.AssetsAdded, AssetsRemoved: c.AssetsRemoved, AssetsUpdated: c.AssetsUpdated,
			MetadataUpdated: c.MetadataUpdated, StatusChanged: c.StatusBefore != c.StatusAfter},
		OperationType: operation(c), SequenceNumber: c.Sequence, EventDeduplicationID: c.DedupID,
	}
	if c.Package.Namespace != "" {
		d.PackageNamespace = &c.Package.Namespace
	}
	if d.OperationType == deleted {
		d.PackageVersionState, d.PackageVersionRevision = string(c.StatusBefore), c.RevisionBefore
	}
	return Event{
		Version: eventVersion, ID: id(c, account), DetailType: packhouse.DetailVersionStateChange, Source: source,
		Account: string(account), Time: c.At.UTC().Truncate(time.Second), Region: region,
		Resources: []string{packhouse.PackageARN(region, name)}, Detail: d,
	}
}

// idSpace is the name space of event ids.
var idSpace = uuid.MustParse("6a1f4f43-0d0c-4f6b-9d55-1c3a9b0b7c11")

// id names an event: it must not depend on when and how often it is made.
func id(c *packhouse.Change, account packhouse.AccountID) string {
	return uuid.NewSHA1(idSpace, []byte(c.DedupID+"\x00"+string(account))).String()
}

// JSON returns the event's text, without a line break in it.
func (e Event) JSON() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		panic("events: an event of plain values cannot be encoded: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Selects reports whether a filter lets the event of a change through.
func Selects(f *packhouse.EventFilter, c *packhouse.Change) bool {
	switch {
	case f.Domain.Name != "" && f.Domain != c.Domain,
		f.Repository != "" && f.Repository != c.Repo,
		f.Format != "" && f.Format != c.Package.Format:
		return false
	case len(f.DetailTypes) == 0:
		return true
	}
	for _, t := range f.DetailTypes {
		if t == packhouse.DetailVersionStateChange {
			return true
		}
	}
	return false
}
