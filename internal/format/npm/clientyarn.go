package npm

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/packhouse/packhouse/internal/format"
)

// yarnrc is the block of the user's .yarnrc.yml, which Yarn 2 and later read instead of
// .npmrc. Of a key that is there twice the last counts, as in .npmrc.
const yarnrc = block("yarn")

// yarnMaps are the keys of the block that hold more than one value. A second one would
// hide what the user's own holds, so login does not write below it.
var yarnMaps = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?m)^["']?(npmScopes|unsafeHttpWhitelist)["']?[ \t]*:`)
})

func yarnLogin(_ context.Context, s format.Setup) ([]string, error) {
	settings, err := yarnSettings(s)
	if err != nil || s.Print {
		return settings, err
	}
	path, err := yarnConfig()
	if err != nil {
		return nil, err
	}
	err = yarnrc.write(path, func(rest, _ []byte) ([]string, error) {
		for _, own := range yarnMaps().FindAllSubmatch(rest, -1) {
			for _, line := range settings {
				if strings.HasPrefix(line, string(own[1])+":") {
					return nil, fmt.Errorf("%s sets %s already; add to it by hand what packhouse login yarn --print shows", path, own[1])
				}
			}
		}
		return settings, nil
	})
	if err != nil {
		return nil, err
	}
	return []string{
		"wrote the registry and a token to " + path + ", for Yarn 2 and later; for Yarn 1 there is packhouse login yarn1",
		"try: yarn npm whoami",
	}, nil
}

// yarnSettings are the lines that point Yarn at an endpoint. It sends a token for reading
// only if told to, and speaks to an address without TLS only if that is allowed.
func yarnSettings(s format.Setup) ([]string, error) {
	endpoint, scope, err := checkSetup(s)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	settings := []string{"npmRegistryServer: " + quoted(endpoint), "npmAuthToken: " + quoted(s.Token), "npmAlwaysAuth: true"}
	if scope != "" {
		for i := range settings {
			settings[i] = "    " + settings[i]
		}
		settings = append([]string{"npmScopes:", "  " + quoted(scope) + ":"}, settings...)
	}
	if u.Scheme == "http" {
		settings = append(settings, "unsafeHttpWhitelist: ["+quoted(u.Hostname())+"]")
	}
	return settings, nil
}

// quoted is a text as a double-quoted scalar of YAML, which those of JSON are.
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic("npm: a string is always JSON: " + err.Error())
	}
	return string(b)
}

func yarnLogout(context.Context) ([]string, error) {
	path, err := yarnConfig()
	if err != nil {
		return nil, err
	}
	return yarnrc.remove(path)
}

// yarnConfig is where Yarn keeps the user's settings; where that is a link, what it points
// at.
func yarnConfig() (string, error) {
	name := os.Getenv("YARN_RC_FILENAME")
	if name == "" {
		name = ".yarnrc.yml"
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find Yarn's user settings: %w", err)
	}
	path := filepath.Join(home, name)
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	return path, nil
}
