package fileblob

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// ErrPowerCut is what every call returns once the power is cut.
var ErrPowerCut = errPowerCut

// Disk is the model of a disk for tests of the floors above.
type Disk struct{ m *model }

// NewDisk makes an empty disk.
func NewDisk(t *testing.T) *Disk { return &Disk{newModel(t)} }

// Open opens a store on it.
func (d *Disk) Open() (*Store, error) { return open(d.m) }

// Inject asks fn before each call from now on: what it returns instead of nil the call
// returns, without doing anything. Calls are numbered from 1 on.
func (d *Disk) Inject(fn func(call int, what string) error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	d.m.calls, d.m.inject = 0, fn
}

// EndProcess is what happens to the disk when the process ends.
func (d *Disk) EndProcess() { d.m.endProcess() }

// AfterPowerCut returns what the next start may find: one disk for each fate of what was
// not synced.
func (d *Disk) AfterPowerCut(mixtures int) map[string]*Disk {
	after := map[string]*Disk{}
	for _, f := range fates(mixtures) {
		after[f.name] = &Disk{d.m.cutPower(f)}
	}
	return after
}

// Files lists the files below a directory.
func (d *Disk) Files(dir string) []string {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	n, err := d.m.find(dir)
	if err != nil {
		return nil
	}
	var files []string
	var walk func(name string, n *node)
	walk = func(name string, n *node) {
		if !n.dir {
			files = append(files, strings.TrimPrefix(name, dir+"/"))
		}
		for entry, child := range n.entries {
			walk(path.Join(name, entry), child)
		}
	}
	walk(dir, n)
	slices.Sort(files)
	return files
}
