package codeartifact

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// samples are good values by shape.
var samples = map[string]string{
	"AccountId": testAccount, "Arn": "arn:aws:codeartifact:us-west-2:111122223333:domain/test-domain",
	"AssetName": "package.tgz", "Description": "text", "DomainName": "test-domain",
	"ExternalConnectionName": "public:npmjs", "PackageGroupContactInfo": "team@example.com", "PackageGroupPattern": "/npm/acme/*",
	"PackageGroupPatternPrefix": "/npm", "PackageName": "test-package", "PackageNamespace": "acme",
	"PackageVersion": "4.0.0", "PackageVersionRevision": "abc", "PaginationToken": "token",
	"PolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`,
	"PolicyRevision": "1", "RepositoryName": "test-repo", "SHA256": hexSHA256(""), "String": "/npm/acme/*",
	"TagKey": "team", "TagValue": "blue",
}

// sample returns a good value of a shape as JSON would decode it.
func sample(name string, shapes map[string]modelShape) any {
	s := shapes[name]
	switch s.kind {
	case "boolean":
		return true
	case "integer":
		return s.max
	case "enum":
		return s.words[0]
	case "list":
		return []any{sample(s.words[0], shapes)}
	case "map":
		return map[string]any{sample(s.words[0], shapes).(string): sample(s.words[1], shapes)}
	case "structure":
		m := make(map[string]any)
		for _, member := range s.members {
			m[member.wire] = sample(member.shape, shapes)
		}
		return m
	}
	return samples[name]
}

// breach is a bad value, what it breaks, and what the message must tell besides the
// member: what is allowed.
type breach struct {
	why     string
	value   any
	allowed string
}

// jsonTypes are what messages call the types of JSON.
var jsonTypes = map[string]string{"boolean": "true or false", "integer": "a whole number", "list": "a list", "map": "an object", "structure": "an object"}

// breaches returns one bad value per constraint of a shape. inQuery leaves out what a
// query parameter cannot say, such as a wrong JSON type.
func breaches(t *testing.T, name string, shapes map[string]modelShape, inQuery bool) []breach {
	s := shapes[name]
	var out []breach
	add := func(why string, value any, allowed string) { out = append(out, breach{why, value, allowed}) }
	inside := func(why string, list []breach, wrap func(any) any) {
		for _, b := range list {
			add(why+" "+b.why, wrap(b.value), b.allowed)
		}
	}
	if !inQuery {
		wrong := any(map[string]any{"of": "another type"})
		if s.kind == "map" || s.kind == "structure" {
			wrong = "text"
		}
		must, ok := jsonTypes[s.kind]
		if !ok {
			must = "a string"
		}
		add("wrong type", wrong, "must be "+must)
	}
	switch s.kind {
	case "boolean":
		if inQuery {
			add("not true or false", "TRUE", "must be true or false")
		}
	case "integer":
		add("below the range", s.min-1, fmt.Sprintf("must be at least %d", s.min))
		add("above the range", s.max+1, fmt.Sprintf("must be at most %d", s.max))
		add("not whole", "1.5", "must be a whole number")
		add("beyond 64 bits", "99999999999999999999", "must be a whole number")
	case "enum":
		must := "must be one of [" + strings.Join(s.words, ", ") + "]"
		add("no such value", s.words[0]+"x", must)
		add("in another case", swapCase(s.words[0]), must)
		add("empty", "", must)
	case "list":
		if s.max >= 0 {
			add("too many items", slices.Repeat([]any{sample(s.words[0], shapes)}, int(s.max)+1), fmt.Sprintf("must have at most %d items", s.max))
		}
		inside("item", breaches(t, s.words[0], shapes, false), func(v any) any { return []any{sample(s.words[0], shapes), v} })
		add("null item", []any{nil}, "is required")
	case "map":
		inside("key", breaches(t, s.words[0], shapes, true), func(v any) any { return map[string]any{v.(string): sample(s.words[1], shapes)} })
		inside("value", breaches(t, s.words[1], shapes, false), func(v any) any { return map[string]any{sample(s.words[0], shapes).(string): v} })
		add("null value", map[string]any{sample(s.words[0], shapes).(string): nil}, "is required")
	case "structure":
		for _, m := range s.members {
			whole := func(v any) any {
				w := sample(name, shapes).(map[string]any)
				w[m.wire] = v
				return w
			}
			if m.required {
				add("null "+m.wire, whole(nil), "is required")
				w := whole(nil).(map[string]any)
				delete(w, m.wire)
				add("absent "+m.wire, w, "is required")
			}
			inside(m.wire, breaches(t, m.shape, shapes, false), whole)
		}
	case "text":
		if s.min > 0 {
			add("too short", strings.Repeat("a", int(s.min)-1), fmt.Sprintf("must have at least %d characters", s.min))
		}
		if s.max >= 0 {
			add("too long", strings.Repeat("é", int(s.max)+1), fmt.Sprintf("must have at most %d characters", s.max))
		}
		if s.pattern != "" {
			add("against the pattern", breakPattern(t, s), "must match the regular expression "+s.pattern)
		}
	}
	return out
}

