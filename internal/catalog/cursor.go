package catalog

import (
	"strconv"
	"strings"

	"github.com/packhouse/packhouse"
)

// maxCursor bounds what parseCursor reads, in bytes.
const maxCursor = 8 << 10

// cursor writes the sort key of a row as one string: each field after its length, so
// that no field can be mistaken for two.
func cursor(fields ...string) string {
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(strconv.Itoa(len(f)))
		b.WriteByte(':')
		b.WriteString(f)
	}
	return b.String()
}

// parseCursor reads a cursor of n fields. "" is the beginning: n empty fields and
// begin set. Errors: Invalid "invalid_page_token".
func parseCursor(s string, n int) (fields []string, begin bool, err error) {
	if s == "" {
		return make([]string, n), true, nil
	}
	if len(s) > maxCursor {
		return nil, false, errCursor()
	}
	for rest := s; rest != ""; {
		digits, after, ok := strings.Cut(rest, ":")
		size, err := strconv.Atoi(digits)
		if !ok || err != nil || size < 0 || size > len(after) {
			return nil, false, errCursor()
		}
		fields = append(fields, after[:size])
		rest = after[size:]
	}
	// Only what cursor itself would have written: no signs, no leading zeros.
	if len(fields) != n || cursor(fields...) != s {
		return nil, false, errCursor()
	}
	return fields, false, nil
}

// cursorInt reads a field that holds a number.
func cursorInt(field string) (int64, error) {
	n, err := strconv.ParseInt(field, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != field {
		return 0, errCursor()
	}
	return n, nil
}

func errCursor() error {
	return packhouse.Invalidf("invalid_page_token", "the page token is not one that this list returned")
}

// page cuts the extra row that tells that there are more, and returns the cursor of
// the last row kept.
func page[T any](rows []T, limit int, key func(T) string) ([]T, string) {
	if limit < 1 || len(rows) <= limit {
		return rows, ""
	}
	rows = rows[:limit]
	return rows, key(rows[limit-1])
}
