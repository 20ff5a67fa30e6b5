// Package mcp is the door for assistants: it offers every operation of the CodeArtifact
// API as a tool of the Model Context Protocol, over standard input and output or over
// HTTP. Names, descriptions and schemas of the tools are those of the API's table; a call
// becomes a call of the API and is decided there, in the caller's name.
//
// It decides no access, keeps nothing and knows no operation by itself. It is on the
// doors' floor, above codeartifact. Start reading with New, then Handler.
//
// Source: Model Context Protocol, revision 2025-11-25.
package mcp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/codeartifact"
)

// Answer is what the API answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Send makes one call of the API. An answer that refuses is no error; an error means that
// there was no answer, and its text is shown to the assistant.
type Send func(ctx context.Context, r codeartifact.Request) (Answer, error)

// Options are what New needs; every field is required.
type Options struct {
	Tools   []codeartifact.Tool
	Send    Send
	Write   bool // offer the tools that change something, too
	Version string
}

const instructions = "Tools of a Packhouse server, which speaks the AWS CodeArtifact API: domains hold repositories, " +
	"repositories hold packages of many formats, packages hold versions, versions hold files. " +
	"Lists come in pages: pass nextToken of an answer to get the next one."

// New makes a server with the tools. It does not connect.
func New(o Options) *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: "packhouse", Title: "Packhouse", Version: o.Version}, &sdk.ServerOptions{
		Instructions: instructions,
		Capabilities: &sdk.ServerCapabilities{Tools: &sdk.ToolCapabilities{}}, // the list never changes
		PageSize:     len(o.Tools) + 1,
	})
	for _, t := range o.Tools {
		if t.Changes && !o.Write {
			continue
		}
		s.AddTool(describe(t), func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			return call(ctx, o.Send, t, r.Params.Arguments), nil
		})
	}
	return s
}

// ServeStdio serves the tools on standard input and output until the input or ctx ends.
func ServeStdio(ctx context.Context, o Options) error {
	err := New(o).Run(ctx, &sdk.StdioTransport{})
	if ctx.Err() != nil {
		return nil // asked to end
	}
	return err
}

func describe(t codeartifact.Tool) *sdk.Tool {
	closed := false
	return &sdk.Tool{
		Name:        t.Name,
		Description: t.Description,
		InputSchema: t.Arguments,
		Annotations: &sdk.ToolAnnotations{ReadOnlyHint: !t.Changes, DestructiveHint: &t.Destroys, OpenWorldHint: &closed},
	}
}

// call makes one call. What goes wrong is a result, so that the assistant sees it.
func call(ctx context.Context, send Send, t codeartifact.Tool, arguments json.RawMessage) *sdk.CallToolResult {
	request, err := t.Request(arguments)
	if err != nil {
		return failure(refusal{Code: "ValidationException", Message: message(err), Status: http.StatusBadRequest})
	}
	a, err := send(ctx, request)
	switch {
	case err != nil:
		return failure(refusal{Code: "InternalServerException", Message: message(err)})
	case a.Status != http.StatusOK:
		return failure(readRefusal(a))
	case isJSON(a.Header):
		return &sdk.CallToolResult{
			Content:           []sdk.Content{&sdk.TextContent{Text: string(a.Body)}},
			StructuredContent: json.RawMessage(a.Body),
		}
	}
	return file(request, a)
}

func isJSON(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == "application/json" && h.Get("X-AssetName") == ""
}

// refusal is an error of the API as a result.
type refusal struct {
	Code         string `json:"code"`
	Message      string `json:"message"`
	Status       int    `json:"status,omitempty"` // HTTP status
	Reason       string `json:"reason,omitempty"`
	ResourceID   string `json:"resourceId,omitempty"`
	ResourceType string `json:"resourceType,omitempty"`
	RequestID    string `json:"requestId,omitempty"`
}

func readRefusal(a Answer) refusal {
	var f refusal
	if json.Unmarshal(a.Body, &f) != nil || f.Message == "" {
		f.Message = fmt.Sprintf("the server answered %d %s", a.Status, http.StatusText(a.Status))
	}
	f.Code, f.Status, f.RequestID = a.Header.Get("X-Amzn-Errortype"), a.Status, a.Header.Get("X-Amzn-Requestid")
	return f
}

func failure(f refusal) *sdk.CallToolResult {
	text := f.Message
	if f.Code != "" {
		text = f.Code + ": " + text
	}
	return &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: text}}, StructuredContent: f}
}

// message is the text of an error for people.
func message(err error) string {
	if e, ok := err.(*packhouse.Error); ok { //nolint:errorlint // others' texts are told whole
		return e.Message
	}
	return err.Error()
}

// file makes a result out of an answer that is a file.
func file(r codeartifact.Request, a Answer) *sdk.CallToolResult {
	kind := a.Header.Get("Content-Type")
	about := map[string]any{
		"assetName":              a.Header.Get("X-AssetName"),
		"packageVersion":         a.Header.Get("X-PackageVersion"),
		"packageVersionRevision": a.Header.Get("X-PackageVersionRevision"),
		"contentType":            kind,
		"size":                   len(a.Body),
	}
	at := &sdk.ResourceContents{URI: "codeartifact:" + r.Path + "?" + r.Query.Encode(), MIMEType: kind}
	if utf8.Valid(a.Body) && !strings.ContainsRune(string(a.Body), 0) {
		at.Text = string(a.Body)
		about["text"] = at.Text
	} else {
		at.Blob = a.Body
		about["base64"] = base64.StdEncoding.EncodeToString(a.Body)
	}
	return &sdk.CallToolResult{Content: []sdk.Content{&sdk.EmbeddedResource{Resource: at}}, StructuredContent: about}
}
