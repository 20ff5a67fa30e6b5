package packhouse

import "time"

// AuditRecord is one record of the audit log: a call of an API, a write of a package
// manager, or a request that was refused (codeartifact.md 3.14; reliability.md S40). No
// field holds a credential or a body.
type AuditRecord struct {
	ID        int64 // set by the catalog
	At        time.Time
	EventID   string
	Door      string // which door it came through
	Name      string // operation, or for package managers the action without its service
	ReadOnly  bool
	Principal string // ARN; "" for nobody
	Client    string // address
	Agent     string // user agent
	RequestID string
	Method    string // of HTTP
	Path      string // without query
	Resource  string // ARN; "*" or "" for none
	Version   string // of the package that Resource names; "" for none
	// Administrator is the account that administers the repository, "" above them.
	Administrator AccountID
	Status        int    // of HTTP
	Error         string // reason of the error; "" for success
	Message       string // what the caller was told of it
	Decision      string // what decided a refused request, which may be more than the caller was told
}
