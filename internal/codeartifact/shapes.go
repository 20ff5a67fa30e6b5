package codeartifact

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
)

// kind is what a shape's value is on the wire.
type kind uint8

const (
	kindText kind = iota
	kindInteger
	kindBoolean
	kindList
	kindMap
	kindStructure
)

// shape is a type of the service model with its constraints.
type shape struct {
	kind     kind
	min, max int64    // characters, items or value by kind; max 0 on text and lists means none
	pattern  *pattern // of text; nil for any
	enum     []string // of text; nil for any
	key      *shape   // of a map's keys
	item     *shape   // of a list's items, a map's values
	members  []member // of a structure
}

// pattern is a regular expression that a text must match whole.
type pattern struct {
	text  string // as the model writes it, for messages
	match func(string) bool
}

// every makes a pattern out of a class of characters: text is class+ or class*, the
// shape's minimum tells which.
func every(text string, is func(rune) bool) *pattern {
	return &pattern{text, func(s string) bool {
		for _, r := range s {
			if !is(r) {
				return false
			}
		}
		return true
	}}
}

// expression makes a pattern that is compiled when it is first needed.
func expression(text string) *pattern {
	re := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\A(?:` + text + `)\z`) })
	return &pattern{text, func(s string) bool { return re().MatchString(s) }}
}

// space is \s as the model's dialect means it: ASCII only, vertical tab included.
func space(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' }

func notSpace(r rune) bool   { return !space(r) }
func notControl(r rune) bool { return r < 0x7f && r >= ' ' || !unicode.Is(unicode.C, r) }
func nameRune(r rune) bool   { return r != '#' && r != '/' && !space(r) }
func digit(r rune) bool      { return '0' <= r && r <= '9' }
func lowerHex(r rune) bool   { return digit(r) || 'a' <= r && r <= 'f' }

// shapes are the named shapes that members refer to.
type shapes map[string]*shape

// newShapes returns the shapes that inputs use; formats are the values of
// PackageFormat. Source: codeartifact.md 1.4.
func newShapes(formats []packhouse.FormatID) shapes {
	var (
		printable = every(`\P{C}+`, notControl)
		optional  = every(`\P{C}*`, notControl)
		solid     = every(`\S+`, notSpace)
		name      = every(`[^#/\s]+`, nameRune)
	)
	page := &shape{kind: kindInteger, min: 1, max: 1000}
	s := shapes{
		"AccountId":                         text(12, 12, every(`[0-9]{12}`, digit)),
		"AllowPublish":                      oneOf(packhouse.Allow, packhouse.Block),
		"AllowUpstream":                     oneOf(packhouse.Allow, packhouse.Block),
		"Arn":                               text(1, 1011, solid),
		"AssetName":                         text(1, 255, printable),
		"AuthorizationTokenDurationSeconds": {kind: kindInteger, min: 0, max: 43200},
		"BooleanOptional":                   {kind: kindBoolean},
		"Description":                       text(0, 1000, optional),
		"DomainName":                        text(2, 50, expression(`[a-z][a-z0-9\-]{0,48}[a-z0-9]`)),
		"EndpointType":                      oneOf("dualstack", "ipv4"),
		"ExternalConnectionName":            text(2, 100, expression(`[A-Za-z0-9][A-Za-z0-9._\-:]{1,99}`)),
		"MaxResults":                        page,
		"PackageFormat":                     oneOf(formats...),
		"PackageGroupContactInfo":           text(0, 1000, optional),
		"PackageGroupOriginRestrictionMode": oneOf(packhouse.ModeAllow, packhouse.ModeAllowSpecific, packhouse.ModeBlock, packhouse.ModeInherit),
		"PackageGroupOriginRestrictionType": oneOf(packhouse.RestrictionTypes...),
		"PackageGroupPattern":               text(2, 520, every(`[^\p{C}\p{IsWhitespace}]+`, func(r rune) bool { return notControl(r) && !unicode.IsSpace(r) })),
		"PackageGroupPatternPrefix":         text(0, 520, optional),
		"PackageName":                       text(1, 255, name),
		"PackageNamespace":                  text(1, 255, name),
		"PackageVersion":                    text(1, 255, name),
		"PackageVersionOriginType":          oneOf(packhouse.OriginInternal, packhouse.OriginExternal, packhouse.OriginUnknown),
		"PackageVersionRevision":            text(1, 50, solid),
		"PackageVersionSortType":            oneOf(sortPublishedTime),
		"PackageVersionStatus": oneOf(packhouse.Published, packhouse.Unfinished, packhouse.Unlisted,
			packhouse.Archived, packhouse.Disposed, packhouse.Deleted),
		"PaginationToken": text(1, 2000, solid),
		"PolicyDocument":  text(1, 7168, every(`[\P{C}\s]+`, func(r rune) bool { return notControl(r) || space(r) })),
		"PolicyRevision":  text(1, 100, solid),
		"RepositoryName":  text(2, 100, expression(`[A-Za-z0-9][A-Za-z0-9._\-]{1,99}`)),
		"SHA256":          text(64, 64, every(`[0-9a-f]+`, lowerHex)),
		"String":          text(0, 0, nil),
		"TagKey":          text(1, 128, printable),
		"TagValue":        text(0, 256, optional),
	}
	s["PackageVersionList"] = &shape{kind: kindList, max: 100, item: s["PackageVersion"]}
	s["PackageVersionRevisionMap"] = &shape{kind: kindMap, key: s["PackageVersion"], item: s["PackageVersionRevision"]}
	s["TagKeyList"] = &shape{kind: kindList, max: 200, item: s["TagKey"]}
	s["TagList"] = &shape{kind: kindList, max: 200} // items are structures: their Go type says what is in them
	s["OriginRestrictions"] = &shape{kind: kindMap, key: s["PackageGroupOriginRestrictionType"], item: s["PackageGroupOriginRestrictionMode"]}
	s["PackageGroupAllowedRepositoryList"] = &shape{kind: kindList}
	s["UpstreamRepositoryList"] = &shape{kind: kindList}
	return s
}

