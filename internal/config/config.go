// Package config is the server's settings: one struct with a default, a description
// and a check for each, filled from flags, environment, a YAML file and the defaults,
// in that order of precedence. It remembers where each value came from.
//
// It is on the workshop floor: it opens the configuration file and files that hold
// secrets, nothing else. Start reading with Config and Load.
package config

import (
	"net/netip"
	"time"

	"github.com/packhouse/packhouse"
)

// Config holds every setting. The tags are the documentation: key is the name in the
// YAML file (the environment has PACKHOUSE_ and the key in upper case with "_" for
// "."), flag marks those that `packhouse serve` takes on the command line, default is
// parsed like any other value, allowed says what a value may be, help says what it
// does.
type Config struct {
	DataDir            string              `key:"data_dir" flag:"DIR" default:"./packhouse-data" check:"filled" allowed:"a directory" help:"Where everything is kept. Created with mode 0700."`
	Listen             string              `key:"listen" flag:"ADDR" default:"127.0.0.1:8480" check:"listen" allowed:"host:port or an address with port; port 0 picks one" help:"The address to listen on. Port 0 picks a free port and prints it."`
	PublicURL          string              `key:"public_url" flag:"URL" check:"publicurl" allowed:"http:// or https:// with a host and without a path" help:"The address that clients use, when it is not the listening one: behind a proxy or with a DNS name."`
	EndpointHostSuffix string              `key:"endpoint_host_suffix" flag:"SUFFIX" check:"hostname" allowed:"a DNS name" help:"Serve codeartifact.REGION.SUFFIX and DOMAIN-OWNER.d.codeartifact.REGION.SUFFIX too, and answer GetRepositoryEndpoint with the latter."`
	TLS                TLS                 `key:"tls"`
	TrustedProxies     []netip.Prefix      `key:"trusted_proxies" flag:"CIDR,..." allowed:"networks such as 10.0.0.0/8, separated by commas" help:"Peers whose X-Forwarded-For and X-Forwarded-Proto are believed."`
	Region             string              `key:"region" flag:"NAME" default:"us-east-1" check:"region" allowed:"lower-case letters, digits and hyphens" help:"The region that clients sign for and that ARNs carry."`
	AccountID          packhouse.AccountID `key:"account_id" flag:"DIGITS" default:"000000000000" check:"account" allowed:"twelve digits" help:"The number of the first account; used at the first start."`
	Log                Log                 `key:"log"`
	Shutdown           Shutdown            `key:"shutdown"`
	Memory             Memory              `key:"memory"`
	Disk               Disk                `key:"disk"`
	Scrub              Scrub               `key:"scrub"`
	Limits             Limits              `key:"limits"`
	Quotas             Quotas              `key:"quotas"`
	Rates              Rates               `key:"rates"`
	Webhooks           Webhooks            `key:"webhooks"`
	Upstreams          Upstreams           `key:"upstreams"`
	Cooldown           Cooldown            `key:"cooldown"`
	Auth               Auth                `key:"auth"`
	Signing            Signing             `key:"signing"`
	MCP                MCP                 `key:"mcp"`
	Audit              Audit               `key:"audit"`

	// Connections are the external connections that somebody wrote down, by name.
	Connections []Connection `key:"-"`

	origins map[string]Origin
	// Warnings are things that Load let pass and somebody should see, one line each.
	Warnings []string `key:"-"`
}

// TLS are the certificate's files; both or neither are set.
type TLS struct {
	Cert string `key:"cert" flag:"FILE" allowed:"a PEM file" help:"Certificate chain. Read again when the file changes."`
	Key  string `key:"key" flag:"FILE" allowed:"a PEM file" help:"Private key of the certificate."`
}

// Log is how the server tells what it does.
type Log struct {
	Format string `key:"format" flag:"text|json" check:"oneof:text,json" allowed:"text or json; empty means text on a terminal, else json" help:"Form of log lines."`
	Level  string `key:"level" default:"info" check:"oneof:debug,info,warn,error" allowed:"debug, info, warn or error" help:"The least important lines to write."`
}

// Shutdown is how the server stops (reliability.md R19).
type Shutdown struct {
	Delay time.Duration `key:"delay" default:"0s" check:"max:10m" allowed:"0s to 10m" help:"How long to accept requests after SIGTERM while /readyz says no, for load balancers. 5s is right behind one."`
	Grace time.Duration `key:"grace" default:"30s" check:"min:1s" allowed:"at least 1s" help:"How long running requests may take to finish."`
}

