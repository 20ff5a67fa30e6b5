package server

import (
	"fmt"
	"strings"

	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/resolve"
)

// cooldown is that of repositories without one of their own.
func cooldown(c config.Cooldown) (resolve.Cooldown, error) {
	except, err := resolve.ParseExceptions(strings.Join(c.Allow, ","))
	if err != nil {
		return resolve.Cooldown{}, fmt.Errorf("cooldown.allow: %w", err)
	}
	return resolve.Cooldown{Age: c.Age, Except: except}, nil
}
