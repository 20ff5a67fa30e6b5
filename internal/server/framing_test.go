package server

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// reliability.md S4: what a connection may and may not carry, in one piece and byte by
// byte.
func TestFraming(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for _, tt := range []struct {
		name, text string
		refused    bool
	}{
		{name: "a request", text: "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
		{name: "requests behind one another", text: "GET / HTTP/1.1\r\nHost: h\r\n\r\nPUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\n a\nGET / HTTP/1.1\r\n\r\n"},
		{name: "a body that looks like a folded head", text: "PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\na: b\r\n c\n"},
		{name: "a body that looks like two framings", text: "PUT / HTTP/1.1\r\nContent-Length: 51\r\n\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nabc"},
		{name: "chunks, behind which nothing is looked at", text: "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n x\r\n y\r\n"},
		{name: "an empty line before a request", text: "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"},
		{name: "lines that end in LF alone", text: "GET / HTTP/1.1\nHost: h\n\nGET / HTTP/1.1\n\n"},
		{name: "a length twice, the same", text: "PUT / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\na"},
		{name: "a long line", text: "GET / HTTP/1.1\r\nCookie: " + long + "\r\nTe: " + long + "\r\n\r\n"},
		{name: "a folded line", text: "GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", refused: true},
		{name: "a line folded with a tab", text: "GET / HTTP/1.1\r\nX: a\r\n\tb\r\n\r\n", refused: true},
		{name: "a folded line behind LF alone", text: "GET / HTTP/1.1\nX: a\n b\n\n", refused: true},
		{name: "a folded first header", text: "GET / HTTP/1.1\r\n X: a\r\n\r\n", refused: true},
		{name: "a folded line in a second request", text: "PUT / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", refused: true},
		{name: "chunks in HTTP/1.0, which has none", text: "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", refused: true},
		{name: "a length beside chunks", text: "PUT / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", refused: true},
		{name: "chunks beside a length, in other letters", text: "PUT / HTTP/1.1\r\ntransfer-ENCODING: chunked\r\ncontent-LENGTH: 3\r\n\r\n", refused: true},
		{name: "two lengths", text: "PUT / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", refused: true},
		{name: "a list of lengths", text: "PUT / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\n", refused: true},
		{name: "a signed length", text: "PUT / HTTP/1.1\r\nContent-Length: +3\r\n\r\n", refused: true},
		{name: "a length beyond numbers", text: "PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", refused: true},
		{name: "a length behind more blanks than anybody sends", text: "PUT / HTTP/1.1\r\nContent-Length:" + strings.Repeat(" ", 200) + "3\r\n\r\n", refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, piece := range []int{len(tt.text), 1, 7} {
				f := &framing{}
				for rest := tt.text; rest != ""; {
					n := min(piece, len(rest))
					_ = f.follow([]byte(rest[:n])) // kept in f
					rest = rest[n:]
				}
				if refused := errors.Is(f.err, errFraming); refused != tt.refused {
					t.Errorf("in pieces of %d: refused %v, want %v", piece, refused, tt.refused)
				}
			}
		})
	}
}

// FuzzFraming: whatever net/http reads as one request after the other, without folded
// lines, is followed to the same places; how the bytes are cut into pieces changes
// nothing (reliability.md S4).
func FuzzFraming(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
		"PUT / HTTP/1.1\nHost: h\nContent-Length:\t3 \n\n\r\n\nGET / HTTP/1.0\n\n",
		"GET / HTTP/1.1\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n",
	} {
		f.Add([]byte(s), uint8(5))
	}
	f.Fuzz(func(t *testing.T, text []byte, piece uint8) {
		whole, cut := &framing{}, &framing{}
		_ = whole.follow(text) // kept in whole
		for rest := text; len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			_ = cut.follow(rest[:n])
			rest = rest[n:]
		}
		if !errors.Is(cut.err, whole.err) {
			t.Fatalf("in one piece %v, in pieces of %d %v", whole.err, piece, cut.err)
		}
		source := bytes.NewReader(text)
		in := bufio.NewReader(source)
		at := func() int { return len(text) - source.Len() - in.Buffered() }
		for {
			start := at()
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			head := text[start:at()]
			if _, err := io.Copy(io.Discard, r.Body); err != nil || len(r.TransferEncoding) > 0 {
				if len(r.TransferEncoding) > 0 && whole.err == nil && !whole.over {
					t.Fatalf("chunks of %q were passed over", head)
				}
				return
			}
			here := &framing{}
			if here.follow(text[:at()]) != nil {
				return
			}
			if bytes.Contains(head, []byte("\n ")) || bytes.Contains(head, []byte("\n\t")) {
				t.Fatalf("the folded head %q was passed over", head)
			}
			if here.body != 0 || here.kept != 0 || here.inHead || here.over {
				t.Fatalf("%q ends a request for net/http; framing has %d bytes to come, %d kept, in a head: %v", text[:at()], here.body, here.kept, here.inHead)
			}
		}
	})
}
