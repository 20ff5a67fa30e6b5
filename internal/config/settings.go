package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
)

// Setting describes one setting, for flags and documents.
type Setting struct {
	Key     string // in the file: "tls.cert"
	Env     string // "PACKHOUSE_TLS_CERT"
	Flag    string // "tls-cert"; "" when there is none
	Value   string // placeholder of the flag's value
	Default string // as text; "" for none
	Allowed string
	Help    string
	check   string
	index   []int // of the field, for reflect
}

// Settings lists every setting in the order of the struct. The slice is shared and must
// not be changed.
func Settings() []Setting { return settings() }

var settings = sync.OnceValue(func() []Setting { return settingsOf(reflect.TypeFor[Config](), "", nil) })

func settingsOf(t reflect.Type, prefix string, index []int) []Setting {
	var all []Setting
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("key")
		if key == "" || key == "-" {
			continue
		}
		at := append(append([]int(nil), index...), i)
		if f.Tag.Get("help") == "" {
			all = append(all, settingsOf(f.Type, prefix+key+".", at)...)
			continue
		}
		key = prefix + key
		s := Setting{Key: key, Env: envName(key), Default: f.Tag.Get("default"), Allowed: f.Tag.Get("allowed"),
			Help: f.Tag.Get("help"), check: f.Tag.Get("check"), index: at}
		if s.Value = f.Tag.Get("flag"); s.Value != "" {
			s.Flag = strings.NewReplacer(".", "-", "_", "-").Replace(key)
		}
		all = append(all, s)
	}
	return all
}

func envName(key string) string {
	return "PACKHOUSE_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// set parses text into the setting's field, and checks it.
func (s *Setting) set(c *Config, text string) error {
	field := reflect.ValueOf(c).Elem().FieldByIndex(s.index)
	switch p := field.Addr().Interface().(type) {
	case *string:
		*p = text
	case *packhouse.AccountID:
		*p = packhouse.AccountID(text)
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		*p = n
	case *Size:
		n, err := ParseSize(text)
		if err != nil {
			return err
		}
		*p = n
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return fmt.Errorf("%q is no duration", text)
		}
		*p = d
	case *[]string:
		*p = nil
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				*p = append(*p, item)
			}
		}
	case *[]netip.Prefix:
		*p = nil
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			prefix, err := parsePrefix(item)
			if err != nil {
				return err
			}
			*p = append(*p, prefix)
		}
	default:
		panic("config: a setting of type " + field.Type().String() + " cannot be read")
	}
	return s.verify(field)
}

func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

// verify checks a parsed value by the setting's check tag.
func (s *Setting) verify(field reflect.Value) error {
	name, arg, _ := strings.Cut(s.check, ":")
	wrong := fmt.Errorf("not allowed")
	switch name {
	case "":
		return nil
	case "min", "max":
		limit, err := parseLike(field, arg)
		if err != nil {
			panic("config: check of " + s.Key + ": " + err.Error())
		}
		if n := field.Int(); name == "min" && n < limit || name == "max" && (n > limit || n < 0) {
			return wrong
		}
		return nil
	}
	text := field.String()
	ok := true
	switch name {
	case "filled":
		ok = text != ""
	case "oneof":
		ok = text == "" && s.Default == ""
		for v := range strings.SplitSeq(arg, ",") {
			ok = ok || v == text
		}
	case "listen":
		host, port, err := net.SplitHostPort(text)
		n, perr := strconv.ParseUint(port, 10, 16)
		ok = err == nil && perr == nil && n <= 65535 && !strings.ContainsAny(host, "/@ ")
	case "publicurl":
		ok = text == "" || plainURL(text)
	case "hostname":
		ok = text == "" || hostName(text)
	case "region":
		ok = label(text)
	case "account":
		ok = packhouse.ValidAccountID(text)
	default:
		panic("config: unknown check " + s.check)
	}
	if !ok {
		return wrong
	}
	return nil
}

func parseLike(field reflect.Value, arg string) (int64, error) {
	switch field.Interface().(type) {
	case time.Duration:
		d, err := time.ParseDuration(arg)
		return int64(d), err
	case Size:
		n, err := ParseSize(arg)
		return int64(n), err
	}
	return strconv.ParseInt(arg, 10, 64)
}

// plainURL reports an http(s) URL of scheme and authority only.
func plainURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil &&
		(u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == "" && !u.ForceQuery
}

func hostName(s string) bool {
	if len(s) > 200 {
		return false
	}
	for l := range strings.SplitSeq(s, ".") {
		if !label(l) {
			return false
		}
	}
	return true
}

// label reports a DNS label in lower case.
func label(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
