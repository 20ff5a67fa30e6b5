package npm

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"
)

// decisive are the members that decide what a client installs and runs, with the normal
// form in which the client's document and the tarball's package.json are compared. nil
// means that the member says nothing.
//
// Publishing clients normalise before they send, each in its own way: npm makes `bin` an
// object and moves optional dependencies out of the others, Bun keys `bin` by the full
// name. Such differences are none.
var decisive = [...]struct {
	key    string
	normal func(m object, key string) any
}{
	{"dependencies", normalDependencies},
	{"optionalDependencies", normalTexts},
	{"peerDependencies", normalTexts},
	{"peerDependenciesMeta", normalValue},
	{"devDependencies", normalTexts},
	{"bundleDependencies", normalBundle},
	{"bin", normalBin},
	{"scripts", normalScripts},
	{"engines", normalTexts},
	{"os", normalList},
	{"cpu", normalList},
	{"libc", normalList},
}

// correct returns the members in which the client's document does not say what the
// tarball says, with the tarball's values; nil for one that it does not have. Each is
// noted as a warning. Source: reliability.md S26; npm.md 4 step 5.
func (in *inspection) correct(sent, own object) object {
	changes := object{}
	for _, d := range decisive {
		want := d.normal(own, d.key)
		if equalNormal(d.normal(sent, d.key), want) {
			continue
		}
		if d.key == "bin" && want == nil && binsOfDirectory(sent, own) {
			continue
		}
		changes[d.key] = own[d.key]
		switch d.key {
		case "bin":
			changes["bin"] = normalJSON(want) // without a path that leaves the package
		case "bundleDependencies":
			changes["bundledDependencies"] = own["bundledDependencies"] // its other spelling
		}
		in.warn("the published document says something else than package.json in the tarball about %s; the tarball's value is used", d.key)
	}
	return changes
}

func equalNormal(a, b any) bool { return string(normalJSON(a)) == string(normalJSON(b)) }

// normalJSON encodes a normal form; maps come out in key order. nil stays nil.
func normalJSON(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}

func normalTexts(m object, key string) any { return textsOr(m, key, m.object(key).texts()) }

// textsOr returns texts, or what the member holds when that is no object: an array of
// dependencies says something, if only to careless clients.
func textsOr(m object, key string, texts map[string]string) any {
	if raw := string(m[key]); raw != "" && raw[0] != '{' && raw != "null" && raw != "[]" {
		return raw
	}
	if len(texts) == 0 {
		return nil
	}
	return texts
}

func normalDependencies(m object, key string) any {
	texts := m.object(key).texts()
	for name := range m.object("optionalDependencies") {
		delete(texts, name)
	}
	return textsOr(m, key, texts)
}

func normalValue(m object, key string) any {
	var v any
	if json.Unmarshal(m[key], &v) != nil {
		return nil
	}
	if o, ok := v.(map[string]any); ok && len(o) == 0 {
		return nil
	}
	return v
}

func normalList(m object, key string) any {
	var out []string
	if s := unquote(m[key]); s != "" {
		out = append(out, s)
	}
	for _, item := range list(m[key]) {
		out = append(out, unquote(item))
	}
	if len(out) == 0 {
		return nil
	}
	slices.Sort(out)
	return out
}

// normalBundle lists bundled dependencies by either spelling; true means all.
func normalBundle(m object, key string) any {
	raw := m[key]
	if raw == nil {
		raw = m["bundledDependencies"]
	}
	if string(raw) == "true" {
		names := slices.Sorted(maps.Keys(m.object("dependencies").texts()))
		if len(names) == 0 {
			return nil
		}
		return names
	}
	return normalList(object{key: raw}, key)
}

// normalBin maps command names, without a scope, to cleaned paths.
func normalBin(m object, key string) any {
	bins := map[string]string{}
	if s := unquote(m[key]); s != "" {
		bins[unscoped(m.text("name"))] = cleanPath(s)
	}
	for name, target := range m.object(key).texts() {
		bins[unscoped(name)] = cleanPath(target)
	}
	if len(bins) == 0 {
		return nil
	}
	return bins
}

// binsOfDirectory reports whether all commands of the document lie in the folder that
// the tarball names as directories.bin, which clients expand before they publish.
func binsOfDirectory(sent, own object) bool {
	dir := own.object("directories").text("bin")
	if dir == "" {
		return false
	}
	for _, target := range sent.object("bin").texts() {
		if !strings.HasPrefix(cleanPath(target), cleanPath(dir)+"/") {
			return false
		}
	}
	return true
}

// normalScripts leaves out what npm adds by itself when it sees binding.gyp or
// server.js.
func normalScripts(m object, key string) any {
	scripts := m.object(key).texts()
	for name, usual := range map[string]string{"install": "node-gyp rebuild", "start": "node server.js"} {
		if scripts[name] == usual {
			delete(scripts, name)
		}
	}
	return textsOr(m, key, scripts)
}

func unscoped(name string) string {
	if strings.HasPrefix(name, "@") {
		_, name, _ = strings.Cut(name, "/")
	}
	return name
}

func cleanPath(s string) string { return strings.TrimPrefix(path.Clean("/"+s), "/") }
