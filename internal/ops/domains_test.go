package ops

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/packhouse/packhouse"
)

// Case 001-1.
func TestCreateDomain(t *testing.T) {
	e := newEnv(t)
	made, err := e.s.CreateDomain(e.ctx, e.admin, CreateDomain{Name: "test-domain"})
	e.must(err)
	if made.Ref != (packhouse.DomainRef{Owner: ours, Name: "test-domain"}) || made.RepositoryCount != 0 || made.AssetSizeBytes != 0 || made.Deleted {
		t.Errorf("made %+v", made)
	}
	if !regexp.MustCompile(`^assets-[0-9]{12}-us-west-2$`).MatchString(made.BucketName) {
		t.Errorf("bucket name %q", made.BucketName)
	}
	if !regexp.MustCompile(`^arn:aws:kms:us-west-2:111122223333:key/.+$`).MatchString(made.KeyARN) {
		t.Errorf("key ARN %q", made.KeyARN)
	}
	seen, err := e.s.Domain(e.ctx, e.admin, made.Ref)
	e.must(err)
	if seen != made {
		t.Errorf("described %+v, created %+v", seen, made)
	}
	_, err = e.s.CreateDomain(e.ctx, e.admin, CreateDomain{Name: "test-domain"})
	e.wantError(err, packhouse.KindConflict, "domain_exists")
	_, err = e.s.CreateDomain(e.ctx, e.stranger, CreateDomain{Name: "test-domain"})
	e.must(err) // names are unique per account only
}

func TestCreateDomainRefuses(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.Quotas.TagsPerResource = 2 })
	tags := func(keys ...string) (list []packhouse.ResourceTag) {
		for _, k := range keys {
			list = append(list, packhouse.ResourceTag{Key: k})
		}
		return list
	}
	for sentence, row := range map[string]struct {
		in     CreateDomain
		kind   packhouse.Kind
		reason string
	}{
		"a key that does not exist":   {CreateDomain{Name: "ab", EncryptionKey: "alias/none"}, packhouse.KindInvalid, "encryption_key"},
		"a reserved tag":              {CreateDomain{Name: "ab", Tags: tags("aws:x")}, packhouse.KindInvalid, "reserved_tag"},
		"a reserved tag in capitals":  {CreateDomain{Name: "ab", Tags: tags("AWS:x")}, packhouse.KindInvalid, "reserved_tag"},
		"more tags than allowed":      {CreateDomain{Name: "ab", Tags: tags("a", "b", "c")}, packhouse.KindQuotaExceeded, "tags_per_resource"},
		"a name of one letter":        {CreateDomain{Name: "d"}, packhouse.KindInvalid, "invalid_name"},
		"a name that ends in hyphen":  {CreateDomain{Name: "ab-"}, packhouse.KindInvalid, "invalid_name"},
		"a name with a slash":         {CreateDomain{Name: "a/b"}, packhouse.KindInvalid, "invalid_name"},
		"a name with a line feed":     {CreateDomain{Name: "ab\n"}, packhouse.KindInvalid, "invalid_name"},
		"a name with capital letters": {CreateDomain{Name: "Ab"}, packhouse.KindInvalid, "invalid_name"},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := e.s.CreateDomain(e.ctx, e.admin, row.in)
			e.wantError(err, row.kind, row.reason)
		})
	}
	list, _, err := e.s.Domains(e.ctx, e.admin, Page{})
	e.must(err)
	if len(list) != 0 {
		t.Errorf("refused domains exist: %v", list)
	}
}

func TestDomainsPerAccountAreLimited(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.Quotas.DomainsPerAccount = 2 })
	e.domain("first")
	e.domain("second")
	_, err := e.s.CreateDomain(e.ctx, e.admin, CreateDomain{Name: "third"})
	e.wantError(err, packhouse.KindQuotaExceeded, "domains_per_account")
	_, err = e.s.CreateDomain(e.ctx, e.stranger, CreateDomain{Name: "third"})
	e.must(err) // another account has its own count
}

// Case 001-2.
func TestDeleteDomain(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	r := e.repo(d, "team")
	_, err := e.s.DeleteDomain(e.ctx, e.admin, d)
	e.wantError(err, packhouse.KindConflict, "domain_not_empty")
	_, err = e.s.DeleteRepository(e.ctx, e.admin, r)
	e.must(err)
	gone, err := e.s.DeleteDomain(e.ctx, e.admin, d)
	e.must(err)
	if !gone.Deleted || gone.Ref != d {
		t.Errorf("deleted %+v", gone)
	}
	_, err = e.s.Domain(e.ctx, e.admin, d)
	e.wantError(err, packhouse.KindNotFound, "domain_not_found")
	_, err = e.s.DeleteDomain(e.ctx, e.admin, d)
	e.wantError(err, packhouse.KindNotFound, "domain_not_found")
	again, err := e.s.CreateDomain(e.ctx, e.admin, CreateDomain{Name: "main"})
	e.must(err)
	if again.ID == gone.ID || again.BucketName == gone.BucketName {
		t.Errorf("a domain of the same name shares id or bucket with the deleted one: %+v", again)
	}
}

// Case 001-7, and pages.
func TestDomainsListsTheCallersAccount(t *testing.T) {
	e := newEnv(t)
	var want []string
	for i := range 5 {
		want = append(want, e.domain(fmt.Sprintf("domain-%d", i)).Name)
	}
	list, _, err := e.s.Domains(e.ctx, e.stranger, Page{})
	e.must(err)
	if len(list) != 0 {
		t.Errorf("another account sees %v", list)
	}
	var got []string
	page := Page{Limit: 2}
	for {
		list, next, err := e.s.Domains(e.ctx, e.admin, page)
		e.must(err)
		if len(list) > 2 {
			t.Fatalf("page of %d", len(list))
		}
		for _, d := range list {
			got = append(got, d.Ref.Name)
		}
		if next == "" {
			break
		}
		page.After = next
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
}
