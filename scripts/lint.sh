#!/usr/bin/env bash
# gofmt, vet, golangci-lint and the floors. golangci-lint is installed, pinned, below .tools/.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/versions.env
lint=".tools/golangci-lint-$GOLANGCI_LINT_VERSION/golangci-lint"
if [ ! -x "$lint" ]; then
  GOBIN="$PWD/$(dirname "$lint")" CGO_ENABLED=0 go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$GOLANGCI_LINT_VERSION"
fi
unformatted=$(gofmt -l $(git ls-files '*.go'))
if [ -n "$unformatted" ]; then
  printf 'not formatted:\n%s\n' "$unformatted" >&2
  exit 1
fi
go vet ./...
"$lint" run ./...
go test ./internal/arch/...
