package ops

import (
	"fmt"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
)

// Every count of codeartifact.md 2.5 that is not tested beside its operation, at its
// boundary: the last that fits and the first that does not, with the quota as it comes
// and as somebody set it.
func TestQuotas(t *testing.T) {
	for _, tt := range []struct {
		name   string
		set    func(*Quotas, int)
		most   int // as it comes
		reason string
		kind   packhouse.Kind
		try    func(e *env, n int) error // uses n of what is counted
	}{
		{"upstreams of a repository", func(q *Quotas, n int) { q.DirectUpstreams = n }, 10, "direct_upstreams", packhouse.KindQuotaExceeded, func(e *env, n int) error {
			d := e.domain("main")
			var names []string
			for i := range n {
				names = append(names, e.repo(d, fmt.Sprintf("up-%d", i)).Name)
			}
			_, err := e.s.CreateRepository(e.ctx, e.admin, CreateRepository{Ref: packhouse.RepoRef{Domain: d, Name: "team"}, Upstreams: names})
			return err
		}},
		{"tags of a resource", func(q *Quotas, n int) { q.TagsPerResource = n }, 50, "tags_per_resource", packhouse.KindQuotaExceeded, func(e *env, n int) error {
			return e.s.TagResource(e.ctx, e.admin, packhouse.DomainARN(testRegion, e.domain("main")), numbered(n))
		}},
		{"tags of a new resource", func(q *Quotas, n int) { q.TagsPerResource = n }, 50, "tags_per_resource", packhouse.KindQuotaExceeded, func(e *env, n int) error {
			_, err := e.s.CreateDomain(e.ctx, e.admin, CreateDomain{Name: "tagged", Tags: numbered(n)})
			return err
		}},
		{"versions of one call", func(q *Quotas, n int) { q.VersionsPerCall = n }, 100, "versions_too_many", packhouse.KindInvalid, func(e *env, n int) error {
			lib := in(e.repo(e.domain("main"), "team"), "lib")
			e.publish(lib, "1.0", "x")
			var versions []string
			for i := range n {
				versions = append(versions, fmt.Sprintf("9.%d", i))
			}
			_, err := e.s.DeleteVersions(e.ctx, e.admin, ChangeVersions{Package: lib, Versions: versions})
			return err
		}},
		{"characters of a policy", func(q *Quotas, n int) { q.PolicyCharacters = n }, 7168, "", packhouse.KindQuotaExceeded, func(e *env, n int) error {
			const before, after = `{"Version":"2012-10-17","Id":"`, `","Statement":[{"Effect":"Allow","Principal":"*","Action":"codeartifact:DescribeDomain","Resource":"*"}]}`
			document := before + strings.Repeat("é", n-len(before)-len(after)) + after
			_, err := e.s.PutDomainPolicy(e.ctx, e.admin, e.domain("main"), PutPolicy{Document: document})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			few := max(3, tt.most/40)
			for _, most := range []int{tt.most, few} {
				adjust := func(o *Options) {
					if most != tt.most {
						tt.set(&o.Quotas, most)
					}
				}
				newEnv(t, adjust).must(tt.try(newEnv(t, adjust), most))
				e := newEnv(t, adjust)
				kind := tt.kind
				if tt.reason == "" && most == tt.most {
					kind = packhouse.KindInvalid // beyond what the language allows at all
				}
				e.wantError(tt.try(e, most+1), kind, "")
			}
		})
	}
}

// numbered makes n tags.
func numbered(n int) (tags []packhouse.ResourceTag) {
	for i := range n {
		tags = append(tags, packhouse.ResourceTag{Key: fmt.Sprint(i), Value: "v"})
	}
	return tags
}

// One call takes up to 200 tags (codeartifact.md 1.6); how many stay is the quota's.
func TestTwoHundredTagsInOneCall(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.Quotas.TagsPerResource = 200 })
	arn := packhouse.DomainARN(testRegion, e.domain("main"))
	e.must(e.s.TagResource(e.ctx, e.admin, arn, numbered(200)))
	var keys []string
	for _, tag := range numbered(200) {
		keys = append(keys, tag.Key)
	}
	e.must(e.s.UntagResource(e.ctx, e.admin, arn, keys))
	if left, err := e.s.ResourceTags(e.ctx, e.admin, arn); err != nil || len(left) != 0 {
		t.Errorf("%d tags left, %v", len(left), err)
	}
}
