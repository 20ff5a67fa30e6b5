package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/ops"
	"github.com/packhouse/packhouse/internal/server"
)

func newPolicy() *cobra.Command {
	return group("policy", "Policies of domains and repositories, and what they decide",
		newPolicyGet(), newPolicyPut(), newPolicyDelete(), newPolicyList(), newPolicyCheck(), newPolicyExplain())
}

// Where the API keeps policies; a repository's is deleted at a path of its own.
const (
	domainPolicyPath           = "/v1/domain/permissions/policy"
	repositoryPolicyPath       = "/v1/repository/permissions/policy"
	repositoryPolicyDeletePath = "/v1/repository/permissions/policies"
)

// place is DOMAIN or DOMAIN/REPOSITORY on the command line.
type place struct{ domain, repository string }

func readPlace(text string) (place, error) {
	domain, repository, both := strings.Cut(text, "/")
	if domain == "" || both && (repository == "" || strings.Contains(repository, "/")) {
		return place{}, usageError{fmt.Errorf("%q is neither DOMAIN nor DOMAIN/REPOSITORY", text)}
	}
	return place{domain, repository}, nil
}

// path returns where the place's policy is, and the query that names it.
func (p place) path(method, owner string) (string, url.Values) {
	query := url.Values{"domain": {p.domain}}
	if owner != "" {
		query.Set("domain-owner", owner)
	}
	if p.repository == "" {
		return domainPolicyPath, query
	}
	query.Set("repository", p.repository)
	if method == http.MethodDelete {
		return repositoryPolicyDeletePath, query
	}
	return repositoryPolicyPath, query
}

// policyAnswer is the answer of every operation about policies.
type policyAnswer struct {
	Policy struct {
		Resource string `json:"resourceArn"`
		Revision string `json:"revision"`
		Document string `json:"document"`
	} `json:"policy"`
}

// policyCommand makes a command that asks the server about the policy of a place.
func policyCommand(use, short, example string, args cobra.PositionalArgs, run func(cmd *cobra.Command, args []string, at place, owner, revision string) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Example: example, Args: args}
	owner := cmd.Flags().String("domain-owner", "", "the domain's account, if it is not yours")
	revision := new(string)
	if !strings.HasPrefix(use, "get") {
		revision = cmd.Flags().String("revision", "", "only if the policy still has this revision")
	}
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		at, err := readPlace(args[0])
		if err != nil {
			return err
		}
		return run(cmd, args, at, *owner, *revision)
	}
	return cmd
}

func newPolicyGet() *cobra.Command {
	return policyCommand("get DOMAIN[/REPOSITORY]", "Print the policy of a domain or a repository", "  packhouse policy get acme/team", one("DOMAIN[/REPOSITORY]"),
		func(cmd *cobra.Command, _ []string, at place, owner, _ string) error {
			c, err := newClient(cmd)
			if err != nil {
				return err
			}
			path, query := at.path(http.MethodGet, owner)
			var out policyAnswer
			if err := c.Call(cmd.Context(), http.MethodGet, path, query, nil, &out); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "revision %s\n", out.Policy.Revision)
			_, err = fmt.Fprintln(cmd.OutOrStdout(), out.Policy.Document)
			return err
		})
}

func newPolicyPut() *cobra.Command {
	return policyCommand("put DOMAIN[/REPOSITORY] FILE", "Replace the policy of a domain or a repository", "  packhouse policy put acme/team readers.json", cobra.ExactArgs(2),
		func(cmd *cobra.Command, args []string, at place, owner, revision string) error {
			text, err := readDocument(cmd, args[1])
			if err != nil {
				return err
			}
			if _, err := authz.ParseResource(args[0], text); err != nil {
				return err
			}
			c, err := newClient(cmd)
			if err != nil {
				return err
			}
			path, query := at.path(http.MethodPut, owner)
			in := map[string]string{"policyDocument": string(text)}
			if revision != "" {
				in["policyRevision"] = revision
			}
			if at.repository == "" { // this one operation has its domain in the body
				query, in["domain"] = nil, at.domain
				if owner != "" {
					in["domainOwner"] = owner
				}
			}
			var out policyAnswer
			if err := c.Call(cmd.Context(), http.MethodPut, path, query, in, &out); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), out.Policy.Revision)
			return err
		})
}