func swapCase(s string) string {
	if lower := strings.ToLower(s); lower != s {
		return lower
	}
	return strings.ToUpper(s)
}

// compiled is a pattern of the model in Go's dialect, anchored.
func compiled(pattern string) *regexp.Regexp {
	return regexp.MustCompile(`\A(?:` + strings.ReplaceAll(pattern, `\p{IsWhitespace}`, `\s\v\p{Z}`) + `)\z`)
}

// breakPattern returns a text of a good length that the pattern refuses.
func breakPattern(t *testing.T, s modelShape) string {
	re := compiled(s.pattern)
	for _, c := range []string{" ", "/", "\u200b", "\x01", "Z"} {
		if bad := "a" + c + strings.Repeat("a", max(0, int(s.min)-2)); !re.MatchString(bad) {
			return bad
		}
	}
	t.Fatalf("no text breaks %s", s.pattern)
	return ""
}

// edges returns the values at the boundaries of a shape's constraints, all of them good.
func edges(t *testing.T, name string, shapes map[string]modelShape) []any {
	s := shapes[name]
	var out []any
	switch s.kind {
	case "boolean":
		out = append(out, true, false)
	case "integer":
		out = append(out, s.min, s.max)
	case "enum":
		for _, w := range s.words {
			out = append(out, w)
		}
	case "list":
		out = append(out, []any{})
		if s.max >= 0 {
			out = append(out, slices.Repeat([]any{sample(s.words[0], shapes)}, int(s.max)))
		}
		for _, v := range edges(t, s.words[0], shapes) {
			out = append(out, []any{v})
		}
	case "map":
		out = append(out, map[string]any{})
		for _, k := range edges(t, s.words[0], shapes) {
			out = append(out, map[string]any{k.(string): sample(s.words[1], shapes)})
		}
		for _, v := range edges(t, s.words[1], shapes) {
			out = append(out, map[string]any{sample(s.words[0], shapes).(string): v})
		}
	case "structure":
		least := map[string]any{"unknown": "ignored"}
		for _, m := range s.members {
			for _, v := range edges(t, m.shape, shapes) {
				w := sample(name, shapes).(map[string]any)
				w[m.wire] = v
				out = append(out, w)
			}
			if m.required {
				least[m.wire] = sample(m.shape, shapes)
			}
		}
		out = append(out, least)
	case "text":
		lengths := []int64{s.min}
		if s.max > s.min {
			lengths = append(lengths, s.max)
		}
		for _, n := range lengths {
			out = append(out, longText(t, s, int(n)))
		}
	}
	return out
}

// longText returns a text of n characters that the pattern takes, of more than one byte
// each where it may.
func longText(t *testing.T, s modelShape, n int) string {
	re := compiled(s.pattern)
	for _, c := range []string{"é", "a", "1"} {
		if text := strings.Repeat(c, n); s.pattern == "" || re.MatchString(text) {
			return text
		}
	}
	t.Fatalf("no text of %d characters matches %s", n, s.pattern)
	return ""
}

// TestEveryConstraintIsEnforced breaks every constraint of every member of every row
// once, in a signed request that is right otherwise (codeartifact.md 1.1, rules 9 and
// 10: clients check nearly nothing). The message names the member and what is allowed.
func TestEveryConstraintIsEnforced(t *testing.T) {
	list, shapes := readModel(t)
	d := newDoor(t)
	broken := 0
	for _, o := range list {
		t.Run(o.name, func(t *testing.T) {
			if r := d.sendModel(t, o, shapes, nil); r.status != 200 {
				t.Fatalf("good request: got %d %s", r.status, r.body)
			}
			calls := len(d.service.calls)
			for _, m := range o.members {
				if m.where == "stream" {
					continue
				}
				cases := breaches(t, m.shape, shapes, m.where != "body")
				if m.required {
					cases = append(cases, breach{"absent", nil, "is required"})
				}
				for _, b := range cases {
					broken++
					r := d.sendModel(t, o, shapes, map[string]any{m.wire: b.value})
					if r.status != 400 || r.code() != "ValidationException" || r.member(t, "reason") != "FIELD_VALIDATION_FAILED" {
						t.Errorf("%s %s (%.80v): got %d %s %s", m.name, b.why, b.value, r.status, r.code(), r.body)
						continue
					}
					if told := r.member(t, "message"); !strings.Contains(told, "'"+m.name) || !strings.Contains(told, b.allowed) {
						t.Errorf("%s %s: the message does not name the member and %q: %s", m.name, b.why, b.allowed, told)
					}
				}
			}
			if len(d.service.calls) != calls {
				t.Errorf("a bad request reached the engine: %v", d.service.calls[calls:])
			}
		})
	}
	t.Logf("%d constraints broken", broken)
}

