package events

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
)

var update = flag.Bool("update", false, "write the golden files")

// sample is a change as the ledger gives it back.
func sample(kind packhouse.ChangeKind, adjust func(*packhouse.Change)) packhouse.Change {
	c := packhouse.Change{ID: 42, At: time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC), Kind: kind, DomainID: 1, RepoID: 2,
		Domain: packhouse.DomainRef{Owner: "111122223333", Name: "acme"}, Repo: "team", Administrator: "123456789012",
		Package: packhouse.PackageName{Format: "npm", Namespace: "acme", Name: "box"}, Version: "1.0.0",
		RevisionBefore: "before=", RevisionAfter: "after=", StatusBefore: packhouse.Published, StatusAfter: packhouse.Published,
		Sequence: 7, DedupID: "0b3a5d52-0000-4000-8000-000000000001"}
	adjust(&c)
	return c
}

// The events of codeartifact.md 3.13: one file for each thing that can happen to a
// version.
func TestEvents(t *testing.T) {
	fresh := func(c *packhouse.Change) {
		c.RevisionBefore, c.StatusBefore, c.AssetsAdded, c.MetadataUpdated = "", "", 1, true
	}
	for name, c := range map[string]packhouse.Change{
		"published": sample(packhouse.ChangeVersionPublished, fresh),
		"published without namespace": sample(packhouse.ChangeVersionPublished, func(c *packhouse.Change) {
			fresh(c)
			c.Package = packhouse.PackageName{Format: "pypi", Name: "box"}
		}),
		"published unfinished": sample(packhouse.ChangeVersionPublished, func(c *packhouse.Change) {
			fresh(c)
			c.StatusAfter = packhouse.Unfinished
		}),
		"asset added": sample(packhouse.ChangeVersionAssetAdded, func(c *packhouse.Change) {
			c.StatusBefore, c.AssetsAdded = packhouse.Unfinished, 1
		}),
		"asset removed": sample(packhouse.ChangeVersionAssetRemoved, func(c *packhouse.Change) { c.AssetsRemoved = 1 }),
		"copied":        sample(packhouse.ChangeVersionCopied, fresh),
		"copied over": sample(packhouse.ChangeVersionCopied, func(c *packhouse.Change) {
			c.AssetsAdded, c.AssetsRemoved, c.AssetsUpdated, c.MetadataUpdated = 1, 2, 3, true
		}),
		"retained":       sample(packhouse.ChangeVersionRetained, fresh),
		"status changed": sample(packhouse.ChangeVersionStatus, func(c *packhouse.Change) { c.RevisionAfter, c.StatusAfter = c.RevisionBefore, packhouse.Archived }),
		"deprecated":     sample(packhouse.ChangeVersionOverlay, func(c *packhouse.Change) { c.RevisionAfter, c.MetadataUpdated = c.RevisionBefore, true }),
		"disposed": sample(packhouse.ChangeVersionDisposed, func(c *packhouse.Change) {
			c.RevisionAfter, c.StatusAfter, c.AssetsRemoved = c.RevisionBefore, packhouse.Disposed, 2
		}),
		"deleted": sample(packhouse.ChangeVersionDeleted, func(c *packhouse.Change) {
			c.RevisionAfter, c.StatusAfter, c.AssetsRemoved = "", packhouse.Deleted, 2
		}),
	} {
		t.Run(name, func(t *testing.T) {
			if !Tells(&c) {
				t.Fatal("no event tells of it")
			}
			text := Of(&c, "us-west-2", "111122223333").JSON()
			if bytes.ContainsRune(text, '\n') {
				t.Error("the text has a line break, which would end it in a stream")
			}
			var got bytes.Buffer
			if err := json.Indent(&got, text, "", "  "); err != nil {
				t.Fatal(err)
			}
			got.WriteByte('\n')
			path := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".json")
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%v\ngot  %s\nwant %s", err, &got, want)
			}
		})
	}
}

func TestNoEventTellsOfOtherChanges(t *testing.T) {
	for _, kind := range []packhouse.ChangeKind{packhouse.ChangePackageCreated, packhouse.ChangePackageDeleted, packhouse.ChangeTagSet,
		packhouse.ChangeRepositoryDeleted, packhouse.ChangeUpstreamChanged, packhouse.ChangeWebhook, packhouse.ChangeKeyChanged} {
		if Tells(&packhouse.Change{Kind: kind}) {
			t.Errorf("an event tells of %s", kind)
		}
	}
}

func TestOwnerAndAdministratorGetOneEventEach(t *testing.T) {
	c := sample(packhouse.ChangeVersionPublished, func(*packhouse.Change) {})
	accounts := Accounts(&c)
	if len(accounts) != 2 || accounts[0] != "111122223333" || accounts[1] != "123456789012" {
		t.Fatalf("accounts %v, want owner and administrator", accounts)
	}
	a, b := Of(&c, "r", accounts[0]), Of(&c, "r", accounts[1])
	if a.ID == b.ID || a.Account == b.Account || a.Detail.(VersionDetail).EventDeduplicationID != b.Detail.(VersionDetail).EventDeduplicationID {
		t.Errorf("events %+v and %+v: want ids of their own and one deduplication id", a, b)
	}
	if again := Of(&c, "r", accounts[0]); again.ID != a.ID {
		t.Error("made again the event has another id: receivers could not tell a repetition")
	}
	c.Administrator = c.Domain.Owner
	if accounts := Accounts(&c); len(accounts) != 1 {
		t.Errorf("accounts %v, want the one once", accounts)
	}
}

func TestFilters(t *testing.T) {
	c := sample(packhouse.ChangeVersionPublished, func(*packhouse.Change) {})
	for _, tt := range []struct {
		name   string
		filter packhouse.EventFilter
		want   bool
	}{
		{"nothing", packhouse.EventFilter{}, true},
		{"all of it", packhouse.EventFilter{Domain: c.Domain, Repository: "team", Format: "npm", DetailTypes: []string{"x", packhouse.DetailVersionStateChange}}, true},
		{"another domain", packhouse.EventFilter{Domain: packhouse.DomainRef{Owner: c.Domain.Owner, Name: "other"}}, false},
		{"a domain of that name of another account", packhouse.EventFilter{Domain: packhouse.DomainRef{Owner: "999999999999", Name: "acme"}}, false},
		{"another repository", packhouse.EventFilter{Domain: c.Domain, Repository: "other"}, false},
		{"another format", packhouse.EventFilter{Format: "pypi"}, false},
		{"other detail types", packhouse.EventFilter{DetailTypes: []string{"x"}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Selects(&tt.filter, &c); got != tt.want {
				t.Errorf("selected: %v, want %v", got, tt.want)
			}
		})
	}
}

// A known answer, so that receivers in other languages can be checked against it.
func TestSignature(t *testing.T) {
	got := Sign("whsec-0123456789abcdef", "1772366400", []byte(`{"version":"0"}`))
	if want := "sha256=e431332b5425fbe83ce762b72875c475ea628d87001f043f86a70a37397fbd15"; got != want {
		t.Errorf("signature %q, want %q", got, want)
	}
	for what, other := range map[string]string{
		"secret": Sign("whsec-0123456789abcdeg", "1772366400", []byte(`{"version":"0"}`)),
		"time":   Sign("whsec-0123456789abcdef", "1772366401", []byte(`{"version":"0"}`)),
		"body":   Sign("whsec-0123456789abcdef", "1772366400", []byte(`{"version":"1"}`)),
	} {
		if other == got {
			t.Errorf("another %s gives the same signature", what)
		}
	}
}
