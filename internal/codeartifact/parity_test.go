package codeartifact

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
)

// TestEveryOperationHasARow: the table has the SDK's operations, each once.
func TestEveryOperationHasARow(t *testing.T) {
	var want []string
	for m := range reflect.TypeFor[*sdk.Client]().Methods() {
		if m.Name != "Options" {
			want = append(want, m.Name)
		}
	}
	var got []string
	for _, o := range operations() {
		got = append(got, o.name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("table:\n%v\nwant the SDK's:\n%v", got, want)
	}
	list, _ := readModel(t)
	for _, o := range list {
		if !slices.Contains(want, o.name) {
			t.Errorf("the model has %s, the SDK has not", o.name)
		}
	}
}

// TestInputsAreTheSDKs lets the real client write a request with every member set and
// reads it with our decoder: each member must arrive under its own name, and the
// client must require exactly what we require.
func TestInputsAreTheSDKs(t *testing.T) {
	shapes := newShapes(sdkFormats())
	for _, o := range operations() {
		t.Run(o.name, func(t *testing.T) {
			row := newRow(o, shapes)
			in := newSDKInput(t, o.name)
			fillInput(in.Elem(), "")
			r, body := capture(t, o.name, in)
			if r.Method != o.method || r.URL.Path != o.path {
				t.Fatalf("the client calls %s %s, the row is %s %s", r.Method, r.URL.Path, o.method, o.path)
			}
			got := reflect.New(o.input)
			if _, err := row.plan().decode(r, body, got.Elem()); err != nil {
				t.Fatalf("decode what the client sent: %v", err)
			}
			var ours, theirs []string
			for _, f := range reflect.VisibleFields(o.input) {
				if !f.Anonymous {
					ours = append(ours, f.Name)
				}
			}
			for _, f := range reflect.VisibleFields(in.Elem().Type()) {
				if !f.IsExported() {
					continue
				}
				theirs = append(theirs, f.Name)
				field := got.Elem().FieldByName(f.Name)
				if !field.IsValid() {
					continue // told below
				}
				if g, w := plain(field), plain(in.Elem().FieldByIndex(f.Index)); !reflect.DeepEqual(g, w) {
					t.Errorf("%s arrived as %v, want %v", f.Name, g, w)
				}
			}
			slices.Sort(ours)
			slices.Sort(theirs)
			if !slices.Equal(ours, theirs) {
				t.Errorf("members %v, want %v", ours, theirs)
			}
			checkRequired(t, o.name, row.plan())
		})
	}
}

// checkRequired leaves out one member after the other and sees whether the client
// minds.
func checkRequired(t *testing.T, name string, p *plan) {
	t.Helper()
	all := slices.Concat(p.query, p.headers, p.body.members)
	for _, m := range all {
		field := strings.ToUpper(m.name[:1]) + m.name[1:]
		in := newSDKInput(t, name)
		fillInput(in.Elem(), "")
		in.Elem().FieldByName(field).SetZero()
		_, _, err := callSDK(t, name, in)
		minds := err != nil && strings.Contains(err.Error(), "missing required field, ")
		if minds != m.required {
			t.Errorf("%s: required %t, the client says %t (%v)", m.name, m.required, minds, err)
		}
	}
}

func newSDKInput(t *testing.T, name string) reflect.Value {
	t.Helper()
	m, ok := reflect.TypeFor[*sdk.Client]().MethodByName(name)
	if !ok {
		t.Fatalf("the SDK has no %s", name)
	}
	return reflect.New(m.Type.In(2).Elem())
}

// fillInput sets every field of an SDK structure to a value that no other field has,
// as far as its shape allows.
func fillInput(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillInput(v.Elem(), name)
	case reflect.Struct:
		for f := range v.Type().Fields() {
			if f.IsExported() && f.Name != "ResultMetadata" {
				fillInput(v.FieldByIndex(f.Index), f.Name)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillInput(v.Index(0), name)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillInput(key, name+"key")
		fillInput(value, name+"value")
		v.SetMapIndex(key, value)
	case reflect.Interface:
		v.Set(reflect.ValueOf(strings.NewReader("")))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(900 + len(name)))
	case reflect.String:
		switch {
		case v.MethodByName("Values").IsValid():
			v.SetString(v.MethodByName("Values").Call(nil)[0].Index(0).String())
		case strings.HasSuffix(name, "Owner"), strings.HasSuffix(name, "Account"):
			v.SetString(testAccount)
		case name == "Restrictionskey": // the SDK has plain text here
			v.SetString(string(types.PackageGroupOriginRestrictionTypePublish))
		case name == "AssetSHA256":
			v.SetString(hexSHA256(""))
		default:
			v.SetString(strings.ToLower(name))
		}
	default:
		panic(fmt.Sprint("cannot fill ", v.Type()))
	}
}

// plain makes values of ours and of the SDK comparable: without pointers and type
// names.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		return plain(v.Elem())
	case reflect.Struct:
		m := make(map[string]any)
		for f := range v.Type().Fields() {
			if f.IsExported() {
				m[f.Name] = plain(v.FieldByIndex(f.Index))
			}
		}
		return m
	case reflect.Slice:
		var s []any
		for i := range v.Len() {
			s = append(s, plain(v.Index(i)))
		}
		return s
	case reflect.Map:
		m := make(map[string]any)
		for k, e := range v.Seq2() {
			m[k.String()] = plain(e)
		}
		return m
	case reflect.Interface:
		b, err := io.ReadAll(v.Interface().(io.Reader))
		return fmt.Sprint(string(b), err)
	case reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return v.Bool()
	}
	panic(fmt.Sprint("cannot compare ", v.Type()))
}

