package config_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/config"
)

// FuzzConnection: a connection that is taken has an http(s) address with a host, without
// credentials, query or fragment, and ends in a slash; its password is never printed
// (reliability.md S21, S38).
func FuzzConnection(f *testing.F) {
	for _, s := range []string{"public:box=https://h.example/", "public:box=http://127.0.0.1:1", "a:b=box,https://h.example/x", "public:box=https://u:p@h.example/", "public:box=ftp://h/",
		"public:box=https:///x", "public:box=https://h?x=y", "=", "public:box=", "a=b=c", "a:b=nobox,https://h/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Load(config.Input{Connections: []string{text}, Known: map[string]packhouse.FormatID{"public:box": "box"}, Formats: []packhouse.FormatID{"box"},
			Environ: []string{"PACKHOUSE_CONNECTION_PUBLIC_BOX_PASSWORD=canary"}})
		if err != nil {
			return
		}
		for _, conn := range c.Connections {
			if strings.Contains(fmt.Sprintf("%v %+v %#v", conn, conn, conn), "canary") {
				t.Fatalf("%q prints its password", conn.Name)
			}
			if conn.URL == "" {
				continue
			}
			u, err := url.Parse(conn.URL)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !strings.HasSuffix(u.Path, "/") {
				t.Fatalf("%q is taken with the address %q (%v)", text, conn.URL, err)
			}
		}
	})
}
