package npm

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

const keysPath = "-/npm/v1/keys"

// keyKind is the type of our keys and the scheme in which they sign.
const keyKind = "ecdsa-sha2-nistp256"

// key is a signing key as the registry's document has it.
type key struct {
	Expires *string `json:"expires"` // null for never
	KeyID   string  `json:"keyid"`
	KeyType string  `json:"keytype"`
	Scheme  string  `json:"scheme"`
	Key     string  `json:"key"`
}

// keys serves the keys with which versions are signed: those of the domain, for what was
// published here, then those of the public registries behind the repository, unchanged.
// A registry that fails is an error: with a part of the keys, clients would call good
// signatures unknown. Without any key it is 404, at which clients check no signature.
// Source: npm.md 1, 5.
func (p protocol) keys(w http.ResponseWriter, r *format.Request) error {
	own, err := p.house.SigningKeys(r.Context(), r.Who, r.Repo)
	if err != nil {
		return err
	}
	documents, err := p.house.Beside(r.Context(), r.Who, format.Document{Repo: r.Repo, Format: ID, Path: keysPath, Whole: true})
	if err != nil && packhouse.KindOf(err) != packhouse.KindNotFound {
		return err
	}
	var all []json.RawMessage
	seen := map[string]bool{}
	for _, k := range own {
		text, err := json.Marshal(ownKey(k))
		if err != nil {
			return packhouse.Internal(err)
		}
		seen[k.ID] = true
		all = append(all, text)
	}
	for _, d := range documents {
		for _, text := range list(readObject(d.Body)["keys"]) {
			if id := readObject(text).text("keyid"); id != "" && !seen[id] {
				seen[id] = true
				all = append(all, text)
			}
		}
	}
	if len(all) == 0 {
		return packhouse.NotFoundf("keys", "", "nothing in this repository is signed: no version was published in its domain, and no public registry behind it has keys")
	}
	return httpx.WriteJSON(w, http.StatusOK, map[string][]json.RawMessage{"keys": all})
}

func ownKey(k format.SigningKey) key {
	out := key{KeyID: k.ID, KeyType: keyKind, Scheme: keyKind, Key: base64.StdEncoding.EncodeToString(k.Public)}
	if !k.Expires.IsZero() {
		at := k.Expires.UTC().Format(time.RFC3339)
		out.Expires = &at
	}
	return out
}