// TestEveryBoundaryIsAllowed sends, for every member of every row, the values at the
// boundaries of its constraints and all values of its enums: they reach the engine.
func TestEveryBoundaryIsAllowed(t *testing.T) {
	list, shapes := readModel(t)
	d := newDoor(t)
	sent := 0
	for _, o := range list {
		t.Run(o.name, func(t *testing.T) {
			for _, m := range o.members {
				if m.where == "stream" || m.where == "header" {
					continue // a hash has one length, and it must be the body's
				}
				for _, v := range edges(t, m.shape, shapes) {
					if isEmpty(v) && o.name == "CopyPackageVersions" {
						continue // names no version, which is a rule between members
					}
					sent++
					r := d.sendModel(t, o, shapes, map[string]any{m.wire: v})
					switch {
					case m.shape == "PaginationToken": // it passes, and then is none of ours
						wantInvalid(t, r, "OTHER")
					case r.status != 200:
						t.Errorf("%s (%.80v): got %d %s", m.name, v, r.status, r.body)
					}
				}
			}
		})
	}
	t.Logf("%d boundaries sent", sent)
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// TestEveryOperationWantsJSON: a body that is no JSON object is CANNOT_PARSE wherever
// there are members in it (codeartifact.md 1.1, rule 9); where there are none, a client
// that sends {} or nothing is right either way (rule 6).
func TestEveryOperationWantsJSON(t *testing.T) {
	list, shapes := readModel(t)
	d := newDoor(t)
	for _, o := range list {
		row := findRow(o.name)
		if row.plan().stream != nil {
			continue
		}
		t.Run(o.name, func(t *testing.T) {
			query := modelQuery(o, shapes)
			for _, body := range []string{"{", "[]", "null", "x=1", "\xff", `{"a":1,"a":1}`, "{}{}"} {
				wantInvalid(t, d.send(t, o.method, o.path+"?"+query.Encode(), body), "CANNOT_PARSE")
			}
			if len(row.plan().body.members) > 0 {
				return
			}
			if r := d.send(t, o.method, o.path+"?"+query.Encode(), "{}"); r.status != 200 {
				t.Errorf("{}: got %d %s", r.status, r.body)
			}
		})
	}
}

// modelQuery returns a good query of an operation.
func modelQuery(o modelOperation, shapes map[string]modelShape) url.Values {
	query := url.Values{}
	for _, m := range o.members {
		if m.where == "query" && m.shape != "PaginationToken" {
			query.Set(m.wire, fmt.Sprint(sample(m.shape, shapes)))
		}
	}
	return query
}

// sendModel sends an operation with good values, except for those in instead; nil
// there leaves a member out.
func (d *door) sendModel(t *testing.T, o modelOperation, shapes map[string]modelShape, instead map[string]any) reply {
	t.Helper()
	query, body, headers := modelQuery(o, shapes), map[string]any{}, map[string]string{}
	for _, m := range o.members {
		value, given := instead[m.wire]
		if !given {
			if m.shape == "PaginationToken" { // a good one comes from the server
				continue
			}
			value = sample(m.shape, shapes)
		}
		switch {
		case m.where == "stream":
		case m.where == "query" && value == nil:
			query.Del(m.wire)
		case m.where == "query":
			query.Set(m.wire, fmt.Sprint(value))
		case value == nil:
		case m.where == "header":
			headers[m.wire] = fmt.Sprint(value)
		default:
			body[m.wire] = value
		}
	}
	if _, given := instead["versions"]; o.name == "CopyPackageVersions" && !given {
		delete(body, "versions") // or versionRevisions, not both
	} else if o.name == "CopyPackageVersions" {
		delete(body, "versionRevisions")
	}
	text := ""
	if len(body) > 0 {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	r := d.request(t, o.method, o.path+"?"+query.Encode(), text)
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Amz-Sdk-Invocation-Id", rand.Text()) // as SDKs do: no two signatures are equal
	return exchange(t, sign(t, r, text))
}
