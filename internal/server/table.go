package server

import (
	"net/http"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/formats"
)

// Owner says who answers below a first path segment.
type Owner string

// The owners of addresses.md 5. Those without a door of their own yet answer 404.
const (
	OwnerServer       Owner = "server"
	OwnerCodeArtifact Owner = "codeartifact"
	OwnerRegistry     Owner = "registry"
	OwnerPages        Owner = "pages"
	OwnerFixed        Owner = "fixed"
	OwnerOCI          Owner = "oci"
	OwnerReserved     Owner = "reserved" // a door that comes later
	OwnerOpenAPI      Owner = "openapi"
	OwnerMCP          Owner = "mcp"
	OwnerEvents       Owner = "events"
	OwnerGuard        Owner = "guard"
)

// Row gives a first path segment of the main address to somebody.
type Row struct {
	Segment string
	Methods []string // nil for all
	Owner   Owner
}

var (
	reading = []string{http.MethodGet, http.MethodHead}
	posting = []string{http.MethodPost}
)

// Segments is the table of addresses.md 5: each first segment once, with the formats
// that have an address of their own. The route-collision test reads it.
func Segments() []Row {
	table := []Row{
		{"", nil, OwnerServer}, // "/": GET and HEAD the greeting, POST IAM and STS
		{"healthz", reading, OwnerServer},
		{"readyz", reading, OwnerServer},
		{"metrics", reading, OwnerServer},
		{"openapi.json", reading, OwnerOpenAPI},
		{"mcp", posting, OwnerMCP},
		{"events", nil, OwnerEvents},
		{"guard", nil, OwnerGuard},
		{"v1", nil, OwnerCodeArtifact},
		{"v2", nil, OwnerReserved},
		{"v3", nil, OwnerReserved},
		{"v3.0", nil, OwnerReserved},
		{"token", nil, OwnerReserved},
		{"login", posting, OwnerReserved},
		{"_registry", nil, OwnerReserved},
		{"api", nil, OwnerRegistry}, // packages/{owner}/{format}/, and nothing else yet
		{"user", nil, OwnerReserved},
		{"users", nil, OwnerReserved},
		{"orgs", nil, OwnerReserved},
		{"rate_limit", nil, OwnerReserved},
		{"meta", nil, OwnerReserved},
		{"repos", nil, OwnerReserved},
		{"graphql", nil, OwnerReserved},
		{"oci", nil, OwnerOCI},
		{"ui", []string{http.MethodGet, http.MethodHead, http.MethodPost}, OwnerPages},
		{"_", nil, OwnerReserved},
		{"favicon.ico", reading, OwnerFixed},
		{"robots.txt", reading, OwnerFixed},
		{".well-known", reading, OwnerFixed},
	}
	for _, id := range addressed() {
		table = append(table, Row{string(id), nil, OwnerRegistry})
	}
	return table
}

// addressed are the formats that have an address of their own: the service's and ours.
func addressed() []packhouse.FormatID { return append(formats.ServiceIDs(), "go") }
