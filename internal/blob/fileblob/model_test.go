package fileblob

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// model is a disk in memory that knows what a power cut may take: data and directory
// entries that were not synced. It counts calls, and lets one fail or do nothing.
type model struct {
	t     *testing.T
	mu    sync.Mutex
	root  *node
	locks map[string]bool

	calls int
	log   []string
	// inject is asked before each call; an error other than nil is what the call
	// returns instead of doing anything.
	inject func(call int, what string) error
	// skip tells that a sync is to report success without doing anything.
	skip  func(sync int) bool
	syncs int

	handles int // files that are open
}

// node is a file or a directory, as the system shows it and as the medium has it.
type node struct {
	dir             bool
	data, synced    []byte
	entries, onDisk map[string]*node
}

func newDir() *node { return &node{dir: true, entries: map[string]*node{}, onDisk: map[string]*node{}} }

func newModel(t *testing.T) *model {
	return &model{t: t, root: newDir(), locks: map[string]bool{}}
}

// call counts a call; the caller holds mu.
func (m *model) call(what, name string) error {
	m.calls++
	m.log = append(m.log, what+" "+name)
	if m.inject == nil {
		return nil
	}
	return m.inject(m.calls, what)
}

func (m *model) find(name string) (*node, error) {
	n := m.root
	for _, part := range strings.Split(path.Clean(name), "/") {
		if part == "." {
			continue
		}
		if !n.dir || n.entries[part] == nil {
			return nil, &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
		}
		n = n.entries[part]
	}
	return n, nil
}

func (m *model) add(name string, n *node) error {
	dir, err := m.find(path.Dir(name))
	if err != nil {
		return err
	}
	if dir.entries[path.Base(name)] != nil {
		return &fs.PathError{Op: "add", Path: name, Err: fs.ErrExist}
	}
	dir.entries[path.Base(name)] = n
	return nil
}

func (m *model) Create(name string) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.call("create", name); err != nil {
		return nil, err
	}
	n := &node{}
	if err := m.add(name, n); err != nil {
		return nil, err
	}
	m.handles++
	return &handle{m: m, n: n, name: name}, nil
}

func (m *model) Open(name string) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.call("open", name); err != nil {
		return nil, err
	}
	n, err := m.find(name)
	if err != nil {
		return nil, err
	}
	m.handles++
	return &handle{m: m, n: n, name: name}, nil
}

func (m *model) Mkdir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.call("mkdir", name); err != nil {
		return err
	}
	return m.add(name, newDir())
}

func (m *model) Link(name, target string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.call("link", target); err != nil {
		return err
	}
	n, err := m.find(name)
	if err != nil {
		return err
	}
	return m.add(target, n)
}

func (m *model) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.call("remove", name); err != nil {
		return err
	}
	n, err := m.find(name)
	if err != nil {
		return err
	}
	if len(n.entries) > 0 {
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY}
	}
	dir, _ := m.find(path.Dir(name))
	delete(dir.entries, path.Base(name))
	return nil
}

func (m *model) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.call("sync directory", name); err != nil {
		return err
	}
	n, err := m.find(name)
	if err != nil {
		return err
	}
	if m.syncs++; m.skip == nil || !m.skip(m.syncs) {
		n.onDisk = maps.Clone(n.entries)
	}
	return nil
}

func (m *model) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.call("read directory", name); err != nil {
		return nil, err
	}
	n, err := m.find(name)
	if err != nil {
		return nil, err
	}
	var entries []fs.DirEntry
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		e := n.entries[name]
		entries = append(entries, fs.FileInfoToDirEntry(modelInfo{name, e.dir, int64(len(e.data))}))
	}
	return entries, nil
}

type modelInfo struct {
	name string
	dir  bool
	size int64
}

func (i modelInfo) Name() string { return i.name }
func (i modelInfo) Size() int64  { return i.size }
func (i modelInfo) IsDir() bool  { return i.dir }
func (i modelInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}
func (i modelInfo) ModTime() time.Time { return time.Time{} }
func (i modelInfo) Sys() any           { return nil }

