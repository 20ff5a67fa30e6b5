package ops

import (
	"context"

	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/resolve"
)

// settled is the catalog with everything that clients have pulled in it: a pull is
// recorded behind the answer that it gives, and no caller may come in between. While
// nothing is under way that costs one atomic load. Transactions must not be nested.
type settled struct {
	*catalog.DB
	resolver *resolve.Resolver
}

// View is catalog.DB.View.
func (c settled) View(ctx context.Context, fn func(*catalog.Tx) error) error {
	if err := c.resolver.Settle(ctx); err != nil {
		return err
	}
	return c.DB.View(ctx, fn)
}

// Update is catalog.DB.Update.
func (c settled) Update(ctx context.Context, fn func(*catalog.Tx) error) error {
	if err := c.resolver.Settle(ctx); err != nil {
		return err
	}
	return c.DB.Update(ctx, fn)
}
