package sigv4_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/packhouse/packhouse/internal/sigv4"
)

// Cases of the public test suite of Signature Version 4.
func TestPublicVectors(t *testing.T) {
	v := &sigv4.Verifier{
		Region: "us-east-1", Service: "service",
		Now: func() time.Time { return time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC) },
		Lookup: func(*http.Request, string, string) (sigv4.Key, bool, error) {
			return sigv4.Key{Secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", Active: true}, true, nil
		},
	}
	for _, tt := range []struct {
		name, method, target string
		header               http.Header
		signed, signature    string
	}{
		{name: "get-vanilla", method: "GET", target: "/", signed: "host;x-amz-date",
			signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{name: "post-vanilla", method: "POST", target: "/", signed: "host;x-amz-date",
			signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		{name: "get-vanilla-query-order-key-case", method: "GET", target: "/?Param2=value2&Param1=value1", signed: "host;x-amz-date",
			signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{name: "get-vanilla-utf8-query", method: "GET", target: "/?%E1%88%B4=bar", signed: "host;x-amz-date",
			signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
		{name: "get-header-value-trim", method: "GET", target: "/", signed: "host;my-header1;my-header2;x-amz-date",
			header:    http.Header{"My-Header1": {" value1"}, "My-Header2": {` "a   b   c"`}},
			signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, err := url.ParseRequestURI(tt.target)
			if err != nil {
				t.Fatal(err)
			}
			r := &http.Request{Method: tt.method, URL: u, Host: "example.amazonaws.com", Header: http.Header{}}
			for name, values := range tt.header {
				r.Header[name] = values
			}
			r.Header.Set("X-Amz-Date", "20150830T123600Z")
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders="+
				tt.signed+", Signature="+tt.signature)
			_, err = v.Verify(r, nil)
			check(t, err, "")
		})
	}
}