func text(min, max int64, p *pattern) *shape {
	return &shape{kind: kindText, min: min, max: max, pattern: p}
}

func oneOf[S ~string](values ...S) *shape {
	s := &shape{kind: kindText, enum: make([]string, len(values))}
	for i, v := range values {
		s.enum[i] = string(v)
	}
	return s
}

// checkText returns what value breaks, "" for nothing. Lengths count Unicode
// characters.
func (s *shape) checkText(value string) string {
	if !utf8.ValidString(value) {
		return "must be valid UTF-8"
	}
	if s.enum != nil {
		if slices.Contains(s.enum, value) {
			return ""
		}
		return "must be one of [" + strings.Join(s.enum, ", ") + "]"
	}
	if broken := s.checkSize(int64(utf8.RuneCountInString(value)), "characters"); broken != "" {
		return broken
	}
	if s.pattern != nil && !s.pattern.match(value) {
		return "must match the regular expression " + s.pattern.text
	}
	return ""
}

// checkSize is for what is counted: characters of a text, items of a list.
func (s *shape) checkSize(n int64, unit string) string {
	if n < s.min {
		return fmt.Sprintf("must have at least %d %s", s.min, unit)
	}
	if s.max > 0 && n > s.max {
		return fmt.Sprintf("must have at most %d %s", s.max, unit)
	}
	return ""
}

// checkInteger returns what value breaks, "" for nothing.
func (s *shape) checkInteger(value int64) string {
	if value < s.min {
		return fmt.Sprintf("must be at least %d", s.min)
	}
	if value > s.max {
		return fmt.Sprintf("must be at most %d", s.max)
	}
	return ""
}
