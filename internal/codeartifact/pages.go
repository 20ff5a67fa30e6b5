package codeartifact

import (
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/ops"
)

// Default page sizes of codeartifact.md 1.2.
const (
	smallPage = 50
	largePage = 100
)

// pageMembers are the paging members of a list operation that has them in the query.
type pageMembers struct {
	MaxResults *int32 `query:"max-results" shape:"MaxResults"`
	NextToken  string `query:"next-token" shape:"PaginationToken"`
}

// page opens the caller's token, which must come from the same operation with the same
// parameters.
func (c *call) page(m pageMembers, size int) (ops.Page, error) {
	p := ops.Page{Limit: size}
	if m.MaxResults != nil {
		p.Limit = int(*m.MaxResults)
	}
	if m.NextToken == "" {
		return p, nil
	}
	var err error
	p.After, err = c.api.Identity.OpenPage(c.who, c.binding(), m.NextToken)
	return p, err
}

// next makes the token for the page that begins after cursor; "" after the last one.
func (c *call) next(cursor string) string {
	if cursor == "" {
		return ""
	}
	return c.api.Identity.SealPage(c.who, c.binding(), cursor)
}

// binding is what a page token belongs to besides the principal: the operation and all
// parameters but the paging ones.
func (c *call) binding() string {
	var b strings.Builder
	b.WriteString(c.row.name)
	for _, m := range c.row.plan().query {
		if m.name == "maxResults" || m.name == "nextToken" {
			continue
		}
		if value := c.query.get(m.wire); value != "" { // an empty one is never valid
			b.WriteString("\x00" + m.wire + "\x00" + value)
		}
	}
	return b.String()
}

// invalidToken is for tokens that open but no longer fit.
func invalidToken() error {
	return packhouse.Invalidf("invalid_page_token", "The value of nextToken is not a token that this list returned.")
}
