#!/usr/bin/env bash
# Measures bin/packhouse beside the limit and its peers (bench/README.md) and prints the
# table. It installs what it compares with, pinned, below .tools/.
#
#   scripts/bench.sh                                    everything: about a quarter of an hour
#   scripts/bench.sh -rows 1,4 -rounds 1 -length 1s     some rows, shortened
#   scripts/bench.sh -into docs/performance.md          the table into the document, too
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/clients.sh install
scripts/clients.sh bench
eval "$(scripts/clients.sh env)"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go build -o "$dir/bench" ./bench
"$dir/bench" "$@"
