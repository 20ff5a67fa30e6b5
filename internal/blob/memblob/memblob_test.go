package memblob_test

import (
	"testing"

	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/blob/blobtest"
	"github.com/packhouse/packhouse/internal/blob/memblob"
)

func TestSuite(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		s := memblob.New()
		t.Cleanup(func() {
			if n := s.StagedCount(); n != 0 {
				t.Errorf("%d staged objects are left behind", n)
			}
		})
		return s
	})
}
