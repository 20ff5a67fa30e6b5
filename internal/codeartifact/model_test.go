package codeartifact

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

//go:embed testdata/model.txt
var modelText string

// modelMember is a member as the model has it.
type modelMember struct {
	where, wire, name, shape string
	required                 bool
}

// modelOperation is an operation as the model has it.
type modelOperation struct {
	name, method, path string
	members            []modelMember
}

// modelShape is a shape as the model has it; fields depend on kind.
type modelShape struct {
	kind     string // text, integer, boolean, enum, list, map, structure, stream
	min, max int64  // max -1 for none
	pattern  string
	words    []string // values of an enum; item of a list; key and value of a map
	members  []modelMember
}

// readModel parses testdata/model.txt.
func readModel(t testing.TB) ([]modelOperation, map[string]modelShape) {
	t.Helper()
	operationText, shapeText, ok := strings.Cut(modelText, "\n\n")
	if !ok {
		t.Fatal("model without shapes")
	}
	var list []modelOperation
	for line := range strings.Lines(operationText) {
		words := strings.Fields(line)
		switch {
		case words[0] == "#":
		case line[0] == '\t':
			o := &list[len(list)-1]
			for _, w := range words[1:] {
				o.members = append(o.members, readMember(words[0], w))
			}
		default:
			list = append(list, modelOperation{name: words[0], method: words[1], path: words[2]})
		}
	}
	shapes := make(map[string]modelShape)
	for line := range strings.Lines(shapeText) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		s := modelShape{kind: words[1], max: -1}
		rest := words[2:]
		if len(rest) > 0 && strings.Contains(rest[0], "..") && s.kind != "enum" {
			if _, err := fmt.Sscanf(rest[0], "%d..%d", &s.min, &s.max); err != nil {
				t.Fatal(line, err)
			}
			rest = rest[1:]
		}
		switch s.kind {
		case "text":
			s.pattern = strings.Join(rest, "")
		case "structure":
			for _, w := range rest {
				s.members = append(s.members, readMember("body", w))
			}
		default:
			s.words = rest
		}
		shapes[words[0]] = s
	}
	return list, shapes
}

func readMember(where, w string) modelMember {
	m := modelMember{where: where}
	w, m.required = strings.CutSuffix(w, "*")
	i := strings.LastIndexByte(w, ':')
	m.wire, m.shape = w[:i], w[i+1:]
	m.name = m.wire
	if wire, name, ok := strings.Cut(m.wire, "="); ok {
		m.wire, m.name = wire, name
	}
	return m
}

