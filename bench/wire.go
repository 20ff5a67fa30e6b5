package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// answerTimeout bounds one answer.
const answerTimeout = 2 * time.Minute

// conn is a client's connection: HTTP/1.1 with prepared requests, and of answers no
// more is parsed than where they end. It costs a fraction of net/http's client, so that
// two cores measure the server.
type conn struct {
	net.Conn
	r *bufio.Reader
}

func dial(addr string) (*conn, error) {
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReaderSize(c, 256<<10)}, nil
}

// request makes the bytes of a request. Headers are "Name: value".
func request(method, addr, path string, body []byte, headers ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, addr)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != nil {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// do sends a prepared request and reads the answer to its end. The body goes to sink
// unless that is nil. first is called when the answer begins, unless nil.
func (c *conn) do(request []byte, sink io.Writer, first func()) (status int, size int64, err error) {
	if err := c.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return 0, 0, err
	}
	if _, err := c.Write(request); err != nil {
		return 0, 0, err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	if first != nil {
		first()
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return 0, 0, fmt.Errorf("not a status line: %.40q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, fmt.Errorf("not a status line: %.40q", line)
	}
	length, chunked := int64(-1), false
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return status, 0, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return status, 0, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	}
	switch {
	case status == http.StatusNotModified || status == http.StatusNoContent:
		return status, 0, nil
	case chunked:
		size, err = c.chunks(sink)
	case length >= 0:
		size, err = length, c.copy(sink, length)
	default:
		err = errors.New("the answer has neither Content-Length nor chunks")
	}
	return status, size, err
}

func (c *conn) copy(sink io.Writer, n int64) error {
	if sink != nil {
		_, err := io.CopyN(sink, c.r, n)
		return err
	}
	_, err := c.r.Discard(int(n))
	return err
}

func (c *conn) chunks(sink io.Writer) (total int64, err error) {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return total, err
		}
		digits, _, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(";"))
		n, err := strconv.ParseInt(string(digits), 16, 64)
		if err != nil {
			return total, fmt.Errorf("not a chunk's size: %.40q", line)
		}
		if err := c.copy(sink, n); err != nil {
			return total, err
		}
		total += n
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return total, err
		}
		if len(bytes.TrimRight(line, "\r\n")) > 0 {
			return total, errors.New("a chunk does not end where it should, or has trailers")
		}
		if n == 0 {
			return total, nil
		}
	}
}