// transport answers every request with status 200 and a body, and keeps the request.
type transport struct {
	answer string
	r      *http.Request
	body   []byte
}

func (c *transport) Do(r *http.Request) (*http.Response, error) {
	c.r = r
	if r.Body != nil {
		var err error
		if c.body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(c.answer))}, nil
}

// capture returns what the SDK's client sends for an input.
func capture(t *testing.T, name string, in reflect.Value) (*http.Request, []byte) {
	t.Helper()
	sent, _, err := callSDK(t, name, in)
	if err != nil {
		t.Fatal(err)
	}
	// What travels is what a server reads: URL and body as bytes.
	r := httptest.NewRequest(sent.r.Method, sent.r.URL.String(), bytes.NewReader(sent.body))
	r.Header = sent.r.Header
	return r, sent.body
}

// callSDK calls an operation of the SDK's client by name.
func callSDK(t *testing.T, name string, in reflect.Value) (*transport, reflect.Value, error) {
	t.Helper()
	c := &transport{answer: "{}"}
	client := (&door{url: "http://127.0.0.1:1"}).client(func(o *sdk.Options) { o.HTTPClient = c })
	out, err := invoke(t.Context(), client, name, in)
	return c, out, err
}

func invoke(ctx context.Context, client *sdk.Client, name string, in reflect.Value) (reflect.Value, error) {
	res := reflect.ValueOf(client).MethodByName(name).Call([]reflect.Value{reflect.ValueOf(ctx), in})
	err, _ := res[1].Interface().(error)
	return res[0], err
}

// TestOutputsAreTheSDKs fills every member of every output, encodes it, and lets the
// real client decode it: no member may be lost on the way, on either side.
func TestOutputsAreTheSDKs(t *testing.T) {
	for _, o := range operations() {
		if o.name == "GetPackageVersionAsset" {
			continue // bytes and headers; TestEveryOperation looks at them
		}
		t.Run(o.name, func(t *testing.T) {
			out := reflect.New(o.output)
			fillOutput(out.Elem())
			w := httptest.NewRecorder()
			if err := respond(w, httptest.NewRequest("GET", "/", nil), out.Interface()); err != nil {
				t.Fatal(err)
			}
			in := newSDKInput(t, o.name)
			fillInput(in.Elem(), "")
			client := (&door{url: "http://127.0.0.1:1"}).client(func(so *sdk.Options) {
				so.HTTPClient = &transport{answer: w.Body.String()}
			})
			got, err := invoke(t.Context(), client, o.name, in)
			if err != nil {
				t.Fatalf("decode %s: %v", w.Body, err)
			}
			checkFilled(t, o.name, got.Elem())
			checkSameMembers(t, o.name, out.Elem().Type(), got.Elem().Type())
		})
	}
}

