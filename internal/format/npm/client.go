package npm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/packhouse/packhouse/internal/format"
)

// Clients returns the package managers that speak npm's protocol. All but Yarn 2 and later
// read the user's .npmrc, so one block in it serves them all, and whichever of them is
// logged out takes it back.
func (Format) Clients() []format.Client {
	return []format.Client{
		{Name: "npm", Login: npmrcLogin("npm ping"), Logout: npmrcLogout},
		{Name: "pnpm", Login: npmrcLogin("pnpm ping"), Logout: npmrcLogout},
		{Name: "bun", Login: npmrcLogin("bun pm whoami"), Logout: npmrcLogout},
		{Name: "yarn", Login: yarnLogin, Logout: yarnLogout},
		{Name: "yarn1", Login: yarn1Login, Logout: npmrcLogout},
	}
}

// npmrc is the block of the user's .npmrc. npm reads the last of several lines for one
// key, so what stands above the block keeps its place and its bytes.
const npmrc = block("npm")

// alwaysAuth makes Yarn 1 send the token for names without a scope, too. npm knows no such
// key and warns of it (npm.md 3), so it is written for Yarn 1 only.
const alwaysAuth = ":always-auth=true"

// npmrcLogin points the readers of .npmrc at the endpoint; try is the first command to
// run then. What Yarn 1 needs is kept where an earlier login wrote it.
func npmrcLogin(try string) func(context.Context, format.Setup) ([]string, error) {
	return func(_ context.Context, s format.Setup) ([]string, error) {
		return writeNpmrc(s, false, try)
	}
}

func yarn1Login(_ context.Context, s format.Setup) ([]string, error) {
	return writeNpmrc(s, true, "yarn info NAME")
}

func writeNpmrc(s format.Setup, yarn1 bool, try string) ([]string, error) {
	settings, host, err := npmSettings(s)
	if err != nil {
		return nil, err
	}
	always := host + alwaysAuth
	if s.Print {
		if yarn1 {
			settings = append(settings, always)
		}
		return settings, nil
	}
	path, err := userConfig()
	if err != nil {
		return nil, err
	}
	err = npmrc.write(path, func(_, old []byte) ([]string, error) {
		if yarn1 || bytes.Contains(old, []byte(alwaysAuth+"\n")) {
			return append(settings, always), nil
		}
		return settings, nil
	})
	if err != nil {
		return nil, err
	}
	return []string{
		"wrote " + strings.SplitN(settings[0], "=", 2)[0] + " and a token to " + path,
		"try: " + try,
	}, nil
}

// npmSettings are the lines that point npm at an endpoint, and the prefix of keys that
// hold for the endpoint alone.
func npmSettings(s format.Setup) (settings []string, host string, err error) {
	endpoint, scope, err := checkSetup(s)
	if err != nil {
		return nil, "", err
	}
	key := "registry"
	if scope != "" {
		key = "@" + scope + ":registry"
	}
	_, host, _ = strings.Cut(endpoint, ":")
	return []string{key + "=" + endpoint, host + ":_authToken=" + s.Token}, host, nil
}

// checkSetup returns the endpoint with its last slash, and the scope without its "@".
func checkSetup(s format.Setup) (endpoint, scope string, err error) {
	u, err := url.Parse(s.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", "", fmt.Errorf("endpoint %q is no http address", s.Endpoint)
	}
	for _, text := range []string{s.Endpoint, s.Token, s.Scope} {
		if strings.ContainsAny(text, "\r\n\x00") {
			return "", "", errors.New("endpoint, token and scope must each be one line")
		}
	}
	if scope = strings.TrimPrefix(s.Scope, "@"); scope != "" {
		if reason := badPart(scope); reason != "" {
			return "", "", fmt.Errorf("scope %s", reason)
		}
	}
	return strings.TrimSuffix(s.Endpoint, "/") + "/", scope, nil
}

func npmrcLogout(context.Context) ([]string, error) {
	path, err := userConfig()
	if err != nil {
		return nil, err
	}
	return npmrc.remove(path)
}

// userConfig is where npm keeps the user's settings; where that is a link, what it
// points at.
func userConfig() (string, error) {
	path := os.Getenv("NPM_CONFIG_USERCONFIG")
	if path == "" {
		path = os.Getenv("npm_config_userconfig")
	}
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find npm's user settings: %w", err)
		}
		path = filepath.Join(home, ".npmrc")
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	return path, nil
}

// userConfigBeforeLogin writes the user's settings as they are now, without our block, to
// a temporary file: npm reads them late, when a login may have been written meanwhile. It
// reports false where they cannot be read. The caller removes the file.
func userConfigBeforeLogin() (path string, ok bool) {
	path, err := userConfig()
	if err != nil {
		return "", false
	}
	current, err := readUserConfig(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	rest, _, _ := npmrc.cut(current)
	f, err := os.CreateTemp("", "npmrc.*") // mode 0600
	if err != nil {
		return "", false
	}
	_, err = f.Write(rest)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", false
	}
	return f.Name(), true
}
