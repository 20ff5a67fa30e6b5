// Package npm is the room for npm packages: the registry protocol that npm, pnpm, Yarn
// and Bun speak, tarballs, and the public registry's own documents. It knows nothing of
// storage; it asks the house. It is on the doors' floor.
//
// Start reading with Format; routes.go is the protocol's table, fragment.go the piece
// of document that each version contributes.
package npm

import (
	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// ID is the format's identifier.
const ID packhouse.FormatID = "npm"

// assetName is the name of a version's only asset (codeartifact.md 2.2).
const assetName = "package.tgz"

// defaultTag is what clients install when no tag or version is named.
const defaultTag = "latest"

// Format is the npm room.
type Format struct{}

var (
	_ format.Format       = Format{}
	_ format.Inspector    = Format{}
	_ format.Renderer     = Format{}
	_ format.Puller       = Format{}
	_ format.ErrorWriter  = Format{}
	_ format.ClientSetup  = Format{}
	_ format.OneTimeCodes = Format{}
)

// New returns the room.
func New() Format { return Format{} }

// Spec describes the format. Source: codeartifact.md 1.6, 3.6, 3.9, 4.1; npm.md 4.
func (Format) Spec() format.Spec {
	return format.Spec{
		ID:          ID,
		Title:       "npm",
		Namespace:   format.NamespaceOptional,
		LateAssets:  format.LateNever,
		Upstreams:   true,
		HasReadme:   true,
		MaxAsset:    512 << 20,
		DefaultTag:  defaultTag,
		SingleAsset: assetName,
	}
}
