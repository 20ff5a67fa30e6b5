package ops

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// Ask puts a question about packages to the registries that they came from; see
// format.Relay.
func (s *Service) Ask(ctx context.Context, who packhouse.Principal, q format.Question) ([]format.Answer, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, q.Repo); err != nil {
		return nil, err
	}
	return s.resolver.Ask(ctx, q)
}

// Beside returns a document that registries keep beside their indexes; see format.Relay.
func (s *Service) Beside(ctx context.Context, who packhouse.Principal, d format.Document) ([]format.Response, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, d.Repo); err != nil {
		return nil, err
	}
	return s.resolver.Beside(ctx, d)
}
