package server

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// errFraming ends a connection whose requests could be cut in two ways. It is no network
// error on purpose: net/http answers 400 to it and closes.
var errFraming = errors.New("request head with folded lines or with two ways to end its body")

// maxFramingLine is how much of a header line is kept when it arrives in pieces: enough
// for every spelling of a length that a client sends.
const maxFramingLine = 128

// framing reads along with the HTTP/1 requests of one connection and stops what net/http
// would mend in silence: header lines that go on in the next line, and chunks beside a
// length or in HTTP/1.0. Whoever forwards such requests may cut them elsewhere than we do (request
// smuggling). All else is net/http's to judge.
//
// Source: reliability.md S4; RFC 9112 5.2, 6.1.
type framing struct {
	body   int64 // bytes of the running request's body that are still to come
	over   bool  // nothing more is looked at: the connection ends with this request
	err    error
	inHead bool // the request line is behind us

	old          bool // the request is not HTTP/1.1, and so has no chunks
	sized, coded bool // the head names a length; a transfer coding
	length       int64

	line [maxFramingLine]byte // the line that has begun in an earlier piece
	kept int                  // bytes of it, also beyond what line holds
}

// follow looks at the next bytes of the connection. Errors: errFraming, and then for ever.
func (f *framing) follow(p []byte) error {
	for len(p) > 0 && f.err == nil && !f.over {
		if f.body > 0 {
			n := min(f.body, int64(len(p)))
			f.body -= n
			p = p[n:]
			continue
		}
		if f.inHead && f.kept == 0 && (p[0] == ' ' || p[0] == '\t') {
			f.err = errFraming
			break
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			f.keep(p)
			break
		}
		line := p[:end]
		if f.kept > 0 {
			f.keep(line)
			line = f.line[:min(f.kept, maxFramingLine)]
		}
		f.accept(bytes.TrimSuffix(line, []byte{'\r'}))
		f.kept = 0
		p = p[end+1:]
	}
	return f.err
}

func (f *framing) keep(p []byte) {
	if f.kept < maxFramingLine {
		copy(f.line[f.kept:], p)
	}
	f.kept += len(p)
}

// accept takes one whole line of a head; of long ones that came in pieces the beginning.
func (f *framing) accept(line []byte) {
	switch {
	case len(line) == 0 && !f.inHead: // empty lines before a request are passed over
	case len(line) == 0:
		f.endHead()
	case !f.inHead:
		f.inHead, f.old = true, !bytes.HasSuffix(line, []byte("HTTP/1.1"))
	case line[0]|0x20 == 'c' || line[0]|0x20 == 't':
		f.header(line)
	}
}

func (f *framing) header(line []byte) {
	name, value, _ := strings.Cut(string(line[:min(len(line), maxFramingLine)]), ":")
	switch {
	case strings.EqualFold(name, "Transfer-Encoding"):
		f.coded = true
	case strings.EqualFold(name, "Content-Length"):
		n, err := strconv.ParseUint(strings.Trim(value, " \t"), 10, 63)
		if err != nil || f.sized && int64(n) != f.length {
			f.err = errFraming
			return
		}
		f.sized, f.length = true, int64(n)
	}
}

// endHead turns to the body. Behind chunks nothing is looked at: the edge closes the
// connection after the answer.
func (f *framing) endHead() {
	if f.coded && (f.sized || f.old) {
		f.err = errFraming
		return
	}
	f.over, f.body = f.coded, f.length
	f.inHead, f.sized, f.coded, f.length = false, false, false, 0
}
