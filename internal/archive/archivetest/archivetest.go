// Package archivetest builds archives for tests from text, decent and hostile ones. It
// is for tests only. Start reading with Hostile.
package archivetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
)

// File is one entry of an archive. Type is a tar type flag, 0 for a regular file; with
// Raw set the flag is written into the header by force, for kinds that no writer makes.
type File struct {
	Name, Body, Link string
	Type             byte
	Raw              bool
}

// Tar returns an uncompressed archive of the files.
func Tar(tb testing.TB, files ...File) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.Name, Size: int64(len(f.Body)), Mode: 0o644, Typeflag: f.Type, Linkname: f.Link}
		if f.Raw || f.Type == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.Flush(); err != nil {
			tb.Fatal(err)
		}
		at := b.Len()
		if err := w.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if f.Raw {
			setType(b.Bytes()[at:at+512], f.Type)
		}
		if _, err := w.Write([]byte(f.Body)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// setType changes a header's type flag and its checksum.
func setType(header []byte, flag byte) {
	header[156] = flag
	copy(header[148:156], "        ")
	sum := 0
	for _, c := range header {
		sum += int(c)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

// Gzip compresses bytes.
func Gzip(tb testing.TB, plain []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(plain); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// TarGz returns a compressed archive of the files.
func TarGz(tb testing.TB, files ...File) []byte {
	tb.Helper()
	return Gzip(tb, Tar(tb, files...))
}

// Case is a hostile archive.
type Case struct {
	Name  string // a sentence
	Bytes []byte
	// Readable reports that everything but the odd part can be read, so that a tolerant
	// reader gets through.
	Readable bool
}

// Hostile returns archives that hold the decent files and one thing that no upload may
// have (reliability.md S25, A8).
func Hostile(tb testing.TB, decent ...File) []Case {
	tb.Helper()
	with := func(files ...File) []byte { return TarGz(tb, append(append([]File{}, decent...), files...)...) }
	good := with()
	first := decent[0]
	bomb := File{Name: "package/bomb", Body: strings.Repeat("\x00", 12<<20)}
	plain := Tar(tb, decent...)
	return []Case{
		{"symbolic link to a system file", with(File{Name: "package/x", Type: tar.TypeSymlink, Link: "/etc/passwd"}), true},
		{"hard link to its own manifest", with(File{Name: "package/x", Type: tar.TypeLink, Link: first.Name}), true},
		{"character device", with(File{Name: "package/x", Type: tar.TypeChar}), true},
		{"block device", with(File{Name: "package/x", Type: tar.TypeBlock}), true},
		{"named pipe", with(File{Name: "package/x", Type: tar.TypeFifo}), true},
		{"sparse file in PAX records", with(
			File{Name: "PaxHeaders/x", Type: tar.TypeXHeader, Raw: true, Body: pax("GNU.sparse.major=0", "GNU.sparse.minor=1",
				"GNU.sparse.name=package/x", "GNU.sparse.size=1099511627776", "GNU.sparse.numblocks=1", "GNU.sparse.map=0,1")},
			File{Name: "package/x", Body: "x"}), true},
		{"path for all entries in a global header", with(
			File{Name: "pax_global_header", Type: tar.TypeXGlobalHeader, Raw: true, Body: pax("path=package/other")}), true},
		{"absolute name", with(File{Name: "/etc/cron.d/x"}), true},
		{"drive letter", with(File{Name: "C:/x"}), true},
		{"name that climbs", with(File{Name: "package/../../x"}), true},
		{"name with a dot segment", with(File{Name: "package/./x"}), true},
		{"name with an empty segment", with(File{Name: "package//x"}), true},
		{"name with a backslash", with(File{Name: `package\..\x`}), true},
		{"name with a control character", with(File{Name: "package/\x1b[2Jx"}), true},
		{"name of 2,000 bytes", with(File{Name: "package/" + strings.Repeat("x", 2000)}), true},
		{"one name twice", with(first), true},
		{"bytes behind the end of the archive", Gzip(tb, append(bytes.Clone(plain), "hidden"...)), true},
		{"second archive behind the end of the first", Gzip(tb, append(bytes.Clone(plain), plain...)), true},
		{"garbage behind the compressed bytes", append(bytes.Clone(good), "garbage"...), true},
		{"bomb", with(bomb), false},
		{"cut off", good[:len(good)/2], false},
		{"not compressed", plain, false},
		{"not an archive", Gzip(tb, []byte(strings.Repeat("no archive ", 100))), false},
		{"empty file", nil, false},
	}
}

func pax(records ...string) string {
	var b strings.Builder
	for _, r := range records {
		n := len(r) + 3
		for len(fmt.Sprint(n))+len(r)+2 != n {
			n++
		}
		fmt.Fprintf(&b, "%d %s\n", n, r)
	}
	return b.String()
}
