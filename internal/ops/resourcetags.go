package ops

import (
	"context"
	"slices"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
)

// reservedTag begins the keys that callers may not set, in any case.
const reservedTag = "aws:"

// tagged is a resource that can carry tags.
type tagged struct {
	resource
	kind string // packhouse.ResourceDomain, ResourceRepository or ResourcePackageGroup; "" for none of ours
}

// TagResource sets tags, overwriting equal keys. Keys that begin with "packhouse:" are
// settings of a repository, and need UpdateRepository besides. Errors: NotFound,
// QuotaExceeded "tags_per_resource", Invalid "reserved_tag", "invalid_setting".
func (s *Service) TagResource(ctx context.Context, who packhouse.Principal, arn string, tags []packhouse.ResourceTag) error {
	r := s.parseTagged(arn)
	if err := s.allow(ctx, who, packhouse.ActionTagResource, r.resource, requestTags(tags)); err != nil {
		return err
	}
	if err := s.allowSettings(ctx, who, r.resource, tagKeys(tags)); err != nil {
		return err
	}
	return s.changeTags(ctx, who, r, func(tx *catalog.Tx, id int64) (bool, error) {
		have, err := tx.ResourceTags(ctx, r.kind, id)
		if err != nil {
			return false, err
		}
		tags, err := s.newTags(have, tags, r.kind, r.name())
		if err != nil || len(tags) == 0 {
			return false, err
		}
		return true, tx.PutResourceTags(ctx, r.kind, id, tags)
	})
}

// UntagResource removes keys; absent ones are no error. Settings need UpdateRepository
// besides. Errors: NotFound.
func (s *Service) UntagResource(ctx context.Context, who packhouse.Principal, arn string, keys []string) error {
	r := s.parseTagged(arn)
	if err := s.allow(ctx, who, packhouse.ActionUntagResource, r.resource, map[string]string{"aws:tagkeys": authz.Values(keys...)}); err != nil {
		return err
	}
	if err := s.allowSettings(ctx, who, r.resource, keys); err != nil {
		return err
	}
	return s.changeTags(ctx, who, r, func(tx *catalog.Tx, id int64) (bool, error) {
		have, err := tx.ResourceTags(ctx, r.kind, id)
		if err != nil {
			return false, err
		}
		if !slices.ContainsFunc(have, func(t packhouse.ResourceTag) bool { return slices.Contains(keys, t.Key) }) {
			return false, nil
		}
		return true, tx.RemoveResourceTags(ctx, r.kind, id, keys)
	})
}

// ResourceTags lists tags by key. Errors: NotFound.
func (s *Service) ResourceTags(ctx context.Context, who packhouse.Principal, arn string) (tags []packhouse.ResourceTag, err error) {
	r := s.parseTagged(arn)
	if err := s.allow(ctx, who, packhouse.ActionListTagsForResource, r.resource, nil); err != nil {
		return nil, err
	}
	err = s.catalog.View(ctx, func(tx *catalog.Tx) error {
		id, _, err := s.findTagged(ctx, tx, r)
		if err != nil {
			return err
		}
		tags, err = tx.ResourceTags(ctx, r.kind, id)
		return err
	})
	return tags, storeError("list tags", err)
}

// changeTags runs change on the tags of r in one transaction and records it when change
// reports that something changed.
func (s *Service) changeTags(ctx context.Context, who packhouse.Principal, r tagged, change func(tx *catalog.Tx, id int64) (bool, error)) error {
	err := s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		id, row, err := s.findTagged(ctx, tx, r)
		if err != nil {
			return err
		}
		changed, err := change(tx, id)
		if err != nil || !changed {
			return err
		}
		row.Kind = packhouse.ChangeResourceTagsChanged
		row.Principal = who.ARN
		return tx.Record(ctx, row)
	})
	return storeError("change tags", err)
}

// findTagged returns the id of r and a ledger row about it, without kind and principal.
func (s *Service) findTagged(ctx context.Context, tx *catalog.Tx, r tagged) (int64, packhouse.Change, error) {
	switch r.kind {
	case packhouse.ResourceDomain:
		d, err := s.domainIn(ctx, tx, r.domain)
		return d.ID, s.domainChange(ctx, packhouse.Principal{}, "", d.ID, r.domain), err
	case packhouse.ResourceRepository:
		row, _, err := s.repositoryIn(ctx, tx, r.repo)
		return row.ID, s.change(ctx, packhouse.Principal{}, "", row), err
	case packhouse.ResourcePackageGroup:
		d, rows, err := s.groupRows(ctx, tx, r.domain)
		if err != nil {
			return 0, packhouse.Change{}, err
		}
		i := slices.IndexFunc(rows, func(g catalog.PackageGroupRow) bool { return g.Pattern == r.group })
		if i < 0 {
			return 0, packhouse.Change{}, groupNotFound(r.domain, r.group)
		}
		return rows[i].ID, s.groupChange(ctx, packhouse.Principal{}, "", d, r.group), nil
	}
	err := packhouse.NotFoundf("", r.arn, "there is no resource %s that can carry tags", r.arn)
	err.Reason = "resource_not_found"
	return 0, packhouse.Change{}, err
}

