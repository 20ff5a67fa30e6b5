package codeartifact

import (
	_ "embed"
	"fmt"
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
	errors             []string // their codes
}

// modelShape is a shape as the model has it; fields depend on kind.
type modelShape struct {
	kind     string // text, integer, boolean, enum, list, map, structure, stream
	min, max int64  // max -1 for none
	pattern  string
	words    []string // values of an enum; item of a list; key and value of a map
	members  []modelMember
}

// modelErrors are the codes behind the abbreviations of testdata/model.txt.
var modelErrors = map[string]string{
	"AD": accessDenied, "CF": conflict, "IS": internalServer, "NF": resourceNotFound,
	"SQ": quotaExceeded, "TH": throttling, "VA": validationFailed,
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
			if words[0] == "errors" {
				for _, w := range words[1:] {
					o.errors = append(o.errors, modelErrors[w])
				}
				continue
			}
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
	pattern := ""
	if s.pattern != nil {
		pattern = s.pattern.text
	}
	return fmt.Sprintf("text %d..%d %s", s.min, s.max, pattern)
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
	return fmt.Sprintf("text %d..%d %s", s.min, max(0, s.max), s.pattern)
}
