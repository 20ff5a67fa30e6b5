package iam

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"reflect"
	"time"
)

// writeAnswer writes a row's output: always 200, the result inside of an element of its
// own, which operations without output lack.
func writeAnswer(w http.ResponseWriter, row *operation, requestID string, out any) {
	var b bytes.Buffer
	e := xml.NewEncoder(&b)
	root := xml.StartElement{Name: xml.Name{Local: row.name + "Response"}, Attr: []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: row.service.namespace}}}
	err := e.EncodeToken(root)
	if err == nil && reflect.TypeOf(out) != reflect.TypeFor[*nothing]() {
		err = e.EncodeElement(out, xml.StartElement{Name: xml.Name{Local: row.name + "Result"}})
	}
	if err == nil {
		err = e.EncodeElement(responseMetadata{requestID}, xml.StartElement{Name: xml.Name{Local: "ResponseMetadata"}})
	}
	if err == nil {
		err = e.EncodeToken(root.End())
	}
	if err == nil {
		err = e.Flush()
	}
	if err != nil {
		panic("iam: an answer cannot be encoded: " + err.Error()) // outputs are plain structs
	}
	write(w, http.StatusOK, b.Bytes())
}

func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/xml")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that hung up is no news
}

type responseMetadata struct {
	RequestID string `xml:"RequestId"`
}

// nothing is the output of operations that have none.
type nothing struct{}

// members is a list as the query protocol writes it: also an empty one is there.
type members[T any] []T

// MarshalXML writes <NAME><member>...</member></NAME>.
func (m members[T]) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for _, v := range m {
		if err := e.EncodeElement(v, xml.StartElement{Name: xml.Name{Local: "member"}}); err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}

// each converts a list.
func each[A, B any](list []A, convert func(A) B) members[B] {
	out := make(members[B], len(list))
	for i, a := range list {
		out[i] = convert(a)
	}
	return out
}

// timestamp travels in whole seconds, UTC.
type timestamp time.Time

// MarshalText writes it.
func (t timestamp) MarshalText() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format("2006-01-02T15:04:05Z")), nil
}
