package npm

import (
	"testing"

	"github.com/packhouse/packhouse"
)

// npm.md 14: an upstream that answers 200 with JSON of another kind failed; only a
// document about the package can say that the package has no versions.
func TestReadIndexWantsADocumentAboutThePackage(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		ok   bool
	}{
		"unpublished, without versions": {`{"_id":"@acme/box","name":"@acme/box","time":{"unpublished":{}}}`, true},
		"no versions yet":               {`{"name":"@acme/box","versions":{}}`, true},
		"escaped name":                  {`{"name":"@acme\/box"}`, true},
		"an error in JSON":              {`{"errors":[{"code":"UNAVAILABLE"}]}`, false},
		"another package":               {`{"name":"box","versions":{}}`, false},
		"a name that is no text":        {`{"name":["@acme/box"]}`, false},
		"nothing in it":                 {`{}`, false},
	} {
		index, err := New().ReadIndex(packhouse.PackageName{Format: ID, Namespace: "acme", Name: "box"}, []byte(c.body))
		if (err == nil) != c.ok || (index != nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if !c.ok && packhouse.KindOf(err) != packhouse.KindUpstream {
			t.Errorf("%s: kind %v", name, packhouse.KindOf(err))
		}
	}
}
