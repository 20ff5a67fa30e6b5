package iam

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
)

// Reasons of this door's own errors; errors.go turns them into codes.
const (
	reasonParse      = "cannot_parse"
	reasonConstraint = "field_validation_failed"
)

// parseForm decodes the body of a call. A parameter given twice is refused, so that
// nobody can mean the one while somebody else reads the other. What was read before a
// mistake is returned with it.
func parseForm(body string) (map[string]string, error) {
	form := map[string]string{}
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return form, malformed("is not properly encoded")
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil || !utf8.ValidString(value) {
			return form, malformed("is not properly encoded")
		}
		if _, twice := form[name]; twice {
			return form, malformed("gives the parameter " + shown(name) + " more than once")
		}
		if len(form) == maxParameters {
			return form, malformed(fmt.Sprintf("has more than %d parameters", maxParameters))
		}
		form[name] = value
	}
	return form, nil
}

func malformed(what string) error {
	return packhouse.Invalidf(reasonParse, "The form %s.", what)
}

// shown quotes a value of a request for a message.
func shown(value string) string {
	const most = 100
	if len(value) > most {
		value = strings.ToValidUTF8(value[:most], "") + "..."
	}
	quoted := strconv.QuoteToGraphic(value)
	return quoted[1 : len(quoted)-1]
}

// maxProblems bounds how many broken constraints one answer lists.
const maxProblems = 20

// decode fills an input struct and checks it. A field travels under its Go name, or that
// of its tag `wire`; its tag `rule:"name,required"` names one of rules. Fields of a field
// that is a structure are its own. Lists travel as NAME.member.1, structures in
// them as NAME.member.1.FIELD. Parameters that no field has are left alone, as clients
// newer than we are may send some. All broken constraints are told at once.
func decode(form map[string]string, in reflect.Value) error {
	var problems []string
	decodeStruct(form, "", in, &problems)
	if n := len(problems); n > 0 {
		plural := ""
		if n > 1 {
			plural = "s"
		}
		return packhouse.Invalidf(reasonConstraint, "%d validation error%s detected: %s", n, plural, strings.Join(problems[:min(n, maxProblems)], "; "))
	}
	return nil
}

func decodeStruct(form map[string]string, prefix string, in reflect.Value, problems *[]string) {
	t := in.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Kind() == reflect.Struct {
			decodeStruct(form, prefix, in.Field(i), problems)
			continue
		}
		name, rule, required := prefix+wireName(f), "", false
		if tag := f.Tag.Get("rule"); tag != "" {
			var option string
			rule, option, _ = strings.Cut(tag, ",")
			required = option == "required"
		}
		if f.Type.Kind() == reflect.Slice {
			decodeList(form, name, rule, in.Field(i), problems)
			if required && in.Field(i).Len() == 0 {
				*problems = append(*problems, fmt.Sprintf("Value at '%s' is required", name))
			}
			continue
		}
		value, given := form[name]
		if !given {
			if required {
				*problems = append(*problems, fmt.Sprintf("Value at '%s' is required", name))
			}
			continue
		}
		setField(name, rule, value, in.Field(i), problems)
	}
}

// wireName is the parameter that a field is set from.
func wireName(f reflect.StructField) string {
	if name := f.Tag.Get("wire"); name != "" {
		return name
	}
	return f.Name
}

// decodeList reads members from 1 on until one is missing.
func decodeList(form map[string]string, name, rule string, list reflect.Value, problems *[]string) {
	item := list.Type().Elem()
	for i := 1; i <= maxParameters; i++ {
		at := name + ".member." + strconv.Itoa(i)
		v := reflect.New(item).Elem()
		if item.Kind() == reflect.Struct {
			if !slices.ContainsFunc(reflect.VisibleFields(item), func(f reflect.StructField) bool { _, ok := form[at+"."+wireName(f)]; return ok }) {
				return
			}
			decodeStruct(form, at+".", v, problems)
		} else {
			value, given := form[at]
			if !given {
				return
			}
			setField(at, rule, value, v, problems)
		}
		list.Set(reflect.Append(list, v))
	}
}

