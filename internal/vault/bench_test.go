package vault_test

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/packhouse/packhouse/internal/blob/fileblob"
	"github.com/packhouse/packhouse/internal/vault"
)

func fileHouse(b *testing.B) house {
	b.Helper()
	h := newHouse(b)
	store, err := fileblob.Open(filepath.Join(b.TempDir(), "blobs"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	h.Vault = vault.New(store, h.provider)
	return h
}

func sizeName(size int) string {
	if size >= 1<<20 {
		return fmt.Sprintf("%dMB", size>>20)
	}
	return fmt.Sprintf("%dKB", size>>10)
}

func BenchmarkStageKeep(b *testing.B) {
	for _, size := range []int{10 << 10, 1 << 20, 50 << 20} {
		for _, md5 := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/md5=%v", sizeName(size), md5), func(b *testing.B) {
				h := fileHouse(b)
				content := bytesOf(size)
				buf := make([]byte, 64<<10)
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					s, err := h.Stage(b.Context(), h.domain, int64(size), md5)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.CopyBuffer(struct{ io.Writer }{s}, struct{ io.Reader }{bytes.NewReader(content)}, buf); err != nil {
						b.Fatal(err)
					}
					if err := s.Finish(); err != nil {
						b.Fatal(err)
					}
					ref, err := s.Keep(b.Context(), 1)
					if err != nil {
						b.Fatal(err)
					}
					s.Discard()
					if err := h.Remove(b.Context(), ref); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkOpenRead reads as an HTTP server does: 32 KiB at a time.
func BenchmarkOpenRead(b *testing.B) {
	for _, size := range []int{10 << 10, 1 << 20, 50 << 20} {
		b.Run(sizeName(size), func(b *testing.B) {
			h := fileHouse(b)
			ref := h.keep(b, h.domain, bytesOf(size))
			buf := make([]byte, 32<<10)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				c, err := h.Open(b.Context(), h.domain, ref)
				if err != nil {
					b.Fatal(err)
				}
				for off := int64(0); off < c.Size(); {
					n, err := c.ReadAt(buf[:min(int64(len(buf)), c.Size()-off)], off)
					if err != nil {
						b.Fatal(err)
					}
					off += int64(n)
				}
				if err := c.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSealUnseal(b *testing.B) {
	h := newHouse(b)
	value := bytesOf(2 << 10)
	b.ReportAllocs()
	for b.Loop() {
		sealed, err := h.Seal(b.Context(), h.domain, "a/place", value)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := h.Unseal(b.Context(), h.domain, "a/place", sealed); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenReadSmall is BenchmarkOpenRead of a blob that the vault keeps in memory.
func BenchmarkOpenReadSmall(b *testing.B) {
	h := fileHouse(b)
	h.KeepSmall(1 << 20)
	ref := h.keep(b, h.domain, bytesOf(10<<10))
	buf := make([]byte, 32<<10)
	b.ReportAllocs()
	b.SetBytes(10 << 10)
	for b.Loop() {
		c, err := h.Open(b.Context(), h.domain, ref)
		if err != nil {
			b.Fatal(err)
		}
		if n, _ := c.ReadAt(buf, 0); n != 10<<10 {
			b.Fatal(n)
		}
		_ = c.Close() // of bytes in memory
	}
}