func (m *model) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.call("lock", name); err != nil {
		return nil, err
	}
	if _, err := m.find(name); err != nil {
		return nil, err
	}
	if m.locks[name] {
		return nil, errLocked
	}
	m.locks[name] = true
	return unlocker{m, name}, nil
}

type unlocker struct {
	m    *model
	name string
}

func (u unlocker) Close() error {
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	delete(u.m.locks, u.name)
	return nil
}

func (m *model) Close() error { return nil }

// endProcess is what the kernel does when a process ends: the disk stays as it is.
func (m *model) endProcess() { m.locks, m.inject, m.skip = map[string]bool{}, nil, nil }

// handle is an open file.
type handle struct {
	m              *model
	n              *node
	name           string
	closed, failed bool
}

func (h *handle) Write(p []byte) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.m.call("write", h.name); err != nil {
		half := len(p) / 2 // a short write
		h.n.data = append(h.n.data, p[:half]...)
		return half, err
	}
	h.n.data = append(h.n.data, p...)
	return len(p), nil
}

func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.m.call("read", h.name); err != nil {
		return 0, err
	}
	if off >= int64(len(h.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *handle) Sync() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.failed {
		h.m.t.Errorf("R4: %s is synced again after a failed sync", h.name)
	}
	if err := h.m.call("sync", h.name); err != nil {
		h.failed = true
		return err
	}
	if h.m.syncs++; h.m.skip == nil || !h.m.skip(h.m.syncs) {
		h.n.synced = slices.Clone(h.n.data)
	}
	return nil
}

func (h *handle) Size() (int64, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.m.call("size", h.name); err != nil {
		return 0, err
	}
	return int64(len(h.n.data)), nil
}

func (h *handle) Close() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.closed {
		h.m.t.Errorf("%s is closed twice", h.name)
	}
	h.closed = true
	h.m.handles-- // whatever close says
	return h.m.call("close", h.name)
}

// fate decides what of the unsynced things a power cut spares.
type fate struct {
	name   string
	keep   func() bool                // an unsynced directory entry, or its removal
	remain func(n *node) (now []byte) // of unsynced data
}

// fates are the two ends and many mixtures of them.
func fates(seeds int) []fate {
	list := []fate{
		{"everything unsynced is lost", func() bool { return false }, func(n *node) []byte { return n.synced }},
		{"entries got to disk, data did not", func() bool { return true }, func(n *node) []byte { return n.synced }},
		{"entries and lengths got to disk, data did not", func() bool { return true }, func(n *node) []byte {
			return append(slices.Clone(n.synced), make([]byte, len(n.data)-len(n.synced))...)
		}},
		{"everything got to disk", func() bool { return true }, func(n *node) []byte { return n.data }},
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		list = append(list, fate{
			fmt.Sprintf("mixture %d", seed),
			func() bool { return r.IntN(2) == 0 },
			func(n *node) []byte { // torn at sectors
				sectors := (len(n.data) - len(n.synced) + 511) / 512
				return n.data[:min(len(n.data), len(n.synced)+512*r.IntN(sectors+1))]
			},
		})
	}
	return list
}

// cutPower returns the disk as the next start finds it.
func (m *model) cutPower(f fate) *model {
	next := newModel(m.t)
	next.root = survive(m.root, f, map[*node]*node{})
	return next
}

func survive(n *node, f fate, done map[*node]*node) *node {
	if after, ok := done[n]; ok {
		return after // another name of the same file
	}
	if !n.dir {
		data := slices.Clone(f.remain(n))
		done[n] = &node{data: data, synced: data}
		return done[n]
	}
	after := newDir()
	done[n] = after
	names := maps.Clone(n.onDisk)
	maps.Copy(names, n.entries)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		got := n.onDisk[name]
		if got != n.entries[name] && f.keep() {
			got = n.entries[name]
		}
		if got != nil {
			after.entries[name] = survive(got, f, done)
		}
	}
	after.onDisk = maps.Clone(after.entries)
	return after
}
