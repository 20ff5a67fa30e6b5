#!/usr/bin/env bash
# The fire drill: everything that breaks a running server on purpose, one part a line, and
# a table at the end of what was seen. `make drill` is CI's measure; PACKHOUSE_KILLS asks
# for more kills, as `make torture` does.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/clients.sh install
eval "$(scripts/clients.sh env)"
# What cannot be broken here is a failure, never a skip.
export PACKHOUSE_REQUIRE_CLIENTS=1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=0

# part NAME PACKAGE PATTERN runs the tests that PATTERN names. What they log after
# "table:" goes into the table.
part() {
  local began=$SECONDS result=passed
  printf '\n== %s\n' "$1"
  go test -count=1 -timeout 6h -v -run "$3" "$2" >"$out" 2>&1 || { result=FAILED; failed=1; cat "$out"; }
  # A pattern that finds no test proves nothing.
  grep -q '^--- PASS' "$out" || { result=FAILED; failed=1; }
  table+=$(printf '%-28s %-7s %5ss' "$1" "$result" $((SECONDS - began)))$'\n'
  table+=$(sed -n 's/^.*table: /    /p' "$out")$'\n'
}

table=''
part 'kills' ./e2e '^TestKill'
part 'n-th error, power cuts' ./internal/blob/fileblob 'PowerCut|EverySync|EveryCall|Causes'
part 'system calls fail' ./e2e '^Test(SystemCallsFail|FirstStartSyncsTheWay)$'
part 'upstream faults' ./e2e '^Test(Upstream|PackumentBeyond|MemoryOf)'
part 'full, read-only, no fds' ./e2e '^Test(DiskFull|ReadOnlyDirectory|DescriptorsExhausted)$'
part 'hostile clients' ./e2e '^TestHostile'

printf '\n%s\n' "$table" | sed '/^$/d'
exit "$failed"
