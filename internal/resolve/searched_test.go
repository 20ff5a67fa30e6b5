package resolve_test

import (
	"testing"

	"github.com/packhouse/packhouse"
)

// The number of upstreams that one request is looked for in is a setting (codeartifact.md
// 2.5): the last that is searched, and the first that is not.
func TestUpstreamsSearched(t *testing.T) {
	h := newHouse(t, nil)
	h.o.MaxUpstreams = 2
	h.restart()
	h.repo("up3")
	h.repo("up2", "up3")
	h.repo("up1", "up2")
	h.repo("my", "up1")
	h.publish("up2", "near", "1", packhouse.Published, bytesOf(1, 10))
	h.publish("up3", "far", "1", packhouse.Published, bytesOf(1, 10))
	h.wantGet("my", "near", "1", bytesOf(1, 10))
	h.wantReason("my", "far", "1", "package-version_not_found")
}
