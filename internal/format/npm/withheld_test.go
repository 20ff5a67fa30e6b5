package npm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// S45, S47: what is held back is in no part of a document but the one in which npm looks
// for why, and a direct question gets the reason.
func TestWithheldVersionsInDocuments(t *testing.T) {
	v := format.View{Entries: []format.Entry{entry("1.0.0", packhouse.Published)}, Tags: map[string]string{"latest": "1.0.0", "next": "1.1.0"},
		Withheld: []format.Withheld{{Version: "1.1.0", Reason: format.ReasonCooldown, Why: "was published just now"},
			{Version: "1.2.0+b", Reason: format.ReasonBlocked, Why: "is blocked"}}}
	for _, kind := range []string{kindFull, kindAbbreviated} {
		doc, err := rendered(t, kind, "", v)
		if err != nil {
			t.Fatal(err)
		}
		want := "map[message:box@1.2.0+b is blocked\nbox@1.1.0 was published just now versions:map[1.1.0:map[name:box version:1.1.0] 1.2.0+b:map[name:box version:1.2.0+b]]]"
		if got := fmt.Sprint(doc["policyRestrictions"]); got != want {
			t.Errorf("%s: restrictions %s, want %s", kind, got, want)
		}
		delete(doc, "policyRestrictions")
		if text := fmt.Sprint(doc); strings.Contains(text, "1.1.0") || strings.Contains(text, "1.2.0") {
			t.Errorf("%s: %s", kind, text)
		}
	}
	for arg, reason := range map[string]string{"1.1.0": "cooldown", "1.2.0": "blocked", "next": "package-version_not_found", "1.3.0": "package-version_not_found", "1.0.0": ""} {
		if _, err := rendered(t, kindVersion, arg, v); packhouse.ReasonOf(err) != reason {
			t.Errorf("version %s: %v, want reason %q", arg, err, reason)
		}
	}
	if doc, err := rendered(t, kindFull, "", format.View{Entries: v.Entries}); err != nil || doc["policyRestrictions"] != nil {
		t.Errorf("nothing is held back: %v, %v", doc["policyRestrictions"], err)
	}
	// A text of bounded length, however many there are.
	for i := range 60 {
		v.Withheld = append(v.Withheld, format.Withheld{Version: fmt.Sprintf("2.0.%d", i), Why: "is young"})
	}
	doc, err := rendered(t, kindFull, "", v)
	if err != nil {
		t.Fatal(err)
	}
	told := doc["policyRestrictions"].(map[string]any)
	if lines := strings.Split(told["message"].(string), "\n"); len(lines) != maxWithheldTold+1 || len(told["versions"].(map[string]any)) != 62 {
		t.Errorf("%d lines about %d versions", len(lines), len(told["versions"].(map[string]any)))
	}
}
