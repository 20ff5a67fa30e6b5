package npm

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzAttachment holds the decoder of attachments, fed in pieces of any size, against
// encoding/base64 fed at once: the same bytes, or a refusal by both.
func FuzzAttachment(f *testing.F) {
	long := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("tarball "), 9000))
	for _, text := range []string{"", "QUJD", "QQ==", "QQ==QQ==", "QUJ\r\nD", "QUJ", "Q===", "QU JD", "=QUJ", long, long[:40_000] + "\n" + long[40_000:], long[:32<<10] + "QQ==" + long} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, inBytes bool) {
		want, wantErr := base64.StdEncoding.DecodeString(text)
		var r io.Reader = strings.NewReader(text)
		if inBytes && len(text) < 200_000 {
			r = iotest.OneByteReader(r)
		}
		a := newAttachmentReader(r)
		defer a.release()
		got, err := io.ReadAll(a)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%.60q: %v, encoding/base64 says %v", text, err, wantErr)
		}
		if err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%.60q decodes to %d bytes, want %d others", text, len(got), len(want))
		}
	})
}

// FuzzPlainRun holds the look at eight bytes at a time against the look at each.
func FuzzPlainRun(f *testing.F) {
	f.Add([]byte("abcdefgh\"x"))
	f.Add([]byte("abcdefghijkl\\mnop"))
	f.Add([]byte("\x80\xff\xa0\x1f!\"#\x5d\x7f\x20"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		want := 0
		for want < len(b) && b[want] != '"' && b[want] != '\\' && b[want] >= ' ' {
			want++
		}
		if got := plainRun(b); got != want {
			t.Fatalf("%q: %d, want %d", b, got, want)
		}
	})
}

// BenchmarkAttachment is the way of a tarball's bytes from the document to the store.
func BenchmarkAttachment(b *testing.B) {
	const size = 50 << 20
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		_, err := splitDocument(publishDocument(size/3*4), &documentPlace{ctx: b.Context()}, func(_ string, data io.Reader) error {
			a := newAttachmentReader(data)
			defer a.release()
			_, err := io.Copy(io.Discard, a)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
