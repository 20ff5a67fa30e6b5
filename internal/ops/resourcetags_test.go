package ops

import (
	"fmt"
	"slices"
	"testing"

	"github.com/packhouse/packhouse"
)

// Case 001-28 and the rules of 1.6.
func TestResourceTags(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	r := e.repo(d, "team")
	for _, arn := range []string{packhouse.DomainARN(testRegion, d), packhouse.RepositoryARN(testRegion, r)} {
		t.Run(arn, func(t *testing.T) {
			tag := func(tags ...packhouse.ResourceTag) error { return e.s.TagResource(e.ctx, e.admin, arn, tags) }
			e.must(tag(packhouse.ResourceTag{Key: "b", Value: "1"}, packhouse.ResourceTag{Key: "B", Value: ""}, packhouse.ResourceTag{Key: "a", Value: "x"}, packhouse.ResourceTag{Key: "a", Value: "2"}))
			e.must(tag(packhouse.ResourceTag{Key: "b", Value: "3"}))
			e.must(e.s.UntagResource(e.ctx, e.admin, arn, []string{"B", "absent"}))
			got, err := e.s.ResourceTags(e.ctx, e.admin, arn)
			e.must(err)
			if want := []packhouse.ResourceTag{{Key: "a", Value: "2"}, {Key: "b", Value: "3"}}; !slices.Equal(got, want) {
				t.Errorf("tags %v, want %v", got, want)
			}
			e.wantError(tag(packhouse.ResourceTag{Key: "Aws:x"}), packhouse.KindInvalid, "reserved_tag")
			var many []packhouse.ResourceTag
			for i := range 48 {
				many = append(many, packhouse.ResourceTag{Key: fmt.Sprint(i)})
			}
			e.must(tag(many...)) // 50 with a and b
			e.wantError(tag(packhouse.ResourceTag{Key: "fifty-first"}), packhouse.KindQuotaExceeded, "tags_per_resource")
			e.must(tag(packhouse.ResourceTag{Key: "a", Value: "overwriting needs no room"}))
		})
	}
	_, err := e.s.DeleteRepository(e.ctx, e.admin, r)
	e.must(err)
	e.repo(d, "team")
	got, err := e.s.ResourceTags(e.ctx, e.admin, packhouse.RepositoryARN(testRegion, r))
	e.must(err)
	if len(got) != 0 {
		t.Errorf("tags %v survived their repository", got)
	}
}

func TestUnknownARNs(t *testing.T) {
	e := newEnv(t)
	e.repo(e.domain("main"), "team")
	for _, arn := range []string{
		"arn:aws:codeartifact:us-west-2:111122223333:domain/absent",
		"arn:aws:codeartifact:us-west-2:111122223333:repository/main/absent",
		"arn:aws:codeartifact:us-west-2:111122223333:repository/main:team",
		"arn:aws:codeartifact:us-west-2:111122223333:domain/main/",
		"arn:aws:codeartifact:us-west-2:111122223333:repository/main/team/x",
		"arn:aws:codeartifact:us-west-2:111122223333:package-group/main/*",
		"arn:aws:codeartifact:us-west-2:111122223333:package-group/main/%2A",
		"arn:aws:codeartifact:us-west-2:111122223333:package-group/main/tagged/%2a",
		"arn:aws:codeartifact:us-west-2:111122223333:package-group",
		"arn:aws:codeartifact:eu-west-1:111122223333:domain/main",
		"arn:aws-cn:codeartifact:us-west-2:111122223333:domain/main",
	} {
		_, err := e.s.ResourceTags(e.ctx, e.admin, arn)
		if packhouse.KindOf(err) != packhouse.KindNotFound {
			t.Errorf("%s: %v, want NotFound", arn, err)
		}
	}
	_, err := e.s.ResourceTags(e.ctx, e.stranger, "arn:aws:codeartifact:us-west-2:111122223333:domain/main")
	e.wantError(err, packhouse.KindDenied, "")
}

func FuzzParseTagged(f *testing.F) {
	f.Add("arn:aws:codeartifact:us-west-2:111122223333:domain/main")
	f.Add("arn:aws:codeartifact:us-west-2:111122223333:repository/main/team")
	f.Add("arn:::::")
	f.Add("")
	s := &Service{region: testRegion}
	f.Fuzz(func(t *testing.T, arn string) {
		r := s.parseTagged(arn)
		if r.arn != arn {
			t.Errorf("the resource of %q is %q: policies would decide about another one", arn, r.arn)
		}
		if r.kind != "" && r.domain.Name == "" && r.name() == "" && arn[len(arn)-1] != '/' {
			t.Errorf("%q names %+v", arn, r)
		}
	})
}