// Memory tunes the garbage collector.
type Memory struct {
	Limit     Size `key:"limit" default:"256MiB" check:"min:64MiB" allowed:"a size of at least 64MiB" help:"Soft limit of the process's memory: the collector works harder near it. GOMEMLIMIT wins over it."`
	GCPercent int  `key:"gc_percent" default:"50" check:"min:10" allowed:"at least 10" help:"How much garbage, in percent of live memory, may gather before it is collected. GOGC wins over it."`
	Documents Size `key:"documents" default:"48MiB" check:"min:1MiB" allowed:"a size of at least 1MiB" help:"Memory for rendered index documents."`
	Assets    Size `key:"assets" default:"16MiB" allowed:"a size" help:"Memory for small assets, 64 KiB and less, that are asked for often. 0 keeps none."`
}

// Disk is when the disk counts as low (reliability.md R21).
type Disk struct {
	LowPercent int  `key:"low_percent" default:"5" check:"max:50" allowed:"0 to 50" help:"Refuse publishes and caching below this share of free space, in percent. Either mark is enough to refuse."`
	LowBytes   Size `key:"low_bytes" default:"2GiB" allowed:"a size" help:"Refuse publishes and caching below this much free space. Back to normal at twice the mark."`
}

// Scrub is how stored bytes are read again and again (reliability.md R16).
type Scrub struct {
	Cycle time.Duration `key:"cycle" default:"720h" check:"min:1s" allowed:"at least 1s" help:"Time from the beginning of one pass over all stored bytes to that of the next."`
	Rate  Size          `key:"rate" default:"9MiB" allowed:"a size, per second; 0 for off" help:"Most bytes that a pass reads per second. 0 makes no passes; packhouse verify does the same when asked."`
}

// Limits bound what clients may do (reliability.md A8).
type Limits struct {
	HeaderBytes       Size          `key:"header_bytes" default:"64KiB" check:"min:4KiB" allowed:"a size of at least 4KiB" help:"Request line and headers together. More is 431."`
	Headers           int           `key:"headers" default:"100" check:"min:20" allowed:"at least 20" help:"Header lines of a request. More are 431."`
	HeaderTimeout     time.Duration `key:"header_timeout" default:"10s" check:"min:1s" allowed:"at least 1s" help:"Time to send the headers of a request, and for the TLS handshake."`
	IdleTimeout       time.Duration `key:"idle_timeout" default:"2m" check:"min:1s" allowed:"at least 1s" help:"How long a connection without a request is kept."`
	BodyGrace         time.Duration `key:"body_grace" default:"30s" check:"min:1s" allowed:"at least 1s" help:"After this time, and over each such span, a body must come at body_rate."`
	BodyRate          Size          `key:"body_rate" default:"1KiB" allowed:"a size, per second; 0 for no limit" help:"Least speed of a request's body, per second. Slower is 408."`
	WriteStall        time.Duration `key:"write_stall" default:"60s" check:"min:1s" allowed:"at least 1s" help:"A client that takes no byte for so long is cut off."`
	Connections       int           `key:"connections" default:"10000" check:"min:1" allowed:"at least 1" help:"Open connections."`
	ConnectionsPeer   int           `key:"connections_per_client" default:"500" check:"min:1" allowed:"at least 1" help:"Open connections of one client address."`
	Requests          int           `key:"requests" default:"2000" check:"min:1" allowed:"at least 1" help:"Requests at the same time. More are 503."`
	Writes            int           `key:"writes" default:"256" check:"min:1" allowed:"at least 1" help:"Of these, requests that carry a package. More are 503."`
	RequestsPrincipal int           `key:"requests_per_principal" default:"128" check:"min:1" allowed:"at least 1" help:"Requests of one identity at the same time on the package endpoints. More are 429."`
	StreamsPerConn    int           `key:"streams_per_connection" default:"100" check:"min:1" allowed:"at least 1" help:"HTTP/2 streams of one connection."`
	StreamResets      int           `key:"stream_resets" default:"200" check:"min:1" allowed:"at least 1" help:"HTTP/2 streams that a client may cancel on one connection within 10s. More close the connection."`
	APIBody           Size          `key:"api_body" default:"1MiB" check:"min:64KiB" allowed:"a size of at least 64KiB" help:"JSON body of one call of the API."`
	Asset             Size          `key:"asset" default:"5GiB" check:"min:1MiB" allowed:"a size of at least 1MiB" help:"Largest file that is published. A format's own limit may be smaller: 512MiB for npm."`
	UpstreamConnect   time.Duration `key:"upstream_connect" default:"5s" check:"min:100ms" allowed:"at least 100ms" help:"Time to connect to an upstream."`
	UpstreamFirstByte time.Duration `key:"upstream_first_byte" default:"30s" check:"min:100ms" allowed:"at least 100ms" help:"Time until an upstream begins to answer."`
	UpstreamStall     time.Duration `key:"upstream_stall" default:"30s" check:"min:100ms" allowed:"at least 100ms" help:"Time that an upstream may send nothing in the middle of a transfer."`
	UpstreamTotal     time.Duration `key:"upstream_total" default:"30m" check:"min:1s" allowed:"at least 1s" help:"Time that one upstream transfer may take."`
	UpstreamMetadata  Size          `key:"upstream_metadata" default:"100MiB" check:"min:1MiB" allowed:"a size of at least 1MiB" help:"Largest metadata document of an upstream, decoded."`
}

