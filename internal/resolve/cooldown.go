package resolve

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
)

// Cooldown holds back versions of external connections that are younger than an age, by
// the public registry's own time (reliability.md S45). The repository that has the
// connection decides, for all that ask through it.
type Cooldown struct {
	Age    time.Duration // 0 holds nothing back
	Except Exceptions
}

// The tags of a repository that set its cooldown. An age of its own takes the place of the
// default; exceptions are added to the default ones.
const (
	CooldownTagPrefix = "packhouse:cooldown."
	CooldownAgeTag    = CooldownTagPrefix + "age"
	CooldownAllowTag  = CooldownTagPrefix + "allow"
)

// ParseAge reads an age as it is set: a duration that is not negative, such as 72h.
func ParseAge(text string) (time.Duration, error) {
	age, err := time.ParseDuration(text)
	if err != nil || age < 0 {
		return 0, packhouse.Invalidf("invalid_age", "%q is no age: it takes a duration such as 72h, or 0s for none", text)
	}
	return age, nil
}

// Exceptions are packages and versions that a cooldown does not hold back.
type Exceptions []exception

// exception is one of them: version "" stands for all, and a name that ends with a star
// for all that begin so.
type exception struct {
	text string // as it is written
	packhouse.PackageName
	star, all bool // all is format/*, with every namespace
	version   string
}

// ParseExceptions reads a list of exceptions, separated by spaces or commas: npm/left-pad,
// npm/left-pad@1.4.0, npm/@scope/name, npm/@scope/*, npm/eslint-*, npm/*. Errors: Invalid
// "invalid_exception".
func ParseExceptions(text string) (Exceptions, error) {
	var out Exceptions
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' }) {
		x, ok := parseException(word)
		if !ok {
			return nil, packhouse.Invalidf("invalid_exception",
				"%q is no exception: it takes npm/NAME, npm/@SCOPE/NAME or either with @VERSION behind it; a name may end with *", word)
		}
		out = append(out, x)
	}
	return out, nil
}

// String lists the exceptions as they are written, separated by spaces.
func (e Exceptions) String() string {
	words := make([]string, len(e))
	for i, x := range e {
		words[i] = x.text
	}
	return strings.Join(words, " ")
}

func parseException(word string) (x exception, ok bool) {
	parts := strings.Split(word, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" {
		return x, false
	}
	x.text, x.Format = word, packhouse.FormatID(parts[0])
	if len(parts) == 3 {
		if x.Namespace = strings.TrimPrefix(parts[1], "@"); x.Namespace == "" || strings.Contains(x.Namespace, "*") {
			return x, false
		}
	}
	var versioned bool
	x.Name, x.version, versioned = strings.Cut(parts[len(parts)-1], "@")
	x.Name, x.star = strings.CutSuffix(x.Name, "*")
	x.all = len(parts) == 2 && x.star && x.Name == ""
	return x, !strings.Contains(x.Name, "*") && (x.star || x.Name != "") && versioned == (x.version != "") && (!versioned || !x.star)
}

// has reports whether a version is excepted; key is its identity.
func (e Exceptions) has(f format.Format, n packhouse.PackageName, key string) bool {
	for _, x := range e {
		switch {
		case x.Format != n.Format:
		case x.all:
			return true
		case x.Namespace != n.Namespace, x.star && !strings.HasPrefix(n.Name, x.Name), !x.star && n.Name != x.Name:
		case x.version == "":
			return true
		default:
			if k, err := f.VersionKey(x.version); err == nil && k == key {
				return true
			}
		}
	}
	return false
}

// cooldowns reads the cooldowns of a domain's repositories by their ids, those alone that
// set something.
func (r *Resolver) cooldowns(ctx context.Context, tx *catalog.Tx, domainID int64) (map[int64]Cooldown, error) {
	tags, err := tx.RepositoryTags(ctx, domainID, CooldownTagPrefix)
	if err != nil || len(tags) == 0 {
		return nil, err
	}
	out := make(map[int64]Cooldown, len(tags))
	for _, t := range tags {
		own, ok := out[t.RepoID]
		if !ok {
			own = r.o.Cooldown
		}
		// They were checked when they were set. What cannot be read excepts nothing.
		switch t.Key {
		case CooldownAgeTag:
			if age, err := ParseAge(t.Value); err == nil {
				own.Age = age
			}
		case CooldownAllowTag:
			if except, err := ParseExceptions(t.Value); err == nil {
				own.Except = append(except, own.Except...)
			}
		}
		out[t.RepoID] = own
	}
	return out, nil
}

// cooldown returns the rule of a repository.
func (r *Resolver) cooldown(s *domainShape, repo *catalog.RepositoryRow) Cooldown {
	if own, ok := s.cooldowns[repo.ID]; ok {
		return own
	}
	return r.o.Cooldown
}

// sieve tells which versions of a remote index are held back at one moment.
type sieve struct {
	Cooldown
	format format.Format
	name   packhouse.PackageName
	repo   string // that has the connection
	now    time.Time
}

