package npm

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// block is what `packhouse login` writes at the end of a file of the user's, between two
// marks that name it; `packhouse logout` takes exactly that back. The first mark remembers
// what the file was like: without a last newline, or not there at all.
type block string

func (b block) begin() string { return "# >>> packhouse login " + string(b) }
func (b block) end() string   { return "# <<< packhouse login " + string(b) }

const (
	noNewline   = " (added a line end before)"
	newFile     = " (new file)"
	userMode    = 0o600
	maxUserFile = 1 << 20
)

// write puts the block's lines at the end of a file, in place of an older block. lines
// makes them from the rest of the file and from the older block, nil for none; an error
// of it leaves the file as it is.
func (b block) write(path string, lines func(rest, old []byte) ([]string, error)) error {
	original, err := readUserConfig(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	rest, note, old := b.cut(original)
	settings, err := lines(rest, old)
	if err != nil {
		return err
	}
	if missing {
		note = newFile
	} else if note != newFile {
		note = "" // what it said of the bytes above was undone with the block
	}
	if len(rest) > 0 && rest[len(rest)-1] != '\n' {
		rest, note = append(rest, '\n'), noNewline
	}
	text := b.begin() + note + "\n" + strings.Join(settings, "\n") + "\n" + b.end() + "\n"
	return replaceFile(path, append(rest, text...))
}

// remove takes the block out of a file, and the file away if write made it. It tells
// what it did.
func (b block) remove(path string) ([]string, error) {
	current, err := readUserConfig(path)
	if errors.Is(err, fs.ErrNotExist) {
		return []string{"nothing to remove: " + path + " does not exist"}, nil
	}
	if err != nil {
		return nil, err
	}
	rest, note, old := b.cut(current)
	if old == nil {
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

// cut returns a file without the block, as it was before it, the block's note, and the
// block itself, nil for none.
func (b block) cut(file []byte) (rest []byte, note string, old []byte) {
	begin := lineIndex(file, b.begin())
	if begin < 0 {
		return bytes.Clone(file), "", nil
	}
	end := lineIndex(file[begin:], b.end())
	if end < 0 {
		return bytes.Clone(file), "", nil
	}
	head, old, tail := file[:begin], file[begin:begin+end], file[begin+end:]
	if i := bytes.IndexByte(tail, '\n'); i >= 0 {
		tail = tail[i+1:]
	} else {
		tail = nil
	}
	first, _, _ := strings.Cut(string(file[begin:]), "\n")
	note = strings.TrimPrefix(strings.TrimSuffix(first, "\r"), b.begin())
	if note == noNewline && len(tail) == 0 {
		head = bytes.TrimSuffix(head, []byte("\n"))
	}
	return append(bytes.Clone(head), tail...), note, old
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
	err = errors.Join(err, f.Chmod(userMode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