// Upstreams is how long answers of public registries are used.
type Upstreams struct {
	FreshFor  time.Duration `key:"fresh_for" default:"5m" allowed:"a duration" help:"How long a package's index is used without asking again."`
	AbsentFor time.Duration `key:"absent_for" default:"60s" allowed:"a duration" help:"How long \"no such package\" is remembered."`
	StaleFor  time.Duration `key:"stale_for" default:"168h" allowed:"a duration" help:"How old a kept index may be to stand in for an upstream that fails."`

	RevalidateFor time.Duration `key:"revalidate_for" default:"0s" allowed:"a duration" help:"How long after fresh_for an index is still used at once, while the upstream is asked behind the answer. 0s waits for the upstream."`
}

// Cooldown holds back fresh versions of public registries (reliability.md S45).
type Cooldown struct {
	Age   time.Duration `key:"age" default:"0s" allowed:"a duration; 0s for off" help:"How old a version must be, by its registry's own time, before it can be had through an external connection. 72h to 168h is recommended. Repositories can set their own."`
	Allow []string      `key:"allow" allowed:"npm/NAME, npm/@SCOPE/NAME or either with @VERSION, separated by commas; a name may end with *" help:"Packages and versions that no cooldown holds back. Repositories can have more."`
}

// Signing is which formats' versions the server signs when they are published.
type Signing struct {
	NPM string `key:"npm" default:"on" check:"oneof:on,off" allowed:"on or off" help:"Sign npm versions that are published here with the domain's key, for npm audit signatures."`
}

// Audit is what the audit log holds beside calls of the APIs and writes.
type Audit struct {
	Reads string `key:"reads" default:"refused" check:"oneof:refused,all" allowed:"refused or all" help:"Which reads of package managers the audit log records. all costs a row for every request."`
}

// MCP is what assistants may do over HTTP.
type MCP struct {
	Write string `key:"write" default:"off" check:"oneof:on,off" allowed:"on or off" help:"Offer assistants at /mcp the operations that change something, too. Policies decide in either case."`
}

// Auth is signing in (reliability.md S8).
type Auth struct {
	LoginTokenLife time.Duration `key:"login_token_life" default:"720h" check:"min:1m" allowed:"at least 1m" help:"How long a token is good that somebody gets by signing in with a password."`
	// IssuerHosts are those of OpenID Connect issuers.
	IssuerHosts []string `key:"issuer_hosts" allowed:"host or host:port, separated by commas" help:"Hosts that OpenID Connect issuers may be on besides public ones behind https on port 443: with a private or loopback address, another port or plain http. Without a port the scheme's own counts."`
}

// Connection is an external connection as the operator wrote it.
type Connection struct {
	Name       string
	Format     packhouse.FormatID
	URL        string // with trailing slash
	Username   string
	Password   Secret
	Proxy      string
	CA         string // PEM file
	AllowHosts []string
	Origin     Origin
}

// Origin says where a value came from.
type Origin string

// The origins, from the strongest to the weakest.
const (
	FromFlag    Origin = "flag"
	FromEnv     Origin = "environment"
	FromFile    Origin = "config file"
	FromDefault Origin = "default"
)

// Origin returns where the value of a key came from.
func (c *Config) Origin(key string) Origin {
	if o, ok := c.origins[key]; ok {
		return o
	}
	return FromDefault
}
