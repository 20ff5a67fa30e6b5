package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
)

// The servers under measurement, and the table's columns.
const (
	ours   = "Packhouse"
	limit  = "limit"
	static = "nginx"
	peer   = "Verdaccio 6.10.4"
)

// target is a server that holds packages.
type target struct {
	*process
	name  string
	base  string   // path of the packages' place, with slashes around
	auth  []string // headers that let a client in
	store string   // its directory
}

// flat reports a server of plain files, which has the last element of a path only.
func (t *target) flat() bool { return t.name == limit || t.name == static }

// path is where a target has what a registry has at p.
func (t *target) path(p string) string {
	if t.flat() {
		return "/" + path.Base(p)
	}
	return t.base + p
}

// get prepares a GET of a path below the base.
func (t *target) get(p string, headers ...string) []byte {
	return request(http.MethodGet, t.addr, t.path(p), nil, append(headers, t.auth...)...)
}

// publish prepares the request that stores a version: to a server of plain files that is
// a PUT of the archive alone.
func (t *target) publish(v version) ([]byte, error) {
	archive, err := v.archive()
	if err != nil {
		return nil, err
	}
	if t.flat() {
		return request(http.MethodPut, t.addr, t.path(v.file()), archive), nil
	}
	body, err := v.publishBody(archive)
	if err != nil {
		return nil, err
	}
	return request(http.MethodPut, t.addr, t.path(v.name), body, append([]string{"Content-Type: application/json"}, t.auth...)...), nil
}

// put stores a version and waits for it.
func (t *target) put(v version) error {
	q, err := t.publish(v)
	if err != nil {
		return err
	}
	if _, err := once(t.addr, q, http.StatusCreated); err != nil {
		return fmt.Errorf("%s: publish %s: %w", t.name, v.file(), err)
	}
	return nil
}

// hold puts a file where a server of plain files has it.
func (t *target) hold(name string, body []byte) error {
	return os.WriteFile(filepath.Join(t.store, name), body, 0o600)
}

// read fetches a path whole, with its headers.
func (t *target) read(p string, headers ...string) ([]byte, http.Header, error) {
	q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(t.get(p, headers...))))
	if err != nil {
		return nil, nil, err
	}
	q.URL.Scheme, q.URL.Host, q.RequestURI = "http", t.addr, ""
	if q.Header.Get("Accept-Encoding") == "" {
		q.Header.Set("Accept-Encoding", "identity")
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		err = fmt.Errorf("%s: %s: %s %.200s", t.name, p, resp.Status, body)
	}
	return body, resp.Header, err
}

// targets starts Packhouse, the bare file server, nginx and the peer, each with an empty
// store; nginx serves the bare file server's directory. Those that are not installed are
// left out. The caller stops them.
func (b *bench) targets(upstream string, names ...string) (ts targets, err error) {
	defer func() {
		if err != nil {
			ts.stop()
			ts = nil
		}
	}()
	for _, name := range names {
		var t *target
		switch name {
		case ours:
			t, err = b.startPackhouse(upstream)
		case limit:
			t, err = b.startBare(upstream)
		case static:
			t, err = b.startNginx(ts.of(limit).store)
		case peer:
			t, err = b.startVerdaccio(upstream)
		}
		if err != nil {
			return ts, fmt.Errorf("start %s: %w", name, err)
		}
		if t != nil {
			ts = append(ts, t)
		}
	}
	return ts, nil
}

// targets are servers that run at the same time.
type targets []*target

func (ts targets) stop() {
	for _, t := range ts {
		t.stop()
	}
}

// of returns the target of a name, nil if it was left out.
func (ts targets) of(name string) *target {
	for _, t := range ts {
		if t.name == name {
			return t
		}
	}
	return nil
}

// registries returns those that are not servers of plain files.
func (ts targets) registries() (rs targets) {
	for _, t := range ts {
		if !t.flat() {
			rs = append(rs, t)
		}
	}
	return rs
}

// mirror stores what Packhouse answers at a path where the plain file servers have it,
// under a name of its own.
func (ts targets) mirror(p, name string, headers ...string) ([]byte, error) {
	body, _, err := ts.of(ours).read(p, headers...)
	if err != nil {
		return nil, err
	}
	return body, ts.of(limit).hold(name, body)
}
