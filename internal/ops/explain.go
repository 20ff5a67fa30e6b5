package ops

import (
	"context"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/cache"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/identity"
)

// Explainer tells whoever may read the catalog how a decision would be made, by the code
// that makes it. It asks for nobody's rights.
type Explainer struct{ s *Service }

// NewExplainer makes an explainer of what a catalog holds.
func NewExplainer(db *catalog.DB, who *identity.Service, region string) Explainer {
	return Explainer{&Service{
		catalog: settled{DB: db}, identity: who, clock: feed.NewClock(), region: region, now: time.Now,
		rules: cache.New[packhouse.RepoRef, *rules](maxRules),
	}}
}

// Explain decides whether who may do action to the resource with an ARN, "*" for
// account-level actions. conditions are condition keys in any case, and replace what a
// request would have; the tags of package groups are not looked up. Errors: Invalid for an ARN that is none.
func (e Explainer) Explain(ctx context.Context, who packhouse.Principal, action packhouse.Action, arn string, conditions map[string]string) (authz.Decision, error) {
	r, err := e.s.parseResource(arn)
	if err != nil {
		return authz.Decision{}, err
	}
	given := make(map[string]string, len(conditions))
	for k, v := range conditions {
		given[strings.ToLower(k)] = v
	}
	j, err := e.s.consult(ctx, who, action, r, given)
	return j.Decision, err
}

// parseResource reads the ARN of anything that actions are done to.
func (s *Service) parseResource(arn string) (resource, error) {
	if arn == "*" {
		return anyResource, nil
	}
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return resource{}, packhouse.Invalidf("invalid_arn", "%q is no ARN: arn:%s:codeartifact:REGION:ACCOUNT:KIND/NAME", arn, packhouse.Partition)
	}
	r := resource{arn: arn}
	if parts[2] != "codeartifact" {
		return r, nil
	}
	r.domain.Owner = packhouse.AccountID(parts[4])
	kind, path, _ := strings.Cut(parts[5], "/")
	names := strings.SplitN(path, "/", 3)
	r.domain.Name = names[0]
	switch kind {
	case "domain":
		r.tags = tagsOfDomain
	case "package-group":
		r.group = strings.TrimPrefix(path, names[0])
	case "repository", "package":
		if len(names) < 2 || names[1] == "" {
			return r, packhouse.Invalidf("invalid_arn", "the ARN %q names no repository", arn)
		}
		r.repo = packhouse.RepoRef{Domain: r.domain, Name: names[1]}
		if kind == "repository" {
			r.tags = tagsOfRepository
		}
	default:
		return r, packhouse.Invalidf("invalid_arn", "%q is no kind of resource: domain, repository, package or package-group", kind)
	}
	return r, nil
}
