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

// Clients returns npm, whose settings pnpm, Yarn 1 and Bun read too.
func (Format) Clients() []format.Client {
	return []format.Client{{Name: "npm", Login: login, Logout: logout}}
}

// What `packhouse login npm` writes stands between two marks at the end of the user's
// .npmrc, and `packhouse logout npm` takes exactly that back. The first mark remembers
// what the file was like: without a last newline, or not there at all.
const (
	markBegin   = "# >>> packhouse login npm"
	markEnd     = "# <<< packhouse login npm"
	noNewline   = " (added a line end before)"
	newFile     = " (new file)"
	npmrcMode   = 0o600
	maxUserFile = 1 << 20
)

// login points npm at the endpoint. npm reads the last of several lines for one key, so
// what stands above the block keeps its place and its bytes. `always-auth` is not
// written: npm 9 and later refuse the key (npm.md 3).
func login(_ context.Context, s format.Setup) ([]string, error) {
	settings, err := npmSettings(s)
	if err != nil {
		return nil, err
	}
	if s.Print {
		return settings, nil
	}
	path, err := userConfig()
	if err != nil {
		return nil, err
	}
	original, err := readUserConfig(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, err
	}
	rest, note, _ := cutBlock(original)
	if missing {
		note = newFile
	} else if note != newFile {
		note = "" // what it said of the bytes above was undone with the block
	}
	if len(rest) > 0 && rest[len(rest)-1] != '\n' {
		rest, note = append(rest, '\n'), noNewline
	}
	block := markBegin + note + "\n" + strings.Join(settings, "\n") + "\n" + markEnd + "\n"
	if err := replaceFile(path, append(rest, block...)); err != nil {
		return nil, err
	}
	return []string{
		"wrote " + strings.SplitN(settings[0], "=", 2)[0] + " and a token to " + path,
		"try: npm ping",
	}, nil
}

// npmSettings are the lines that point npm at an endpoint.
func npmSettings(s format.Setup) ([]string, error) {
	u, err := url.Parse(s.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("endpoint %q is no http address", s.Endpoint)
	}
	for _, text := range []string{s.Endpoint, s.Token, s.Scope} {
		if strings.ContainsAny(text, "\r\n\x00") {
			return nil, errors.New("endpoint, token and scope must each be one line")
		}
	}
	endpoint := strings.TrimSuffix(s.Endpoint, "/") + "/"
	key := "registry"
	if scope := strings.TrimPrefix(s.Scope, "@"); scope != "" {
		if reason := badPart(scope); reason != "" {
			return nil, fmt.Errorf("scope %s", reason)
		}
		key = "@" + scope + ":registry"
	}
	_, host, _ := strings.Cut(endpoint, ":")
	return []string{key + "=" + endpoint, host + ":_authToken=" + s.Token}, nil
}

// logout removes the block, and the file if login made it.
func logout(context.Context) ([]string, error) {
	path, err := userConfig()
	if err != nil {
		return nil, err
	}
	current, err := readUserConfig(path)
	if errors.Is(err, fs.ErrNotExist) {
		return []string{"nothing to remove: " + path + " does not exist"}, nil
	}
	if err != nil {
		return nil, err
	}
	rest, note, found := cutBlock(current)
	if !found {
		return []string{"nothing to remove: " + path + " has no block of packhouse login"}, nil
	}
	if note == newFile && len(rest) == 0 {
		err = os.Remove(path)
	} else {
		err = replaceFile(path, rest)
	}
	if err != nil {
		return nil, err
	}
	return []string{"removed the settings of packhouse login from " + path}, nil
}

// cutBlock returns a file without the block, as it was before it, and the block's note.
func cutBlock(file []byte) (rest []byte, note string, found bool) {
	begin := lineIndex(file, markBegin)
	if begin < 0 {
		return bytes.Clone(file), "", false
	}
	end := lineIndex(file[begin:], markEnd)
	if end < 0 {
		return bytes.Clone(file), "", false
	}
	head, tail := file[:begin], file[begin+end:]
	if i := bytes.IndexByte(tail, '\n'); i >= 0 {
		tail = tail[i+1:]
	} else {
		tail = nil
	}
	first, _, _ := strings.Cut(string(file[begin:]), "\n")
	note = strings.TrimPrefix(strings.TrimSuffix(first, "\r"), markBegin)
	if note == noNewline && len(tail) == 0 {
		head = bytes.TrimSuffix(head, []byte("\n"))
	}
	return append(bytes.Clone(head), tail...), note, true
}

// lineIndex returns where the first line that begins with a mark begins, -1 for none.
func lineIndex(file []byte, mark string) int {
	if bytes.HasPrefix(file, []byte(mark)) {
		return 0
	}
	if i := bytes.Index(file, []byte("\n"+mark)); i >= 0 {
		return i + 1
	}
	return -1
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

func readUserConfig(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	b, err := readAtMost(f, maxUserFile)
	if err == nil && len(b) > maxUserFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxUserFile)
	}
	return b, err
}

// replaceFile writes a file whole or not at all, readable by its owner only: it holds a
// token.
func replaceFile(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(npmrcMode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
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
	rest, _, _ := cutBlock(current)
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
