package ops

import (
	"context"
	"slices"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/resolve"
)

// settingPrefix begins the keys of tags that are settings of their repository, such as
// "packhouse:quotas.bytes". The service's API has no other place for what it does not
// know, and tags come and go with the repository, are in the ledger, and are what every
// client and infrastructure tool can write.
const settingPrefix = "packhouse:"

// settings are what the tags of a repository change about publishing to it. The zero
// value changes nothing.
type settings struct {
	assetBytes int64 // largest asset; 0 for the installation's limit
	limited    bool  // bytes is a limit
	bytes      int64 // most that the repository's versions may have together
	overwrite  bool  // files of Unfinished versions are replaced by a plain publish
	lateAssets bool  // finished versions take further files
}

// setting is something that a tag can set.
type setting struct {
	name    string                       // behind settingPrefix, and for those of a format behind its id and a dot
	allowed string                       // for people
	set     func(*settings, string) bool // reports whether the value is allowed
}

// repositorySettings are those of every repository.
var repositorySettings = []setting{
	{"cooldown.age", "a duration such as 72h; 0s for none", func(_ *settings, v string) bool {
		_, err := resolve.ParseAge(v)
		return err == nil
	}},
	{"cooldown.allow", "packages such as npm/NAME, npm/@SCOPE/* or npm/NAME@VERSION, separated by spaces", func(_ *settings, v string) bool {
		_, err := resolve.ParseExceptions(v)
		return err == nil
	}},
	{"limits.asset", "a size such as 512MiB", func(s *settings, v string) bool {
		n, err := config.ParseSize(v)
		s.assetBytes = int64(n)
		return err == nil && n > 0
	}},
	{"quotas.bytes", "a size such as 200GiB", func(s *settings, v string) bool {
		n, err := config.ParseSize(v)
		s.bytes, s.limited = int64(n), err == nil
		return err == nil
	}},
}

// formatSettings are those of every format that has Unfinished versions (generic.md 4).
var formatSettings = []setting{
	{"overwrite", "never or until-published", func(s *settings, v string) bool {
		s.overwrite = v == "until-published"
		return s.overwrite || v == "never"
	}},
	{"late_assets", "on or off", func(s *settings, v string) bool {
		s.lateAssets = v == "on"
		return s.lateAssets || v == "off"
	}},
}

// hasSettings reports whether formatSettings are for a format.
func hasSettings(room format.Format) bool {
	return room.Spec().LateAssets == format.LateWhileUnfinished
}

// settingsOf reads what a repository's tags set for publishing packages of a format. Warm
// it costs no SQL.
func (s *Service) settingsOf(ctx context.Context, ref packhouse.RepoRef, id packhouse.FormatID) (out settings, err error) {
	r := s.repositoryResource(ref)
	known, err := s.rulesOf(ctx, r)
	if err != nil {
		return out, storeError("read settings", err)
	}
	tags, err := s.tagsOf(ctx, r, known)
	if err != nil || len(tags) == 0 {
		return out, storeError("read settings", err)
	}
	for _, st := range repositorySettings {
		if v, ok := tags[tagPrefix+settingPrefix+st.name]; ok {
			st.set(&out, v)
		}
	}
	if room, ok := s.formats[id]; ok && hasSettings(room) {
		for _, st := range formatSettings {
			if v, ok := tags[tagPrefix+settingPrefix+string(id)+"."+st.name]; ok {
				st.set(&out, v)
			}
		}
	}
	return out, nil
}

// isSetting reports whether a tag's key is, or is made to look like, that of a setting.
func isSetting(key string) bool {
	return len(key) >= len(settingPrefix) && strings.EqualFold(key[:len(settingPrefix)], settingPrefix)
}

// checkSetting refuses a tag that looks like a setting and is none. Errors: Invalid
// "invalid_setting".
func (s *Service) checkSetting(t packhouse.ResourceTag, kind string) error {
	if kind != packhouse.ResourceRepository {
		return packhouse.Invalidf("invalid_setting", "tag key %q is a setting, which repositories have only", t.Key)
	}
	all := s.allSettings()
	at := slices.IndexFunc(all, func(st setting) bool { return st.name == t.Key })
	if at < 0 {
		names := make([]string, len(all))
		for i, st := range all {
			names[i] = st.name
		}
		return packhouse.Invalidf("invalid_setting", "tag key %q is not a setting: there are %s", t.Key, strings.Join(names, ", "))
	}
	if !all[at].set(new(settings), t.Value) {
		return packhouse.Invalidf("invalid_setting", "tag %s has the value %q: it takes %s", t.Key, t.Value, all[at].allowed)
	}
	return nil
}

// allSettings are the settings that a repository can have here by the keys of their tags,
// ordered.
func (s *Service) allSettings() []setting {
	var all []setting
	add := func(prefix string, list []setting) {
		for _, st := range list {
			st.name = settingPrefix + prefix + st.name
			all = append(all, st)
		}
	}
	add("", repositorySettings)
	for id, room := range s.formats {
		if hasSettings(room) {
			add(string(id)+".", formatSettings)
		}
	}
	slices.SortFunc(all, func(a, b setting) int { return strings.Compare(a.name, b.name) })
	return all
}

// allowSettings decides whether who may change the settings among the keys of a
// resource's tags: they say what a repository does, which is for those who may update it.
func (s *Service) allowSettings(ctx context.Context, who packhouse.Principal, r resource, keys []string) error {
	if !slices.ContainsFunc(keys, isSetting) {
		return nil
	}
	return s.allow(ctx, who, packhouse.ActionUpdateRepository, r, nil)
}

// checkBytes holds a repository to its quota of bytes, where one is set: what its versions
// have, each with all of its files, and what comes. Only publishing asks; what is pulled
// or copied counts from then on. The count reads every version, and so stays out of the
// transaction, which nobody else writes beside: publishes at the same moment may go beyond
// the quota together.
func (s *Service) checkBytes(ctx context.Context, pub *publishing, v verdict) error {
	if !pub.set.limited || len(v.fresh) == 0 {
		return nil
	}
	var used int64
	err := s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		used, err = tx.RepositoryBytes(ctx, pub.repo.ID)
		return err
	})
	if err != nil {
		return storeError("count bytes", err)
	}
	after := used - v.gone
	for _, i := range v.fresh {
		if a := pub.Assets[i]; !a.Side {
			after += a.Content.Size()
		}
	}
	if after > pub.set.bytes {
		return quotaExceeded("repository_bytes", packhouse.ResourceRepository, pub.Package.Repo.Name,
			"repository %s has %s, and would have %s with this; its quota is %s", pub.Package.Repo.Name, config.Size(used), config.Size(after), config.Size(pub.set.bytes))
	}
	return nil
}
