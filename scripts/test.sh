#!/usr/bin/env bash
# Everything that is tested, as `make test` and CI run it: the linters, the unit and
# suite tests with the race detector where it is affordable, the catalog suite on
# PostgreSQL, and the end-to-end tests with real clients.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/clients.sh install
eval "$(scripts/clients.sh env)"
# A missing client is a failure here, never a skip.
export PACKHOUSE_REQUIRE_CLIENTS=1

step() { printf '\n== %s\n' "$*"; }

step "build"
CGO_ENABLED=0 go build -trimpath -ldflags=-s -o bin/packhouse ./cmd/packhouse

step "schemathesis: the API against its own OpenAPI document"
scripts/schemathesis.sh

step "lint"
scripts/lint.sh

step "unit tests and suites, stores on SQLite and PostgreSQL, real clients end to end"
pg=$(mktemp -d)
cleanup() {
  scripts/postgres.sh stop "$pg" >/dev/null 2>&1 || true
  rm -rf "$pg"
}
trap cleanup EXIT
PACKHOUSE_TEST_POSTGRES=$(scripts/postgres.sh start "$pg")
export PACKHOUSE_TEST_POSTGRES
go test -count=1 -timeout 40m ./...

step "the engine on PostgreSQL"
PACKHOUSE_TEST_ENGINE=postgres go test -count=1 -timeout 10m ./internal/ops \
  -run 'Model|Publish|Cop|Remove|Group|Identit|Polic' -skip 'TwoNodes|AgainstRepositoryDeletion'

if command -v gcc >/dev/null; then
  step "race detector"
  go test -race -short -count=1 -timeout 30m ./internal/...
fi
