package codeartifact

import (
	"reflect"
	"slices"
	"strings"
)

// object is a JSON object that is being put together. It is encoded with sorted keys, so
// that the same table always gives the same bytes.
type object = map[string]any

// described adds what is known about a member of that name to its schema.
func described(name string, schema object) object {
	if t, ok := memberTexts[name]; ok {
		schema["description"] = t.text
	}
	return schema
}

// schema returns the JSON Schema of an input's value.
func (s *shape) schema() object {
	switch s.kind {
	case kindBoolean:
		return object{"type": "boolean"}
	case kindInteger:
		return object{"type": "integer", "minimum": s.min, "maximum": s.max}
	case kindList:
		o := object{"type": "array", "items": s.item.schema()}
		bound(o, "Items", s)
		return o
	case kindMap:
		return object{"type": "object", "propertyNames": s.key.schema(), "additionalProperties": s.item.schema()}
	case kindStructure:
		return structure(s.members, func(m member) string { return m.wire })
	}
	o := object{"type": "string"}
	if s.enum != nil {
		o["enum"] = s.enum
		return o
	}
	bound(o, "Length", s)
	if s.pattern != nil {
		o["pattern"] = ecmaPattern(s.pattern.text)
	}
	return o
}

func bound(o object, of string, s *shape) {
	if s.min > 0 {
		o["min"+of] = s.min
	}
	if s.max > 0 {
		o["max"+of] = s.max
	}
}

// structure returns the schema of an object with these members.
func structure(members []member, name func(member) string) object {
	properties, required := object{}, []string{}
	for _, m := range members {
		properties[name(m)] = described(m.name, m.shape.schema())
		if m.required {
			required = append(required, name(m))
		}
	}
	o := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

// allowNull says of every member of an object that is not required that it may be null,
// which is the same as absent.
func allowNull(s object) {
	properties, _ := s["properties"].(object)
	required, _ := s["required"].([]string)
	for name, of := range properties {
		m := of.(object)
		allowNull(m)
		if items, ok := m["items"].(object); ok {
			allowNull(items)
		}
		if slices.Contains(required, name) {
			continue
		}
		m["type"] = []any{m["type"], "null"}
		if values, ok := m["enum"].([]string); ok {
			all := make([]any, 0, len(values)+1)
			for _, v := range values {
				all = append(all, v)
			}
			m["enum"] = append(all, nil)
		}
	}
}

// The model's patterns are meant for the whole text, and in a dialect whose \s is ASCII
// only, whereas that of ECMA-262 is every space. \p{C} needs its u flag.
var toECMA = strings.NewReplacer(`\p{IsWhitespace}`, `\s`, `\S`, `[^ \t-\r]`, `\s`, ` \t-\r`)

// ecmaPattern returns a pattern of the model as JSON Schema wants it.
func ecmaPattern(text string) string { return "^(?:" + toECMA.Replace(text) + ")$" }

// outputs collects the schemas of the model's structures that answers are made of.
type outputs struct {
	named object // by name; what answers refer to
}

// schema returns the schema of an answer's value.
func (o *outputs) schema(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[timestamp]():
		return object{"type": "number"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return o.schema(t.Elem())
	case reflect.Slice:
		return object{"type": "array", "items": o.schema(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": o.schema(t.Elem())}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Struct:
		return o.structure(t)
	}
	panic("codeartifact: an answer holds " + t.String())
}

// structure returns the schema of a struct, or a reference to it where it has a name
// that the model knows.
func (o *outputs) structure(t reflect.Type) object {
	name := t.Name()
	known := name != "" && name[0] >= 'A' && name[0] <= 'Z'
	ref := object{"$ref": "#/components/schemas/" + name}
	if known && o.named[name] != nil {
		return ref
	}
	properties, required := object{}, []string{}
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous {
			continue
		}
		wire, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		schema := o.schema(f.Type)
		if schema["$ref"] == nil {
			described(wire, schema)
		}
		properties[wire] = schema
		if options == "" {
			required = append(required, wire)
		}
	}
	s := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	if !known {
		return s
	}
	o.named[name] = s
	return ref
}

// example returns a value that a schema allows: that of the member's name if there is
// one, else one made out of its parts.
func (o *outputs) example(name string, schema object) any {
	if t, ok := memberTexts[name]; ok && t.example != nil && fits(t.example, schema) {
		return t.example
	}
	if ref, ok := schema["$ref"].(string); ok {
		return o.example(name, o.named[strings.TrimPrefix(ref, "#/components/schemas/")].(object))
	}
	switch schema["type"] {
	case "object":
		value := object{}
		properties, _ := schema["properties"].(object)
		for p, s := range properties {
			value[p] = o.example(p, s.(object))
		}
		if each, ok := schema["additionalProperties"].(object); ok {
			key := "1.3.0"
			if names, ok := schema["propertyNames"].(object); ok {
				key, _ = o.example("", names).(string)
			}
			value[key] = o.example("", each)
		}
		return value
	case "array":
		return []any{o.example("", schema["items"].(object))}
	case "integer", "number":
		return 1
	case "boolean":
		return true
	}
	if values, ok := schema["enum"].([]string); ok {
		return values[0]
	}
	return "text"
}

// fits reports whether an example is of the schema's type, down to the leaves.
func fits(example any, schema object) bool {
	switch value := example.(type) {
	case string:
		values, ok := schema["enum"].([]string)
		return schema["type"] == "string" && (!ok || slices.Contains(values, value))
	case bool:
		return schema["type"] == "boolean"
	case int:
		return schema["type"] == "integer" || schema["type"] == "number"
	case float64:
		return schema["type"] == "number"
	case []any:
		items, ok := schema["items"].(object)
		return ok && fits(value[0], items)
	case object:
		properties, _ := schema["properties"].(object)
		each, _ := schema["additionalProperties"].(object)
		for name, v := range value {
			of, ok := properties[name].(object)
			if !ok {
				of = each
			}
			if !fits(v, of) {
				return false
			}
		}
		return schema["type"] == "object"
	}
	return false
}
