package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
)

// spread is a figure over the rounds.
type spread struct{ median, min, max float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	s := slices.Sorted(slices.Values(values))
	return spread{median: s[len(s)/2], min: s[0], max: s[len(s)-1]}
}

// text writes the median, with the least and the greatest where they differ.
func (s spread) text(unit string) string {
	if unit != "" {
		unit = " " + unit
	}
	if number(s.min) == number(s.max) {
		return number(s.median) + unit
	}
	return fmt.Sprintf("%s%s (%s-%s)", number(s.median), unit, number(s.min), number(s.max))
}

// number writes three significant digits, and no more than there are.
func number(f float64) string {
	switch a := math.Abs(f); {
	case a >= 100:
		return grouped(int64(math.Round(f)))
	case a >= 10:
		return fmt.Sprintf("%.1f", f)
	case a >= 1:
		return fmt.Sprintf("%.2f", f)
	case a >= 0.01 || a == 0:
		return fmt.Sprintf("%.3f", f)
	}
	return fmt.Sprintf("%.2g", f)
}

func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// ratio writes how many times more a is than b.
func ratio(a, b float64) string {
	if a == 0 || b == 0 {
		return "-"
	}
	r := a / b
	if r >= 10 {
		return grouped(int64(math.Round(r))) + "x"
	}
	return fmt.Sprintf("%.2fx", r)
}

// line is one row of the table.
type line struct {
	row, what string
	cells     map[string]string // by target's name
	toPeer    string            // ratio to the best peer
	toLimit   string            // ratio to the limit
	target    string
	reached   verdict
}

type verdict string

const (
	reached  verdict = "reached"
	missed   verdict = "**missed**"
	unjudged verdict = "-" // the row lacks what it is compared with
)

// judge is the verdict of conditions that must all hold.
func judge(conditions ...bool) verdict {
	if slices.Contains(conditions, false) {
		return missed
	}
	return reached
}

// table is what a run yields.
type table struct {
	lines []line
	notes []string
}

func (t *table) add(l line) { t.lines = append(t.lines, l) }

func (t *table) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(t.notes, n) {
		t.notes = append(t.notes, n)
	}
}

var columns = []string{ours, limit, static, peer}

// write prints the table as Markdown, in the order of the row's numbers.
func (t *table) write(w io.Writer) error {
	slices.SortStableFunc(t.lines, func(a, b line) int { return rowNumber(a.row) - rowNumber(b.row) })
	var b strings.Builder
	b.WriteString("| # | What | Packhouse | Limit: bare Go server | nginx | Peer here: " + peer + " | Against the best peer | Against the limit | Target | |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, l := range t.lines {
		fields := []string{l.row, l.what}
		for _, c := range columns {
			fields = append(fields, l.cells[c])
		}
		fields = append(fields, l.toPeer, l.toLimit, l.target, string(l.reached))
		for i, f := range fields {
			if f == "" {
				fields[i] = "-"
			}
		}
		b.WriteString("| " + strings.Join(fields, " | ") + " |\n")
	}
	if len(t.notes) > 0 {
		b.WriteString("\n")
	}
	for _, n := range t.notes {
		b.WriteString("- " + n + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// The marks of a document around the table.
const (
	tableBegins = "<!-- table: written by scripts/bench.sh -into -->\n"
	tableEnds   = "<!-- end of table -->\n"
)

// putInto replaces the table of a document.
func (t *table) putInto(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(text), tableBegins)
	_, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		return fmt.Errorf("%s has no place for the table, between the lines %s and %s", file, strings.TrimSpace(tableBegins), strings.TrimSpace(tableEnds))
	}
	var b strings.Builder
	b.WriteString(before + tableBegins)
	if err := t.write(&b); err != nil {
		return err
	}
	b.WriteString(tableEnds + after)
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

func rowNumber(s string) (n int) {
	_, _ = fmt.Sscan(s, &n) // letters after the number keep the order of adding
	return n
}
