package server

import (
	"log/slog"
	"strings"
	"testing"
)

// A server does not start with exceptions that mean nothing: they would hold back what
// somebody needs, or seem to let something through.
func TestExceptionsOfTheCooldownAreChecked(t *testing.T) {
	c := testConfig(t, map[string]string{"cooldown.age": "72h", "cooldown.allow": "npm/box,left"})
	_, err := Build(t.Context(), c, Options{Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), `cooldown.allow: "left" is no exception`) {
		t.Errorf("started with %v", err)
	}
}