func newPolicyDelete() *cobra.Command {
	return policyCommand("delete DOMAIN[/REPOSITORY]", "Delete the policy of a domain or a repository, and print it", "  packhouse policy delete acme/team", one("DOMAIN[/REPOSITORY]"),
		func(cmd *cobra.Command, _ []string, at place, owner, revision string) error {
			c, err := newClient(cmd)
			if err != nil {
				return err
			}
			path, query := at.path(http.MethodDelete, owner)
			if revision != "" {
				query.Set("policy-revision", revision)
			}
			var out policyAnswer
			if err := c.Call(cmd.Context(), http.MethodDelete, path, query, nil, &out); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), out.Policy.Document)
			return err
		})
}

func newPolicyList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the domains and repositories that have a policy", Args: cobra.NoArgs}
	form := outputFlag(cmd)
	settingFlags(cmd, "data-dir")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		s, err := openStore(cmd.Context(), cmd)
		if err != nil {
			return err
		}
		defer closing(s, &err)
		type holder struct {
			Domain     string `json:"domain"`
			Repository string `json:"repository,omitempty"`
			Revision   string `json:"revision"`
		}
		holders, rows := []holder{}, [][]string(nil)
		err = s.Catalog.View(cmd.Context(), func(tx *catalog.Tx) error {
			list, err := tx.PolicyHolders(cmd.Context(), s.Account)
			holders, rows = holders[:0], nil
			for _, h := range list {
				holders = append(holders, holder{h.Domain.Name, h.Repo, h.Revision})
				rows = append(rows, []string{h.Domain.Name, h.Repo, h.Revision})
			}
			return err
		})
		if err != nil {
			return err
		}
		return list(cmd.OutOrStdout(), *form, holders, []string{"DOMAIN", "REPOSITORY", "REVISION"}, rows)
	}
	return cmd
}

func newPolicyCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Say what is wrong with a policy document",
		Long:  "Say what is wrong with a policy document, or nothing. FILE may be - for standard input.",
		Args:  one("FILE"),
	}
	kind := cmd.Flags().String("kind", "resource", "resource (of a domain or a repository), identity (of a user, group or role) or trust (of a role)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		text, err := readDocument(cmd, args[0])
		if err != nil {
			return err
		}
		switch *kind {
		case "resource":
			_, err = authz.ParseResource(args[0], text)
		case "identity":
			_, err = authz.ParseIdentity(args[0], text)
		case "trust":
			_, err = authz.ParseTrust(text)
		default:
			err = usageError{fmt.Errorf("--kind: %q is not allowed; allowed: resource, identity or trust", *kind)}
		}
		return err
	}
	return cmd
}

// readDocument reads a policy document, bounded, from a file or standard input.
func readDocument(cmd *cobra.Command, name string) ([]byte, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // only read
		in = f
	}
	const most = 4 * authz.MaxIdentityPolicy // no kind of document may be larger
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && len(text) > most {
		err = packhouse.Invalidf("invalid_policy", "%s is larger than any policy document may be", name)
	}
	return text, err
}

