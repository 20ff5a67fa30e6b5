package codeartifact

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
)

// seedTools are the names of the tools in the seed's catalogue, without the two that add
// sources to the catalogue itself (seed 001).
var seedTools = []string{
	"authorizationTokenDomain.getAuthorizationToken",
	"domain.deleteDomainPermissionsPolicy",
	"domain.getDomainPermissionsPolicy",
	"domain.listRepositoriesInDomain",
	"domain.putDomainPermissionsPolicy",
	"domainDomain.createDomain",
	"domainDomain.deleteDomain",
	"domainDomain.describeDomain",
	"domains.listDomains",
	"package.copyPackageVersions",
	"package.deletePackageVersions",
	"package.describePackageVersion",
	"package.disposePackageVersions",
	"package.getPackageVersionAsset",
	"package.getPackageVersionReadme",
	"package.listPackageVersionAssets",
	"package.listPackageVersionDependencies",
	"package.listPackageVersions",
	"package.publishPackageVersion",
	"package.updatePackageVersionsStatus",
	"packageDomainRepositoryFormatPackage.deletePackage",
	"packageDomainRepositoryFormatPackage.describePackage",
	"packageDomainRepositoryFormatPackage.putPackageOriginConfiguration",
	"packagesDomainRepository.listPackages",
	"repositories.listRepositories",
	"repository.associateExternalConnection",
	"repository.deleteRepositoryPermissionsPolicy",
	"repository.disassociateExternalConnection",
	"repository.getRepositoryEndpoint",
	"repository.getRepositoryPermissionsPolicy",
	"repository.putRepositoryPermissionsPolicy",
	"repositoryDomainRepository.createRepository",
	"repositoryDomainRepository.deleteRepository",
	"repositoryDomainRepository.describeRepository",
	"repositoryDomainRepository.updateRepository",
	"tagResourceArn.tagResource",
	"tagsResourceArn.listTagsForResource",
	"untagResourceArn.untagResource",
}