// open reports whether a version may be had; until is when one that may not opens, zero
// for never. A version without a date stays closed.
func (s sieve) open(v *format.RemoteVersion, key string) (open bool, until time.Time) {
	if s.Age == 0 {
		return true, time.Time{}
	}
	if !v.Published.IsZero() {
		until = v.Published.Add(s.Age)
	}
	if !until.IsZero() && s.now.After(until) || s.Except.has(s.format, s.name, key) {
		return true, time.Time{}
	}
	return false, until
}

// withheld describes a version that is not open; instead is what can be had in its place,
// "" for nothing.
func (s sieve) withheld(v *format.RemoteVersion, until time.Time, instead string) format.Withheld {
	why := fmt.Sprintf("has no date at its registry, and repository %s takes no version younger than %s", s.repo, span(s.Age))
	if !until.IsZero() {
		why = fmt.Sprintf("was published on %s, and repository %s waits %s; it opens on %s", minute(v.Published), s.repo, span(s.Age), minute(until))
	}
	if instead != "" {
		why += "; " + instead + " is available now"
	}
	return format.Withheld{Version: v.Version, Reason: format.ReasonCooldown, Why: why + "; an owner of the repository can make an exception"}
}

// fallback returns what can be had of an index instead of a version.
func (s sieve) fallback(i *remoteIndex, version string) string {
	return fallback(s.format, version, func(yield func(string) bool) {
		for _, at := range i.order {
			v := &i.index.Versions[at]
			if open, _ := s.open(v, i.keys[at]); open && v.Status.Listed() && !yield(v.Version) {
				return
			}
		}
	})
}

// fallback returns the version that takes the place of one that is held back: of those
// that can be had, in order, the highest below it that is no pre-release, else the highest
// at all that is none, else the highest; "" where there is none.
func fallback(f format.Format, version string, open iter.Seq[string]) string {
	pre, tells := f.(format.Prereleaser)
	var below, highest, last string
	for v := range open {
		last = v
		if tells && pre.Prerelease(v) {
			continue
		}
		highest = v
		if f.Compare(v, version) < 0 {
			below = v
		}
	}
	return cmp.Or(below, highest, last)
}

// refusal returns what to answer to who asks for a version directly that is held back, nil
// for one that is open.
func (s sieve) refusal(i *remoteIndex, key string) *format.Withheld {
	v, ok := i.version(key)
	if !ok {
		return nil
	}
	open, until := s.open(v, key)
	if open {
		return nil
	}
	h := s.withheld(v, until, s.fallback(i, v.Version))
	return &h
}

// sieve returns what holds back versions of a package that come through a source, now.
func (r *Resolver) sieve(shape *domainShape, src source, f format.Format, n packhouse.PackageName) sieve {
	return sieve{Cooldown: r.cooldown(shape, src.repo), format: f, name: n, repo: src.repo.Ref.Name, now: r.now()}
}

// minute spells a time for people.
func minute(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04 UTC") }

// span spells a duration for people: whole days as such.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == day:
		return "1 day"
	case d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	}
	text := d.String() // 1h0m0s
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// RepositoryCooldown is what holds for the external connections of one repository.
type RepositoryCooldown struct {
	Repository  string
	Connections []string
	Age         time.Duration
	Own         bool   // the repository sets its age or exceptions itself
	Allow       string // the exceptions, as they are written
}

// Cooldowns lists the repositories of a domain that have external connections, or set a
// cooldown all the same, by name. Errors: NotFound "domain_not_found".
func (r *Resolver) Cooldowns(ctx context.Context, domain packhouse.DomainRef) ([]RepositoryCooldown, error) {
	shape, err := r.shape(ctx, domain)
	if err != nil {
		return nil, err
	}
	var out []RepositoryCooldown
	for _, name := range slices.Sorted(maps.Keys(shape.byName)) {
		repo := shape.byName[name]
		_, own := shape.cooldowns[repo.ID]
		if len(repo.Connections) == 0 && !own {
			continue
		}
		c := r.cooldown(shape, repo)
		out = append(out, RepositoryCooldown{Repository: name, Connections: repo.Connections, Age: c.Age, Own: own, Allow: c.Except.String()})
	}
	return out, nil
}

// Withheld lists the versions of a package that a repository does not show because they
// are held back, or of these the one that is asked for; version "" asks for all. Errors:
// those of View; NotFound of a version that is nowhere.
func (r *Resolver) Withheld(ctx context.Context, pkg packhouse.PackageRef, version string) ([]format.Withheld, error) {
	v, _, err := r.view(ctx, pkg, false)
	if err != nil || version == "" {
		return v.Withheld, err
	}
	f, err := r.format(pkg.Package.Format)
	if err != nil {
		return nil, err
	}
	for _, h := range v.Withheld {
		if f.Compare(h.Version, version) == 0 {
			return []format.Withheld{h}, nil
		}
	}
	for i := range v.Entries {
		if f.Compare(v.Entries[i].Version, version) == 0 {
			return nil, nil
		}
	}
	return nil, versionNotFound(pkg.At(version))
}