// fillOutput sets every field to something that is not zero.
func fillOutput(v reflect.Value) {
	switch v.Type() {
	case reflect.TypeFor[timestamp]():
		v.Set(reflect.ValueOf(timestamp(sampleTime)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for f := range v.Type().Fields() {
			fillOutput(v.FieldByIndex(f.Index))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillOutput(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillOutput(key)
		fillOutput(value)
		v.SetMapIndex(key, value)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.String:
		v.SetString("text")
	default:
		panic(fmt.Sprint("cannot fill ", v.Type()))
	}
}

// checkFilled fails for every member of a decoded output that is absent.
func checkFilled(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	if v.IsZero() {
		t.Errorf("%s is not in the answer", path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.Elem().Kind() == reflect.Struct && v.Elem().NumField() > 0 {
			checkFilled(t, path, v.Elem())
		}
	case reflect.Struct:
		for f := range v.Type().Fields() {
			if f.IsExported() && f.Name != "ResultMetadata" {
				checkFilled(t, path+"."+f.Name, v.FieldByIndex(f.Index))
			}
		}
	case reflect.Slice:
		if v.Len() == 0 {
			t.Errorf("%s is empty", path)
			return
		}
		checkFilled(t, path+"[]", v.Index(0))
	}
}

// checkSameMembers fails for every member of ours that the SDK's type has not.
func checkSameMembers(t *testing.T, path string, ours, theirs reflect.Type) {
	t.Helper()
	for theirs.Kind() == reflect.Pointer || theirs.Kind() == reflect.Slice || theirs.Kind() == reflect.Map {
		theirs = theirs.Elem()
	}
	for ours.Kind() == reflect.Slice || ours.Kind() == reflect.Map {
		ours = ours.Elem()
	}
	if ours.Kind() != reflect.Struct || ours == reflect.TypeFor[timestamp]() {
		return
	}
	for _, f := range reflect.VisibleFields(ours) {
		if f.Anonymous {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		their, ok := theirs.FieldByName(strings.ToUpper(name[:1]) + name[1:])
		if !ok {
			t.Errorf("%s.%s: the SDK has no such member", path, name)
			continue
		}
		checkSameMembers(t, path+"."+name, f.Type, their.Type)
	}
}

// TestEnumsAreTheSDKs compares the values that we accept.
func TestEnumsAreTheSDKs(t *testing.T) {
	shapes := newShapes(sdkFormats())
	for name, want := range map[string]any{
		"AllowPublish":                      types.AllowPublish("").Values(),
		"AllowUpstream":                     types.AllowUpstream("").Values(),
		"EndpointType":                      types.EndpointType("").Values(),
		"PackageFormat":                     types.PackageFormat("").Values(),
		"PackageGroupOriginRestrictionMode": types.PackageGroupOriginRestrictionMode("").Values(),
		"PackageGroupOriginRestrictionType": types.PackageGroupOriginRestrictionType("").Values(),
		"PackageVersionOriginType":          types.PackageVersionOriginType("").Values(),
		"PackageVersionSortType":            types.PackageVersionSortType("").Values(),
		"PackageVersionStatus":              types.PackageVersionStatus("").Values(),
	} {
		if got := fmt.Sprint(shapes[name].enum); got != fmt.Sprint(want) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	for name, s := range shapes {
		if s.enum != nil && !slices.Contains([]string{"AllowPublish", "AllowUpstream", "EndpointType", "PackageFormat",
			"PackageGroupOriginRestrictionMode", "PackageGroupOriginRestrictionType",
			"PackageVersionOriginType", "PackageVersionSortType", "PackageVersionStatus"}, name) {
			t.Errorf("%s is compared with nothing", name)
		}
	}
	// The types that the errors may name.
	if got, want := len(resourceTypes), len(types.ResourceType("").Values()); got != want {
		t.Errorf("%d resource types, want %d", got, want)
	}
	for _, r := range types.ResourceType("").Values() {
		if !resourceTypes[string(r)] {
			t.Errorf("resource type %s is missing", r)
		}
	}
}
