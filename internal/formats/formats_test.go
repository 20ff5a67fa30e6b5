package formats_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format/formattest"
	"github.com/packhouse/packhouse/internal/formats"
)

func TestConformance(t *testing.T) {
	for _, f := range formats.All() {
		id := string(f.Spec().ID)
		t.Run(id, func(t *testing.T) {
			formattest.Run(t, f, filepath.Join("..", "format", id, "testdata"))
		})
	}
}

func TestEveryRoomIsListedOnce(t *testing.T) {
	var ids []packhouse.FormatID
	for _, f := range formats.All() {
		ids = append(ids, f.Spec().ID)
	}
	slices.Sort(ids)
	if len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("two rooms have one id: %v", ids)
	}
}

// addresses.md 3: endpoints are answered for all eight formats of the service.
func TestServiceFormats(t *testing.T) {
	ids := formats.ServiceIDs()
	if len(ids) != 8 || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 8 {
		t.Errorf("service formats = %v, want eight different ones", ids)
	}
	rules := formats.Namespaces()
	for _, f := range formats.All() {
		if _, ok := rules[f.Spec().ID]; ok {
			t.Errorf("the namespace rule of %s stands twice: its room has it", f.Spec().ID)
		}
		rules[f.Spec().ID] = f.Spec().Namespace
	}
	for _, id := range ids {
		if _, ok := rules[id]; !ok {
			t.Errorf("format %s has no namespace rule", id)
		}
	}
}
