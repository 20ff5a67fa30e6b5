package npm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

const (
	// maxAudit bounds the question of an audit, as sent and as decoded, and maxAudited the
	// packages in it. A thousand packages make some 40 KiB.
	maxAudit   = 4 << 20
	maxAudited = 20_000
)

// bulkAudit serves npm 7 and later, pnpm, Yarn 4 and Bun: {name: [version, ...]} in,
// {name: [advisory, ...]} out. The question goes on to the public registries that the
// packages came from, without those that did not. Nobody to ask is 404: clients then say
// that there was no audit instead of "found 0 vulnerabilities". Source: npm.md 4.
func (p protocol) bulkAudit(w http.ResponseWriter, r *format.Request) error {
	doc, err := readAudit(r.Request)
	if err != nil {
		return err
	}
	asked := make(map[packhouse.PackageName][]string, len(doc))
	for full, raw := range doc {
		if name, err := p.canonicalFull(full); err == nil {
			asked[name] = goodVersions(raw)
		}
	}
	answers, err := p.ask(r, "-/npm/v1/security/advisories/bulk", asked, func(names []packhouse.PackageName) any {
		question := make(map[string][]string, len(names))
		for _, n := range names {
			question[fullName(n)] = asked[n]
		}
		return question
	})
	if err != nil {
		return err
	}
	if len(answers) == 1 {
		return writeDocument(w, answers[0].Body)
	}
	found := map[string]json.RawMessage{}
	for _, a := range answers {
		for _, n := range a.Packages {
			if advisories, ok := readObject(a.Body)[fullName(n)]; ok {
				found[fullName(n)] = advisories
			}
		}
	}
	return httpx.WriteJSON(w, http.StatusOK, found)
}

// goodVersions returns those elements of a list that are versions.
func goodVersions(raw json.RawMessage) []string {
	versions := []string{}
	for _, v := range list(raw) {
		if s := unquote(v); badVersion(s) == "" {
			versions = append(versions, s)
		}
	}
	return versions
}

// ask puts an audit's question to the registries of the packages.
func (p protocol) ask(r *format.Request, path string, asked map[packhouse.PackageName][]string, question func([]packhouse.PackageName) any) ([]format.Answer, error) {
	if len(asked) > maxAudited {
		return nil, auditTooLarge()
	}
	names := slices.SortedFunc(maps.Keys(asked), func(a, b packhouse.PackageName) int { return strings.Compare(fullName(a), fullName(b)) })
	answers, err := p.house.Ask(r.Context(), r.Who, format.Question{
		Repo: r.Repo, Format: ID, Packages: names, Path: path,
		Header: http.Header{"Content-Type": {typeJSON}, "Content-Encoding": {"gzip"}, "Accept": {typeJSON}},
		Body:   func(names []packhouse.PackageName) ([]byte, error) { return packJSON(question(names)) },
	})
	switch {
	case packhouse.ReasonOf(err) == "no_registry":
		return nil, noAudit("no public registry with a known address is behind this repository, so nobody can be asked about known vulnerabilities")
	case packhouse.ReasonOf(err) == "upstream_not_found":
		return nil, noAudit("the public registry behind this repository does not answer audits")
	case err != nil:
		return nil, err
	case len(answers) == 0 && len(asked) > 0:
		return nil, noAudit("none of these packages is known to come from a public registry, so nobody can be asked about known vulnerabilities")
	}
	for _, a := range answers {
		if !json.Valid(a.Body) || readObject(a.Body) == nil {
			return nil, &packhouse.Error{Kind: packhouse.KindUpstream, Reason: "invalid_document", Message: "the public registry sent an audit that cannot be read"}
		}
	}
	return answers, nil
}

func noAudit(text string) error {
	e := packhouse.NotFoundf("audit", "", "%s", text)
	e.Reason = "no_audit"
	return e
}

// writeDocument answers with a public registry's JSON in its own bytes.
func writeDocument(w http.ResponseWriter, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", typeJSON)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, err := w.Write(body)
	return err
}

// packJSON encodes and compresses, as npm does.
func packJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	enc := json.NewEncoder(z)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, packhouse.Internal(fmt.Errorf("encode audit: %w", err))
	}
	if err := z.Close(); err != nil {
		return nil, packhouse.Internal(fmt.Errorf("compress audit: %w", err))
	}
	return b.Bytes(), nil
}

// readAudit reads a question, which npm and Yarn compress.
func readAudit(r *http.Request) (object, error) {
	body := io.Reader(&limitedBody{r: r.Body, left: maxAudit, limit: maxAudit})
	switch coding := r.Header.Get("Content-Encoding"); coding {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, invalidDocument("document is not compressed as it says")
		}
		body = z
	default:
		return nil, packhouse.Invalidf("invalid_encoding", "the document must not be sent with content encoding %s", coding)
	}
	text, err := readAtMost(body, maxAudit)
	switch {
	case packhouse.KindOf(err) == packhouse.KindTooLarge || len(text) > maxAudit:
		return nil, auditTooLarge()
	case err != nil:
		return nil, invalidDocument("document cannot be read: it is damaged or cut off")
	}
	if err := checkJSON(text); err != nil {
		return nil, err
	}
	doc := readObject(text)
	if doc == nil {
		return nil, invalidDocument("document is not an object")
	}
	return doc, nil
}

func auditTooLarge() error {
	return &packhouse.Error{Kind: packhouse.KindTooLarge, Reason: "audit_too_large",
		Message: fmt.Sprintf("the audit is larger than %d MiB or asks about more than %d packages", maxAudit>>20, maxAudited)}
}
