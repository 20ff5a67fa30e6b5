package server

import (
	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/format/npm"
)

// signed lists the formats whose versions are signed when they are published.
func signed(c config.Signing) []packhouse.FormatID {
	if c.NPM == "on" {
		return []packhouse.FormatID{npm.ID}
	}
	return nil
}
