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
	e.recorded()
	// One question beforehand, so that reading the policies is not counted below.
	_, err := e.s.Domain(e.ctx, e.nobody, packhouse.DomainRef{Owner: ours, Name: "absent"})
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
	fillOwner(v)
	return v
}

// fillOwner names our own account as the owner of every domain in v, so that what is
// denied is not denied for being somebody else's.
func fillOwner(v reflect.Value) {
	if v.Kind() != reflect.Struct {
		return
	}
	if v.Type() == reflect.TypeFor[packhouse.DomainRef]() {
		v.Set(reflect.ValueOf(packhouse.DomainRef{Owner: ours, Name: "absent"}))
		return
	}
	for i := range v.NumField() {
		if v.Field(i).CanSet() {
			fillOwner(v.Field(i))
		}
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
