package npm

import (
	"encoding/base64"
	"encoding/json"
)

// claims are the members of a version's dist that vouch for it, each with a comma before
// it, in two forms.
type claims struct {
	// kept enters the revision's name: that there is a provenance, and which.
	kept []byte
	// shown is in the documents. Signatures are not kept: they follow from the rest and
	// the domain's key, and the same version has the same name in every domain.
	shown []byte
}

// readClaims checks the provenance that came along and signs the version.
func (in *inspection) readClaims() (claims, error) {
	var c claims
	if in.provenance != nil {
		predicate, err := in.checkProvenance()
		if err != nil {
			return c, err
		}
		member := append([]byte(`"provenance":{"predicateType":`), quote(predicate)...)
		c.kept = append(append([]byte(`,"attestations":{`), member...), `},"sha256":"`+in.provenance.Hashes.SHA256+`"}`...)
		c.shown = append(append([]byte(`,"attestations":{"url":"",`), member...), "}}"...)
	}
	if in.up.Sign == nil {
		return c, nil
	}
	sig, err := in.up.Sign([]byte(fullName(in.up.Package) + "@" + in.up.Version + ":" + in.integrity()))
	if err != nil {
		return c, err
	}
	list, err := json.Marshal([]struct {
		KeyID string `json:"keyid"`
		Sig   string `json:"sig"`
	}{{sig.KeyID, base64.StdEncoding.EncodeToString(sig.Value)}})
	if err != nil {
		return c, err
	}
	c.shown = append(append(c.shown, `,"signatures":`...), list...)
	return c, nil
}
