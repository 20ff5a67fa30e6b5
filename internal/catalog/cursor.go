package catalog

import (
	"context"
	"database/sql"
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

// maxExamined bounds the rows that one page looks at where a filter that has no index of
// its own chooses among them: such a page may be short, even empty, and yet have a next.
const maxExamined = 2000

// sift reads one page from a statement that is in order and whose last argument, which
// sift adds, is its LIMIT. keep chooses among the rows, nil for all; key is the cursor of
// a row. next is "" on the last page.
func sift[T any](ctx context.Context, tx *Tx, q string, args []any, limit int, scan func(*sql.Rows) (T, error), keep func(*T) bool, key func(*T) string) (out []T, next string, err error) {
	most := limit + 1
	if keep != nil {
		most = max(most, maxExamined)
	}
	var last T
	examined := 0
	err = tx.each(ctx, q, append(args, most), func(rows *sql.Rows) (bool, error) {
		row, err := scan(rows)
		if err != nil {
			return false, err
		}
		last, examined = row, examined+1
		if keep == nil || keep(&row) {
			out = append(out, row)
		}
		return len(out) <= limit, nil
	})
	if err != nil {
		return nil, "", err
	}
	out, next = page(out, limit, func(row T) string { return key(&row) })
	if next == "" && keep != nil && examined == most {
		next = key(&last)
	}
	return out, next, nil
}
