# Each target is one line; the scripts say what they do and install what they need.
.PHONY: run build test lint fast bench gen drill fuzz torture vuln
run: build ; bin/packhouse serve
build: ; CGO_ENABLED=0 go build -trimpath -ldflags=-s -o bin/packhouse ./cmd/packhouse
test: ; scripts/test.sh
fast: ; go test ./...
lint: ; scripts/lint.sh
bench: build ; scripts/bench.sh
gen: ; go run ./cmd/packhouse config docs > docs/configuration.md && go test ./internal/codeartifact -run Compatibility -args -update
drill: ; scripts/drill.sh
fuzz: ; scripts/fuzz.sh
torture: ; PACKHOUSE_KILLS=5000 scripts/drill.sh
vuln: ; go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...
