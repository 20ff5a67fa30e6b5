# Each target is one line; the scripts say what they do and install what they need.
.PHONY: run build test lint fast bench gen torture vuln
run: build ; bin/packhouse serve
build: ; CGO_ENABLED=0 go build -trimpath -o bin/packhouse ./cmd/packhouse
test: ; scripts/test.sh
fast: ; go test ./...
lint: ; scripts/lint.sh
bench: ; go test -run '^$$' -bench . -benchmem ./internal/...
gen: ; go run ./cmd/packhouse config docs > docs/configuration.md
torture: ; PACKHOUSE_KILLS=1000 go test -count=1 -timeout 6h -run TestKill ./e2e
vuln: ; go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...