// TestRowsAreTheModels compares what the tags of every input say with the model:
// members, where they travel, how they are spelled, which are required, and every
// constraint down to the leaves.
func TestRowsAreTheModels(t *testing.T) {
	list, shapes := readModel(t)
	for _, want := range list {
		row := findRow(want.name)
		if row == nil {
			continue // TestEveryOperationHasARow knows which may be missing
		}
		t.Run(want.name, func(t *testing.T) {
			if row.method != want.method || row.path != want.path {
				t.Errorf("row is %s %s, want %s %s", row.method, row.path, want.method, want.path)
			}
			var got []string
			p := row.plan()
			for where, members := range map[string][]member{"query": p.query, "header": p.headers, "body": p.body.members} {
				for _, m := range members {
					got = append(got, describeMember(where, m))
				}
			}
			if p.stream != nil {
				got = append(got, "stream")
			}
			var wants []string
			for _, m := range want.members {
				if m.where == "stream" {
					wants = append(wants, "stream")
					continue
				}
				wants = append(wants, wantMember(m, shapes))
			}
			slices.Sort(got)
			slices.Sort(wants)
			if !slices.Equal(got, wants) {
				t.Errorf("members\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(wants, "\n     "))
			}
		})
	}
}

func findRow(name string) *row {
	for _, o := range operations() {
		if o.name == name {
			return newRow(o, newShapes(sdkFormats()))
		}
	}
	return nil
}

func describeMember(where string, m member) string {
	return fmt.Sprintf("%s %s=%s required=%t %s", where, m.wire, m.name, m.required, describeShape(m.shape))
}

func describeShape(s *shape) string {
	switch s.kind {
	case kindBoolean:
		return "boolean"
	case kindInteger:
		return fmt.Sprintf("integer %d..%d", s.min, s.max)
	case kindList:
		return fmt.Sprintf("list %d..%d of (%s)", s.min, s.max, describeShape(s.item))
	case kindMap:
		return fmt.Sprintf("map (%s) to (%s)", describeShape(s.key), describeShape(s.item))
	case kindStructure:
		var parts []string
		for _, m := range s.members {
			parts = append(parts, describeMember("body", m))
		}
		return "structure {" + strings.Join(parts, ", ") + "}"
	}
	if s.enum != nil {
		return fmt.Sprint("enum ", s.enum)
	}
	return fmt.Sprintf("text %d..%d %s", s.min, s.max, s.pattern.text)
}

func wantMember(m modelMember, shapes map[string]modelShape) string {
	return fmt.Sprintf("%s %s=%s required=%t %s", m.where, m.wire, m.name, m.required, wantShape(m.shape, shapes))
}

func wantShape(name string, shapes map[string]modelShape) string {
	s := shapes[name]
	switch s.kind {
	case "boolean":
		return "boolean"
	case "integer":
		return fmt.Sprintf("integer %d..%d", s.min, s.max)
	case "enum":
		return fmt.Sprint("enum ", s.words)
	case "list":
		return fmt.Sprintf("list %d..%d of (%s)", s.min, max(0, s.max), wantShape(s.words[0], shapes))
	case "map":
		return fmt.Sprintf("map (%s) to (%s)", wantShape(s.words[0], shapes), wantShape(s.words[1], shapes))
	case "structure":
		var parts []string
		for _, m := range s.members {
			parts = append(parts, wantMember(m, shapes))
		}
		return "structure {" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprintf("text %d..%d %s", s.min, s.max, s.pattern)
}

// samples are good values by shape.
var samples = map[string]string{
	"AccountId": testAccount, "Arn": "arn:aws:codeartifact:us-west-2:111122223333:domain/test-domain",
	"AssetName": "package.tgz", "Description": "text", "DomainName": "test-domain",
	"ExternalConnectionName": "public:npmjs", "PackageName": "test-package", "PackageNamespace": "acme",
	"PackageVersion": "4.0.0", "PackageVersionRevision": "abc", "PaginationToken": "token",
	"RepositoryName": "test-repo", "TagKey": "team", "TagValue": "blue", "SHA256": hexSHA256(""),
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

// breach is a bad value and what it breaks.
type breach struct {
	why   string
	value any
}

// breaches returns one bad value per constraint of a shape. inQuery leaves out what a
// query parameter cannot say, such as a wrong JSON type.
func breaches(t *testing.T, name string, shapes map[string]modelShape, inQuery bool) []breach {
	s := shapes[name]
	var out []breach
	add := func(why string, value any) { out = append(out, breach{why, value}) }
	if !inQuery {
		wrong := any(map[string]any{"of": "another type"})
		if s.kind == "map" || s.kind == "structure" {
			wrong = "text"
		}
		add("wrong type", wrong)
	}
	switch s.kind {
	case "boolean":
		if inQuery {
			add("not true or false", "TRUE")
		}
	case "integer":
		add("below the range", s.min-1)
		add("above the range", s.max+1)
		add("not whole", "1.5")
		add("beyond 64 bits", "99999999999999999999")
	case "enum":
		add("no such value", s.words[0]+"x")
		add("empty", "")
	case "list":
		if s.max >= 0 {
			add("too many items", slices.Repeat([]any{sample(s.words[0], shapes)}, int(s.max)+1))
		}
		for _, b := range breaches(t, s.words[0], shapes, false) {
			add("item "+b.why, []any{sample(s.words[0], shapes), b.value})
		}
		add("null item", []any{nil})
	case "map":
		for _, b := range breaches(t, s.words[0], shapes, true) {
			add("key "+b.why, map[string]any{b.value.(string): sample(s.words[1], shapes)})
		}
		for _, b := range breaches(t, s.words[1], shapes, false) {
			add("value "+b.why, map[string]any{sample(s.words[0], shapes).(string): b.value})
		}
	case "structure":
		for _, m := range s.members {
			whole := func(v any) map[string]any {
				w := sample(name, shapes).(map[string]any)
				w[m.wire] = v
				return w
			}
			if m.required {
				w := whole(nil)
				add("null "+m.wire, w)
				w = whole(nil)
				delete(w, m.wire)
				add("absent "+m.wire, w)
			}
			for _, b := range breaches(t, m.shape, shapes, false) {
				add(m.wire+" "+b.why, whole(b.value))
			}
		}
	case "text":
		if s.min > 0 {
			add("too short", strings.Repeat("a", int(s.min)-1))
		}
		if s.max >= 0 {
			add("too long", strings.Repeat("é", int(s.max)+1))
		}
		add("against the pattern", breakPattern(t, s))
	}
	return out
}

// breakPattern returns a text of a good length that the pattern refuses.
func breakPattern(t *testing.T, s modelShape) string {
	re := regexp.MustCompile(`\A(?:` + s.pattern + `)\z`)
	for _, c := range []string{" ", "/", "\u200b", "\x01", "Z"} {
		if bad := "a" + c + strings.Repeat("a", max(0, int(s.min)-2)); !re.MatchString(bad) {
			return bad
		}
	}
	t.Fatalf("no text breaks %s", s.pattern)
	return ""
}

// TestEveryConstraintIsEnforced breaks every constraint of every member of every row
// once, in a signed request that is right otherwise (codeartifact.md 1.1.10: clients
// check nearly nothing).
func TestEveryConstraintIsEnforced(t *testing.T) {
	list, shapes := readModel(t)
	d := newDoor(t)
	broken := 0
	for _, o := range list {
		if findRow(o.name) == nil {
			continue
		}
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
					cases = append(cases, breach{"absent", nil})
				}
				for _, b := range cases {
					broken++
					r := d.sendModel(t, o, shapes, map[string]any{m.wire: b.value})
					if r.status != 400 || r.code() != "ValidationException" || r.member(t, "reason") != "FIELD_VALIDATION_FAILED" {
						t.Errorf("%s %s (%.80v): got %d %s %s", m.name, b.why, b.value, r.status, r.code(), r.body)
					} else if !strings.Contains(r.member(t, "message"), "'"+m.name) {
						t.Errorf("%s %s: the message does not name the member: %s", m.name, b.why, r.body)
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

// sendModel sends an operation with good values, except for those in instead; nil
// there leaves a member out.
func (d *door) sendModel(t *testing.T, o modelOperation, shapes map[string]modelShape, instead map[string]any) reply {
	t.Helper()
	query, body, headers := url.Values{}, map[string]any{}, map[string]string{}
	for _, m := range o.members {
		if o.name == "CopyPackageVersions" && m.wire == "versions" && instead[m.wire] == nil {
			continue // or versionRevisions, not both
		}
		if m.wire == "next-token" && instead[m.wire] == nil || m.wire == "nextToken" && instead[m.wire] == nil {
			continue // a good one comes from the server
		}
		value := sample(m.shape, shapes)
		if v, ok := instead[m.wire]; ok {
			value = v
		}
		if value == nil || m.where == "stream" {
			continue
		}
		switch m.where {
		case "query":
			query.Set(m.wire, fmt.Sprint(value))
		case "header":
			headers[m.wire] = fmt.Sprint(value)
		case "body":
			body[m.wire] = value
		}
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
	return exchange(t, sign(t, r, text))
}
