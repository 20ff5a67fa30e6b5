package iam

// page is the part of an input that asks for a page.
type page struct {
	Marker   string `rule:"marker"`
	MaxItems int    `rule:"maxItems"`
}

// paged is the part of an output that tells of the next page.
type paged struct {
	IsTruncated bool
	Marker      string `xml:",omitempty"`
}

// defaultPage is how many items a page has where nobody says otherwise.
const defaultPage = 100

// begin opens the marker of a page: the name after which it begins, and how many there
// are to be.
func (p page) begin(c *call, about string) (after string, limit int, err error) {
	limit = p.MaxItems
	if limit == 0 {
		limit = defaultPage
	}
	if p.Marker != "" {
		after, err = c.api.Identity.OpenPage(c.who, c.row.name+"\x00"+about, p.Marker)
	}
	return after, limit, err
}

// cut cuts a list that was read with one item more than the page has, and seals the
// marker of the next.
func cut[T any](c *call, about string, list []T, limit int, name func(T) string) ([]T, paged) {
	if len(list) <= limit {
		return list, paged{}
	}
	list = list[:limit]
	return list, paged{true, c.api.Identity.SealPage(c.who, c.row.name+"\x00"+about, name(list[limit-1]))}
}

// slice is cut for a list that is there as a whole, in order of name.
func slice[T any](c *call, p page, about string, list []T, name func(T) string) ([]T, paged, error) {
	after, limit, err := p.begin(c, about)
	if err != nil {
		return nil, paged{}, err
	}
	for len(list) > 0 && after != "" && name(list[0]) <= after {
		list = list[1:]
	}
	list, next := cut(c, about, list, limit, name)
	return list, next, nil
}