// name returns the name of the resource.
func (r tagged) name() string {
	switch r.kind {
	case packhouse.ResourceRepository:
		return r.repo.Name
	case packhouse.ResourcePackageGroup:
		return r.group
	}
	return r.domain.Name
}

// parseTagged reads the ARN of a domain, a repository or a package group of this
// installation's region, exactly as codeartifact.md 2.1 spells it. Any other text gives a
// resource without a kind, which policies decide about by the text alone.
func (s *Service) parseTagged(arn string) tagged {
	other := tagged{resource: resource{arn: arn}}
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || !packhouse.ValidAccountID(parts[4]) {
		return other
	}
	owner := packhouse.AccountID(parts[4])
	other.domain.Owner = owner
	path := strings.Split(parts[5], "/")
	var t tagged
	switch {
	case len(path) == 2 && path[0] == "domain":
		t = tagged{s.domainResource(packhouse.DomainRef{Owner: owner, Name: path[1]}), packhouse.ResourceDomain}
	case len(path) == 3 && path[0] == "repository":
		ref := packhouse.RepoRef{Domain: packhouse.DomainRef{Owner: owner, Name: path[1]}, Name: path[2]}
		t = tagged{s.repositoryResource(ref), packhouse.ResourceRepository}
	case path[0] == "package-group":
		if ref, ok := packhouse.PackageGroupOf(owner, strings.TrimPrefix(parts[5], "package-group/")); ok {
			t = tagged{s.groupResource(ref), packhouse.ResourcePackageGroup}
		}
	}
	if t.arn != arn { // another partition, service or region
		return other
	}
	return t
}

// newTags checks tags that are to be set on a resource that has some already, and
// returns them with each key once, the last value winning.
func (s *Service) newTags(have, set []packhouse.ResourceTag, kind, name string) ([]packhouse.ResourceTag, error) {
	keys := make(map[string]bool, len(have)+len(set))
	for _, t := range have {
		keys[t.Key] = true
	}
	var out []packhouse.ResourceTag
	at := make(map[string]int, len(set))
	for _, t := range set {
		if len(t.Key) >= len(reservedTag) && strings.EqualFold(t.Key[:len(reservedTag)], reservedTag) {
			return nil, packhouse.Invalidf("reserved_tag", "tag key %q is reserved: keys must not begin with %q", t.Key, reservedTag)
		}
		if isSetting(t.Key) {
			if err := s.checkSetting(t, kind); err != nil {
				return nil, err
			}
		}
		keys[t.Key] = true
		if i, ok := at[t.Key]; ok {
			out[i] = t
			continue
		}
		at[t.Key] = len(out)
		out = append(out, t)
	}
	if len(keys) > s.quotas.TagsPerResource {
		return nil, quotaExceeded("tags_per_resource", kind, name,
			"%s %s would have %d tags; at most %d are allowed", kind, name, len(keys), s.quotas.TagsPerResource)
	}
	return out, nil
}

// allowTags decides whether a resource may be created with the tags.
func (s *Service) allowTags(ctx context.Context, who packhouse.Principal, r resource, tags []packhouse.ResourceTag) error {
	if len(tags) == 0 {
		return nil
	}
	return s.allow(ctx, who, packhouse.ActionTagResource, r, requestTags(tags))
}

// requestTags returns the condition keys that tags in a request give policies.
func requestTags(tags []packhouse.ResourceTag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	m := make(map[string]string, len(tags)+1)
	for _, t := range tags {
		m["aws:requesttag/"+strings.ToLower(t.Key)] = t.Value
	}
	m["aws:tagkeys"] = authz.Values(tagKeys(tags)...)
	return m
}

// tagKeys returns the keys of tags.
func tagKeys(tags []packhouse.ResourceTag) []string {
	keys := make([]string, len(tags))
	for i, t := range tags {
		keys[i] = t.Key
	}
	return keys
}
