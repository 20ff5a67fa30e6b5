#!/usr/bin/env bash
# Every fuzz target in turn: scripts/fuzz.sh [DURATION] [TARGET], 30m each by default.
# What is found stays in the package's testdata/fuzz and is replayed by go test from then
# on; targets that failed are listed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
duration=${1:-30m}
wanted=${2:-}
failed=()
tried=0
for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' ./internal/... ./cmd/...); do
  for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$package"/*_test.go | cut -d' ' -f2 | sort); do
    if [ -n "$wanted" ] && [ "$target" != "$wanted" ]; then
      continue
    fi
    tried=$((tried + 1))
    printf '\n== %s in %s\n' "$target" "${package#"$PWD"/}"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$duration" "$package" || failed+=("$target in ${package#"$PWD"/}")
  done
done
if [ "$tried" = 0 ]; then
  echo "no fuzz target is called $wanted" >&2
  exit 1
fi
if [ "${#failed[@]}" -gt 0 ]; then
  printf '\nfailed:\n' >&2
  printf '  %s\n' "${failed[@]}" >&2
  exit 1
fi