// TestToolsAreNamedAsInTheSeed: every tool has the catalogue's name, and the operations
// that the catalogue lacks are all about package groups.
func TestToolsAreNamedAsInTheSeed(t *testing.T) {
	var got, want []string
	for _, tool := range Tools(testFormats()) {
		got = append(got, tool.Name)
	}
	list, _ := readModel(t)
	for _, o := range list {
		if findRow(o.name) == nil {
			continue
		}
		suffix := "." + strings.ToLower(o.name[:1]) + o.name[1:]
		i := slices.IndexFunc(seedTools, func(name string) bool { return strings.HasSuffix(name, suffix) })
		if i < 0 {
			want = append(want, "packageGroup"+suffix)
		} else {
			want = append(want, seedTools[i])
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("tools:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestToolsSayWhatTheyChange: what is not marked leaves nothing behind and hands out
// nothing that could.
func TestToolsSayWhatTheyChange(t *testing.T) {
	for _, tool := range Tools(testFormats()) {
		reads := strings.HasPrefix(tool.Operation, "Describe") || strings.HasPrefix(tool.Operation, "List") || strings.HasPrefix(tool.Operation, "Get")
		if tool.Operation == "GetAuthorizationToken" {
			reads = false // what it answers with can publish
		}
		if tool.Changes == reads {
			t.Errorf("%s: changes %t", tool.Operation, tool.Changes)
		}
		if tool.Destroys && !tool.Changes {
			t.Errorf("%s destroys and changes nothing", tool.Operation)
		}
	}
}

// TestToolsReachTheirOperations fills the arguments of every tool by the names of the
// model and decodes the call as the door does: each member must arrive.
func TestToolsReachTheirOperations(t *testing.T) {
	for _, tool := range Tools(testFormats()) {
		t.Run(tool.Operation, func(t *testing.T) {
			var schema struct {
				Properties map[string]any
				Required   []string
			}
			if err := json.Unmarshal(tool.Arguments, &schema); err != nil {
				t.Fatal(err)
			}
			slices.Sort(schema.Required)
			if want := requiredMembers(t, tool.Operation); !slices.Equal(schema.Required, want) {
				t.Errorf("required %v, want %v", schema.Required, want)
			}
			in := newSDKInput(t, tool.Operation)
			fillInput(in.Elem(), "")
			arguments := object{}
			for f := range in.Elem().Type().Fields() {
				if !f.IsExported() {
					continue
				}
				name := strings.ToLower(f.Name[:1]) + f.Name[1:]
				if _, ok := schema.Properties[name]; !ok {
					t.Errorf("no argument %s", name)
				}
				arguments[name] = argument(in.Elem().FieldByIndex(f.Index))
			}
			text, err := json.Marshal(arguments)
			if err != nil {
				t.Fatal(err)
			}
			call, err := tool.Request(text)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(call.Method, call.Path+"?"+call.Query.Encode(), bytes.NewReader(call.Body))
			r.Header = call.Header
			got := reflect.New(tool.row.input)
			if _, err := tool.row.plan().decode(r, call.Body, got.Elem()); err != nil {
				t.Fatalf("decode: %v", err)
			}
			for name := range schema.Properties {
				field := strings.ToUpper(name[:1]) + name[1:]
				if g, w := plain(got.Elem().FieldByName(field)), plain(in.Elem().FieldByName(field)); !reflect.DeepEqual(g, w) {
					t.Errorf("%s arrived as %v, want %v", name, g, w)
				}
			}
		})
	}
}

// requiredMembers are those of the model, without the hash that a tool works out.
func requiredMembers(t *testing.T, operation string) []string {
	t.Helper()
	var required []string
	list, _ := readModel(t)
	for _, o := range list {
		for _, m := range o.members {
			if o.name == operation && m.required && m.name != hashOfStream {
				required = append(required, m.name)
			}
		}
	}
	slices.Sort(required)
	return required
}

// argument writes a member of the SDK's as an assistant would.
func argument(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		return argument(v.Elem())
	case reflect.Interface:
		return "" // the samples' content is empty, in base64 as well
	case reflect.Struct:
		m := object{}
		for f := range v.Type().Fields() {
			if f.IsExported() {
				m[strings.ToLower(f.Name[:1])+f.Name[1:]] = argument(v.FieldByIndex(f.Index))
			}
		}
		return m
	case reflect.Slice:
		var s []any
		for i := range v.Len() {
			s = append(s, argument(v.Index(i)))
		}
		return s
	case reflect.Map:
		m := object{}
		for k, e := range v.Seq2() {
			m[k.String()] = argument(e)
		}
		return m
	}
	return v.Interface()
}

func TestToolArgumentsAreChecked(t *testing.T) {
	tools := map[string]Tool{}
	for _, tool := range Tools(testFormats()) {
		tools[tool.Operation] = tool
	}
	for _, tt := range []struct{ name, operation, arguments, want string }{
		{"no object", "DescribeDomain", `["acme"]`, "not a JSON object"},
		{"a name that is no member", "DescribeDomain", `{"domain":"acme","colour":"red"}`, "no member 'colour'"},
		{"the name of the query", "DescribeDomain", `{"domain-owner":"111122223333"}`, "no member 'domain-owner'"},
		{"an object in the query", "DescribeDomain", `{"domain":{"name":"acme"}}`, "cannot be of type map"},
		{"content that is no base64", "PublishPackageVersion", `{"assetContent":"*"}`, "not base64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tools[tt.operation].Request(json.RawMessage(tt.arguments))
			if packhouse.KindOf(err) != packhouse.KindInvalid || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an Invalid with %q", err, tt.want)
			}
		})
	}
	call, err := tools["PublishPackageVersion"].Request(json.RawMessage(`{"assetContent":"aGVsbG8="}`))
	if err != nil || string(call.Body) != "hello" || call.Header.Get("X-Amz-Content-Sha256") != hexSHA256("hello") {
		t.Errorf("content: %q %v %v, want hello with its hash", call.Body, call.Header, err)
	}
}

// TestServeAsDecidesLikeServeHTTP: the second way in has the same checks and the same
// errors, and only its caller comes from elsewhere.
func TestServeAsDecidesLikeServeHTTP(t *testing.T) {
	d := newDoor(t)
	who := packhouse.Principal{ID: 9, Account: testAccount, Kind: packhouse.KindUser, Name: "tool", ARN: "arn:aws:iam::111122223333:user/tool"}
	ask := func(method, target, body string, c Caller) *http.Response {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		w := httptest.NewRecorder()
		d.ServeAs(w, r, c, []byte(body))
		return w.Result()
	}
	if res := ask("GET", "/v1/domain?domain=test-domain", "", Caller{Principal: who}); res.StatusCode != 200 {
		t.Fatalf("describe: %d", res.StatusCode)
	}
	name, given := d.service.last()
	if name != "Domain" || given[0].(packhouse.Principal).Name != "tool" {
		t.Errorf("called %s as %v, want Domain as tool", name, given)
	}
	res := ask("GET", "/v1/domain?domain=A", "", Caller{Principal: who})
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode != 400 || !strings.Contains(string(text), "FIELD_VALIDATION_FAILED") {
		t.Errorf("broken constraint: %d %s", res.StatusCode, text)
	}
	if res := ask("GET", "/v1/nothing", "", Caller{Principal: who}); res.StatusCode != 400 {
		t.Errorf("unknown operation: %d", res.StatusCode)
	}
	signed := Caller{Principal: who, Signature: [32]byte{1}}
	if res := ask("POST", "/v1/domain?domain=test-domain", "", signed); res.StatusCode != 200 {
		t.Errorf("first change: %d", res.StatusCode)
	}
	if res := ask("POST", "/v1/domain?domain=test-domain", "", signed); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a second change with one signature: %d, want 429 (S7)", res.StatusCode)
	}
	for range 2 {
		if res := ask("POST", "/v1/domain?domain=test-domain", "", Caller{Principal: who}); res.StatusCode != 200 {
			t.Errorf("a change with a token: %d", res.StatusCode)
		}
	}
}
