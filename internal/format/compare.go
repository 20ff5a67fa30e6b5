package format

// Comparer is the ability of formats that can tell whether a public registry's index
// reaches clients whole.
type Comparer interface {
	// CompareIndexes lists where the index that we serve says something else than the public
	// registry's, both as FetchIndex returns them, in the order of versions. What differs
	// by design, such as addresses, is left out. versions counts the registry's. It is
	// pure. Errors: Invalid when one of them cannot be read.
	CompareIndexes(served, upstream []byte) (versions int, differences []Difference, err error)
}

// Difference is something that two indexes say differently.
type Difference struct {
	Version  string `json:"version"`  // "" for what the index says of the package
	Field    string `json:"field"`    // the format's own word
	Served   string `json:"served"`   // as text; "" where it is absent
	Upstream string `json:"upstream"` // as text; "" where it is absent
}
