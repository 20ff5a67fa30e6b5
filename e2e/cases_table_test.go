package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// docs/acceptance.md names every acceptance case of codeartifact.md section 5 once, the
// tests that it names exist, and a case that a test is said to hold has a subtest, or the
// test itself, with its number.
func TestCaseTableIsTrue(t *testing.T) {
	source := testSources(t)
	rows := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\d[\d.-]+) \| (.*) \|$`).FindAllStringSubmatch(readFile(t, "../docs/acceptance.md"), -1) {
		if _, twice := rows[row[1]]; twice {
			t.Errorf("%s is there twice", row[1])
		}
		rows[row[1]] = row[2]
	}
	cases := 0
	for prefix, last := range map[string]int{"000-": 14, "001-": 30, "003-": 17, "5.4.": 18} {
		for n := 1; n <= last; n++ {
			id := fmt.Sprint(prefix, n)
			row, ok := rows[id]
			if !ok {
				t.Errorf("%s is missing", id)
				continue
			}
			cases++
			names := regexp.MustCompile(`Test[A-Z]\w+`).FindAllString(row, -1)
			for _, name := range names {
				if !strings.Contains(source, "func "+name+"(") {
					t.Errorf("%s: there is no %s", id, name)
				}
			}
			where, why, _ := strings.Cut(row, " | ")
			if where == "-" {
				if strings.TrimSpace(why) == "" {
					t.Errorf("%s is not tested for no reason", id)
				}
				continue
			}
			whole := regexp.MustCompile(`TestCase` + strings.ReplaceAll(id, "-", "_") + `\b|TestTerraformCalls`)
			inside := regexp.MustCompile(`t\.Run\("[^"]*` + regexp.QuoteMeta(id) + `\b`)
			if !inside.MatchString(source) && !whole.MatchString(where) {
				t.Errorf("%s: no subtest has its number", id)
			}
		}
	}
	if cases != len(rows) {
		t.Errorf("%d cases in %d rows", cases, len(rows))
	}
}
