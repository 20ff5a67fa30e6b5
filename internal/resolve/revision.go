package resolve

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"slices"
	"strings"

	"github.com/packhouse/packhouse"
)

// RevisionName returns the content name of a revision: standard base64 of a SHA-256, 44
// characters. Equal coordinates, assets and manifest have equal names in every
// repository and on every machine; the order of assets does not matter, and of an asset
// only Name and Digest count. version is the version's identity (Format.VersionKey), so
// that two spellings that the format calls equal do not make two revisions. Side files
// are not passed; neither status, tags, overlay nor times enter the name.
//
// Source: codeartifact.md 2.6.
func RevisionName(name packhouse.PackageName, version string, assets []packhouse.Asset, manifest []byte) string {
	sorted := slices.Clone(assets)
	slices.SortFunc(sorted, func(a, b packhouse.Asset) int { return strings.Compare(a.Name, b.Name) })

	h := sha256.New()
	writeField(h, []byte("packhouse revision 1"))
	writeField(h, []byte(name.Format))
	writeField(h, []byte(name.Namespace))
	writeField(h, []byte(name.Name))
	writeField(h, []byte(version))
	writeCount(h, len(sorted))
	for i := range sorted {
		writeField(h, []byte(sorted[i].Name))
		writeField(h, sorted[i].Digest[:])
	}
	writeField(h, manifest)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// writeField writes b behind its length, so that no two lists of fields run together
// into the same bytes.
func writeField(h hash.Hash, b []byte) {
	writeCount(h, len(b))
	h.Write(b)
}

func writeCount(h hash.Hash, n int) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(n)) //nolint:gosec // a length is not negative
	h.Write(length[:])
}
