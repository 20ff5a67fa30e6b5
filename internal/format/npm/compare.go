package npm

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

var _ format.Comparer = Format{}

// packument is what CompareIndexes reads of a document.
type packument struct {
	Tags     map[string]string         `json:"dist-tags"`
	Times    map[string]string         `json:"time"`
	Versions map[string]map[string]any `json:"versions"`
}

// CompareIndexes compares every member of every version, the publish times and the tags. By
// design differ: the addresses of tarballs and attestations, and versions that are not
// strict SemVer or repeat another's key, which we do not serve.
func (f Format) CompareIndexes(served, upstream []byte) (versions int, differences []format.Difference, err error) {
	ours, err := readPackument(served)
	if err != nil {
		return 0, nil, packhouse.Invalidf("invalid_document", "the document that is served cannot be read: %s", err)
	}
	theirs, err := readPackument(upstream)
	if err != nil {
		return 0, nil, packhouse.Invalidf("invalid_document", "the public registry's document cannot be read: %s", err)
	}
	differences = []format.Difference{} // an empty list in JSON, too
	for _, tag := range keysOfBoth(ours.Tags, theirs.Tags) {
		if a, b := ours.Tags[tag], theirs.Tags[tag]; a != b {
			differences = append(differences, format.Difference{Field: "dist-tags." + tag, Served: a, Upstream: b})
		}
	}
	all := keysOfBoth(ours.Versions, theirs.Versions)
	slices.SortFunc(all, f.Compare)
	held := make(map[string]bool, len(ours.Versions)) // keys that are served
	for v := range ours.Versions {
		held[withoutBuild(v)] = true
	}
	for _, v := range all {
		a, b := ours.Versions[v], theirs.Versions[v]
		if b != nil && badVersion(v) == "" {
			versions++
		}
		switch {
		case a == nil && (badVersion(v) != "" || held[withoutBuild(v)]):
			continue
		case a == nil:
			differences = append(differences, format.Difference{Version: v, Field: "version", Upstream: "present"})
			continue
		case b == nil:
			differences = append(differences, format.Difference{Version: v, Field: "version", Served: "present"})
			continue
		}
		differences = append(differences, compareVersion(v, a, b)...)
		if at := parseTime(theirs.Times[v]); !at.IsZero() && parseTime(ours.Times[v]).UnixMilli() != at.UnixMilli() {
			differences = append(differences, format.Difference{Version: v, Field: "time", Served: ours.Times[v], Upstream: theirs.Times[v]})
		}
	}
	return versions, differences, nil
}

func readPackument(text []byte) (p packument, err error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return p, dec.Decode(&p)
}

// compareVersion compares the members of a version's object, those of dist one by one.
func compareVersion(version string, ours, theirs map[string]any) []format.Difference {
	var out []format.Difference
	compare := func(prefix string, ours, theirs map[string]any, leave ...string) {
		for _, key := range keysOfBoth(ours, theirs) {
			if a, b := ours[key], theirs[key]; !slices.Contains(leave, key) && !reflect.DeepEqual(a, b) {
				out = append(out, format.Difference{Version: version, Field: prefix + key, Served: valueText(a), Upstream: valueText(b)})
			}
		}
	}
	compare("", ours, theirs, "dist")
	a, b := membersOf(ours["dist"]), membersOf(theirs["dist"])
	compare("dist.", a, b, "tarball", "attestations")
	compare("dist.attestations.", membersOf(a["attestations"]), membersOf(b["attestations"]), "url")
	return out
}

func membersOf(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// valueText spells a value as JSON; "" for an absent one.
func valueText(v any) string {
	if v == nil {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func keysOfBoth[V any](a, b map[string]V) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.SortFunc(keys, cmp.Compare[string])
	return slices.Compact(keys)
}
