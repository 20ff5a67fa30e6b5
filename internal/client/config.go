package client

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// Profile is the section of the AWS files that the server's first start writes.
const Profile = "packhouse"

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// Config is what a Client needs.
type Config struct {
	Endpoint     string // http://host:port
	Region       string
	AccessKeyID  string
	Secret       string
	SessionToken string // "" for none
}

// String names the key and the address without the secrets.
func (c Config) String() string { return c.AccessKeyID + " at " + c.Endpoint }

// GoString is String.
func (c Config) GoString() string { return c.String() }

// LogValue is String.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Load finds a configuration. If the environment names a server
// (AWS_ENDPOINT_URL_CODEARTIFACT, else PACKHOUSE_URL) and has AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY, that is it; a key alone is not taken, because it is most
// likely one for another service. Otherwise profile packhouse of
// dataDir/aws/credentials and dataDir/aws/config counts; an address in the environment
// overrides its own, and only then does AWS_REGION override its region. getenv is
// os.Getenv. The error says what to do.
func Load(dataDir string, getenv func(string) string) (Config, error) {
	endpoint := first(getenv("AWS_ENDPOINT_URL_CODEARTIFACT"), getenv("PACKHOUSE_URL"))
	region := first(getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION"))
	c := Config{
		Endpoint: endpoint, Region: first(region, "us-east-1"),
		AccessKeyID: getenv("AWS_ACCESS_KEY_ID"), Secret: getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: getenv("AWS_SESSION_TOKEN"),
	}
	if c.Endpoint != "" && c.AccessKeyID != "" && c.Secret != "" {
		return c, nil
	}
	credentialsFile, configFile := filepath.Join(dataDir, "aws", "credentials"), filepath.Join(dataDir, "aws", "config")
	credentials, err := readProfile(credentialsFile, Profile)
	if err != nil {
		return Config{}, err
	}
	settings, err := readProfile(configFile, "profile "+Profile)
	if err != nil {
		return Config{}, err
	}
	c = Config{
		Endpoint: first(endpoint, settings["endpoint_url"]), Region: first(settings["region"], region),
		AccessKeyID: credentials["aws_access_key_id"], Secret: credentials["aws_secret_access_key"], SessionToken: credentials["aws_session_token"],
	}
	if endpoint != "" {
		c.Region = first(region, settings["region"])
	}
	switch {
	case c.AccessKeyID == "" || c.Secret == "":
		return Config{}, fmt.Errorf("profile %s in %s has no access key", Profile, credentialsFile)
	case c.Endpoint == "" || c.Region == "":
		return Config{}, fmt.Errorf("profile %s in %s has no endpoint_url or no region", Profile, configFile)
	}
	return c, nil
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// readProfile reads one section of a file in AWS's format: [section] lines, then
// key = value, comments behind # or ; at the beginning of a line. The last value wins.
func readProfile(path, section string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no server is known: set PACKHOUSE_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a data directory that has %s (the server writes it at its first start)", path)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", path, err)
	case len(data) > maxFile:
		return nil, fmt.Errorf("read %s: longer than %d bytes", path, maxFile)
	}
	values := map[string]string{}
	inside := false
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if name, ok := strings.CutPrefix(line, "["); ok {
			name, _, _ = strings.Cut(name, "]")
			inside = strings.TrimSpace(name) == section
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && inside {
			values[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return values, nil
}