func newPolicyExplain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Say whether somebody may do something, and which statement decides",
		Long: "Say whether somebody may do something, and which statement decides. The exit code is 0 where it is allowed and 4 where\n" +
			"it is not. A resource is an ARN, *, DOMAIN, DOMAIN/REPOSITORY or DOMAIN/REPOSITORY/FORMAT/[NAMESPACE/]NAME.",
		Example: "  packhouse policy explain --principal ci --action ReadFromRepository --resource acme/team",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	principal := f.String("principal", "", "name of a user, or the ARN of a user or a role")
	action := f.String("action", "", "an action such as PublishPackageVersion; codeartifact: may be left out")
	at := f.String("resource", "*", "what it is done to")
	conditions := f.StringToString("context", nil, "condition keys of the request, such as aws:SourceIp=10.1.2.3; may be repeated")
	form := f.StringP("output", "o", "text", "text or json")
	_ = cmd.MarkFlagRequired("principal")
	_ = cmd.MarkFlagRequired("action")
	settingFlags(cmd, "data-dir", "region")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		s, err := openStore(cmd.Context(), cmd)
		if err != nil {
			return err
		}
		defer closing(s, &err)
		who, err := findPrincipal(cmd, s, *principal)
		if err != nil {
			return err
		}
		known, err := identity.New(cmd.Context(), identity.Options{Catalog: s.Catalog, TokenKey: s.TokenKey})
		if err != nil {
			return err
		}
		if !strings.Contains(*action, ":") {
			*action = "codeartifact:" + *action
		}
		d, err := ops.NewExplainer(s.Catalog, known, c.Region).Explain(cmd.Context(), who, packhouse.Action(*action),
			resourceARN(c.Region, s.Account, *at), maps.Clone(*conditions))
		if err != nil {
			return err
		}
		return showDecision(cmd, *form, d)
	}
	return cmd
}

// showDecision prints a decision; errTold makes the exit code of a refusal.
func showDecision(cmd *cobra.Command, form string, d authz.Decision) (err error) {
	word := "denied"
	if d.Allowed {
		word = "allowed"
	}
	switch form {
	case "text":
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", word, d.Why)
	case "json":
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"decision": word, "explicit": d.Explicit, "byResourcePolicy": d.ByResource, "reason": d.Why})
	default:
		return usageError{fmt.Errorf("--output: %q is not allowed; allowed: text or json", form)}
	}
	if err == nil && !d.Allowed {
		err = errors.Join(errTold, packhouse.Deniedf("explained", "%s", d.Why))
	}
	return err
}

// resourceARN spells the ARN of what a command line names; an ARN stays as it is.
func resourceARN(region string, account packhouse.AccountID, text string) string {
	if text == "*" || strings.HasPrefix(text, "arn:") {
		return text
	}
	parts := strings.SplitN(text, "/", 4)
	d := packhouse.DomainRef{Owner: account, Name: parts[0]}
	if len(parts) == 1 {
		return packhouse.DomainARN(region, d)
	}
	r := packhouse.RepoRef{Domain: d, Name: parts[1]}
	if len(parts) < 4 {
		return packhouse.RepositoryARN(region, r)
	}
	namespace, name, ok := strings.Cut(parts[3], "/")
	if !ok {
		namespace, name = "", namespace
	}
	return packhouse.PackageARN(region, packhouse.PackageRef{Repo: r,
		Package: packhouse.PackageName{Format: packhouse.FormatID(parts[2]), Namespace: strings.TrimPrefix(namespace, "@"), Name: name}})
}

// findPrincipal looks up a user of the first account by name, or a user or role by ARN.
func findPrincipal(cmd *cobra.Command, s *server.Store, text string) (who packhouse.Principal, err error) {
	account, kind, name := s.Account, packhouse.KindUser, text
	if rest, ok := strings.CutPrefix(text, "arn:"+packhouse.Partition+":iam::"); ok {
		owner, path, _ := strings.Cut(rest, ":")
		sort, place, _ := strings.Cut(path, "/")
		account, kind, name = packhouse.AccountID(owner), packhouse.PrincipalKind(sort), place[strings.LastIndexByte(place, '/')+1:]
	}
	err = s.Catalog.View(cmd.Context(), func(tx *catalog.Tx) error {
		row, err := tx.PrincipalByName(cmd.Context(), account, kind, name)
		if errors.Is(err, catalog.ErrNotFound) || err == nil && text != name && text != row.ARN {
			return packhouse.NotFoundf("principal", text, "there is no user or role %q", text)
		}
		who = packhouse.Principal{ID: row.ID, Account: row.Account, Kind: row.Kind, Name: row.Name, ARN: row.ARN}
		if row.Kind == packhouse.KindRole {
			who.RoleARN = row.ARN
		}
		return err
	})
	return who, err
}