// setField sets a string, an int or a pointer to one.
func setField(name, rule, value string, field reflect.Value, problems *[]string) {
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.New(field.Type().Elem()))
		field = field.Elem()
	}
	check, ok := rules[rule]
	if !ok {
		panic("iam: no rule " + strconv.Quote(rule) + " for " + name)
	}
	broken := check(value)
	if broken == "" && field.Kind() == reflect.Int {
		n, err := strconv.Atoi(value)
		if err != nil {
			broken = "must be a whole number"
		}
		field.SetInt(int64(n))
	} else if field.Kind() == reflect.String {
		field.SetString(value)
	}
	if broken != "" {
		*problems = append(*problems, fmt.Sprintf("Value '%s' at '%s' %s", shown(value), name, broken))
	}
}

// rules are the constraints of parameters by name: each returns what is wrong, "" for
// nothing.
var rules = map[string]func(string) string{
	"text":        length(0, 1000),
	"userName":    pattern(1, 64, nameCharacter),
	"groupName":   pattern(1, 128, nameCharacter),
	"roleName":    pattern(1, 64, nameCharacter),
	"policyName":  pattern(1, 128, nameCharacter),
	"sessionName": pattern(2, 64, nameCharacter),
	"keyId":       pattern(16, 128, wordCharacter),
	"arn":         length(20, 2048),
	"document":    length(1, 131072),
	"token":       length(4, 20000),
	"url":         length(1, 255),
	"externalId":  length(2, 1224),
	"tagKey":      length(1, 128),
	"tagValue":    length(0, 256),
	"marker":      length(1, 2500),
	"maxItems":    between(1, 1000),
	"seconds":     between(0, 1<<31-1),
	"status":      oneOf("Active", "Inactive"),
	"scope":       oneOf("All", "AWS", "Local"),
	"versionId":   versionID,
	"path":        path,
	"pathPrefix":  pathPrefix,
	"usage":       oneOf(usagePermissions, usageBoundary),
	"boolean":     oneOf("true", "false"),
	"no":          oneOf("false"),
	"secret":      func(string) string { return "" }, // the engine's to refuse: a broken constraint repeats its value
	"unsupported": func(string) string { return "is not supported by this server" },
}

func length(least, most int) func(string) string {
	return func(s string) string {
		switch n := utf8.RuneCountInString(s); {
		case n < least:
			return fmt.Sprintf("must have length greater than or equal to %d", least)
		case n > most:
			return fmt.Sprintf("must have length less than or equal to %d", most)
		}
		return ""
	}
}

func pattern(least, most int, allowed string) func(string) string {
	return func(s string) string {
		if broken := length(least, most)(s); broken != "" {
			return broken
		}
		if strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune(allowed, r) }) >= 0 {
			return "must have only characters of " + allowed
		}
		return ""
	}
}

// path follows IAM's pathType; what a managed policy's must look like besides is the
// engine's to say.
func path(s string) string {
	if identity.ValidPath(s) != nil {
		return "must begin and end with a slash and have at most 512 printable ASCII characters"
	}
	return ""
}

// pathPrefix follows IAM's pathPrefixType.
func pathPrefix(s string) string {
	if s == "" || identity.ValidPath(s) != nil && identity.ValidPath(s+"/") != nil {
		return "must begin with a slash and have at most 512 printable ASCII characters"
	}
	return ""
}

func versionID(s string) string {
	if _, ok := parseVersion(s); !ok {
		return "must be v and a number, as in v1"
	}
	return ""
}

// parseVersion reads the id of a policy's version.
func parseVersion(s string) (int64, bool) {
	digits, ok := strings.CutPrefix(s, "v")
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, ok && err == nil && n > 0 && digits[0] != '+' && digits[0] != '0'
}

const (
	wordCharacter = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
	nameCharacter = wordCharacter + "+=,.@-"
)

func between(least, most int) func(string) string {
	return func(s string) string {
		if n, err := strconv.Atoi(s); err != nil || n < least || n > most {
			return fmt.Sprintf("must be a whole number from %d to %d", least, most)
		}
		return ""
	}
}

func oneOf(values ...string) func(string) string {
	return func(s string) string {
		if slices.Contains(values, s) {
			return ""
		}
		return "must be one of: " + strings.Join(values, ", ")
	}
}
