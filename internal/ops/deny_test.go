package ops

import (
	"context"
	"reflect"
	"testing"

	"github.com/packhouse/packhouse"
)

// Every exported method that takes a principal must decide access before anything
// else: for somebody without policies it answers Denied, for nobody Unauthenticated,
// whatever its other arguments are, and it writes nothing (reliability.md S12, S16).
func TestEveryMethodDeniesByDefault(t *testing.T) {
	e := newEnv(t)
	e.domain("main")
	e.recorded()
	// One question beforehand, so that reading the policies is not counted below.
	_, err := e.s.Domain(e.ctx, e.nobody, packhouse.DomainRef{Owner: ours, Name: "main"})
	e.wantError(err, packhouse.KindDenied, "")
	before := e.db.Statements()

	principal := reflect.TypeFor[packhouse.Principal]()
	service := reflect.ValueOf(e.s)
	tested := 0
	for i := range service.NumMethod() {
		method := service.Type().Method(i)
		at := -1
		for p := range method.Type.NumIn() {
			if method.Type.In(p) == principal {
				at = p
			}
		}
		if at < 0 {
			continue
		}
		tested++
		for name, who := range map[string]packhouse.Principal{"without policies": e.nobody, "anonymous": packhouse.Anonymous, "zero": {}} {
			want := packhouse.KindDenied
			if who.IsAnonymous() {
				want = packhouse.KindUnauthenticated
			}
			t.Run(method.Name+" for a principal "+name, func(t *testing.T) {
				args := []reflect.Value{service}
				for p := 1; p < method.Type.NumIn(); p++ {
					args = append(args, argument(method.Type.In(p), who))
				}
				results := method.Func.Call(args)
				err, _ := results[len(results)-1].Interface().(error)
				if err == nil || packhouse.KindOf(err) != want {
					t.Fatalf("error %v, want %s", err, want)
				}
			})
		}
	}
	if tested < 35 {
		t.Errorf("only %d methods take a principal: the search for them is wrong", tested)
	}
	if n := e.db.Statements() - before; n != 0 {
		t.Errorf("denied calls ran %d statements, want 0: they must not look at what exists", n)
	}
	if c := e.recorded(); len(c) > 0 {
		t.Errorf("denied calls recorded changes: %v", c)
	}
}

// argument makes an argument for a method: the context, the principal, a repository of
// our own account wherever one fits, and zero values otherwise.
func argument(t reflect.Type, who packhouse.Principal) reflect.Value {
	switch t {
	case reflect.TypeFor[context.Context]():
		return reflect.ValueOf(context.Background())
	case reflect.TypeFor[packhouse.Principal]():
		return reflect.ValueOf(who)
	}
	v := reflect.New(t).Elem()
	fillDomain(v)
	return v
}

// fillDomain names a domain of our own account wherever v has one, so that what is denied
// is not denied for being somebody else's. It reports whether there was any.
func fillDomain(v reflect.Value) (found bool) {
	if v.Kind() != reflect.Struct {
		return false
	}
	if v.Type() == reflect.TypeFor[packhouse.DomainRef]() {
		v.Set(reflect.ValueOf(packhouse.DomainRef{Owner: ours, Name: "main"}))
		return true
	}
	for i := range v.NumField() {
		if v.Field(i).CanSet() {
			found = fillDomain(v.Field(i)) || found
		}
	}
	return found
}

// A deny of the domain's policy reaches every method that is about something in the
// domain, whatever identity policies allow; only the policy itself can always be
// replaced (codeartifact.md 3.12, rules 3 to 5).
func TestEveryMethodHeedsTheDomainsPolicy(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	_, err := e.s.PutDomainPolicy(e.ctx, e.admin, d, PutPolicy{Document: policyFor("Deny", `"*"`, "*")})
	e.must(err)
	e.recorded()
	principal := reflect.TypeFor[packhouse.Principal]()
	service := reflect.ValueOf(e.s)
	tested := 0
	for i := range service.NumMethod() {
		method := service.Type().Method(i)
		args, takesPrincipal, inDomain := []reflect.Value{service}, false, false
		for p := 1; p < method.Type.NumIn(); p++ {
			at := method.Type.In(p)
			args = append(args, argument(at, e.admin))
			takesPrincipal = takesPrincipal || at == principal
			inDomain = inDomain || at != principal && fillDomain(reflect.New(at).Elem())
		}
		// A webhook is its account's, whatever domain it listens to.
		if !takesPrincipal || !inDomain || method.Name == "PutDomainPolicy" || method.Name == "CreateWebhook" {
			continue
		}
		tested++
		results := method.Func.Call(args)
		if err, _ := results[len(results)-1].Interface().(error); packhouse.KindOf(err) != packhouse.KindDenied || packhouse.ReasonOf(err) != reasonDenied {
			t.Errorf("%s: error %v, want Denied by the domain's policy", method.Name, err)
		}
	}
	if tested < 30 {
		t.Errorf("only %d methods are about a domain: the search for them is wrong", tested)
	}
	if c := e.recorded(); len(c) > 0 {
		t.Errorf("denied calls recorded changes: %v", c)
	}
}

// Callers of another account get Denied whether or not the thing exists, in the same
// words (S16).
func TestStrangersCannotTellWhatExists(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	r := e.repo(d, "team")
	e.publish(in(r, "lib"), "1.0.0", "bytes")
	_, errThere := e.s.Version(e.ctx, e.stranger, in(r, "lib").At("1.0.0"))
	e.wantError(errThere, packhouse.KindDenied, "")
	for sentence, v := range map[string]packhouse.VersionRef{
		"absent version":    in(r, "lib").At("9.9.9"),
		"absent package":    in(r, "bil").At("1.0.0"),
		"absent repository": in(packhouse.RepoRef{Domain: d, Name: "maet"}, "lib").At("1.0.0"),
		"absent domain":     in(packhouse.RepoRef{Domain: packhouse.DomainRef{Owner: ours, Name: "niam"}, Name: "team"}, "lib").At("1.0.0"),
	} {
		_, err := e.s.Version(e.ctx, e.stranger, v)
		e.wantError(err, packhouse.KindDenied, packhouse.ReasonOf(errThere))
		if len(err.Error()) != len(errThere.Error()) {
			t.Errorf("%s: %q differs from %q in more than names", sentence, err, errThere)
		}
	}
}

func TestDeniedNamesWhoWhatAndWhere(t *testing.T) {
	e := newEnv(t)
	_, err := e.s.Domain(e.ctx, e.nobody, packhouse.DomainRef{Owner: ours, Name: "main"})
	want := "user nobody may not perform codeartifact:DescribeDomain on arn:aws:codeartifact:us-west-2:111122223333:domain/main: no statement allows it"
	if err == nil || err.Error() != want {
		t.Errorf("message %v, want %s", err, want)
	}
}
