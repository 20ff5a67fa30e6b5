package codeartifact

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/ops"
)

type webhookService interface {
	CreateWebhook(ctx context.Context, who packhouse.Principal, in ops.CreateWebhook) (packhouse.Webhook, string, error)
	Webhooks(ctx context.Context, who packhouse.Principal) ([]packhouse.Webhook, error)
	Webhook(ctx context.Context, who packhouse.Principal, name string) (packhouse.Webhook, error)
	EnableWebhook(ctx context.Context, who packhouse.Principal, name string, enabled bool) (packhouse.Webhook, error)
	DeleteWebhook(ctx context.Context, who packhouse.Principal, name string) error
	TestWebhook(ctx context.Context, who packhouse.Principal, name string) (ops.Attempt, error)
	Deliveries(ctx context.Context, who packhouse.Principal, name string, state packhouse.DeliveryState, before int64, limit int) (list []packhouse.Delivery, next int64, err error)
	Redeliver(ctx context.Context, who packhouse.Principal, name string, id int64) (int64, error)
}

// webhookJSON is a webhook on the wire.
type webhookJSON struct {
	Name       string     `json:"name"`
	URL        string     `json:"url"`
	Secret     string     `json:"secret,omitempty"` // only in what creates, and in its answer
	Domain     string     `json:"domain,omitempty"`
	Owner      string     `json:"domainOwner,omitempty"`
	Repository string     `json:"repository,omitempty"`
	Format     string     `json:"format,omitempty"`
	Types      []string   `json:"detailTypes,omitempty"`
	Enabled    *bool      `json:"enabled,omitempty"`
	Created    *time.Time `json:"createdTime,omitempty"`
}

func describeWebhook(h packhouse.Webhook) webhookJSON {
	return webhookJSON{Name: h.Name, URL: h.URL, Domain: h.Filter.Domain.Name, Owner: string(h.Filter.Domain.Owner),
		Repository: h.Filter.Repository, Format: string(h.Filter.Format), Types: h.Filter.DetailTypes, Enabled: &h.Enabled, Created: &h.Created}
}

// DeliveryJSON is a delivery of a webhook on the wire.
type DeliveryJSON struct {
	ID         int64      `json:"id"`
	Event      string     `json:"eventId"`
	Domain     string     `json:"domain"`
	Repository string     `json:"repository"`
	Package    string     `json:"package"`
	Version    string     `json:"packageVersion"`
	Kind       string     `json:"kind"`
	State      string     `json:"state"`
	Attempts   int        `json:"attempts"`
	Status     int        `json:"status,omitempty"`
	Error      string     `json:"error,omitempty"`
	Created    time.Time  `json:"createdTime"`
	Next       *time.Time `json:"nextAttempt,omitempty"`
	Ended      *time.Time `json:"endedTime,omitempty"`
}

func describeDelivery(d packhouse.Delivery) DeliveryJSON {
	out := DeliveryJSON{ID: d.ID, Event: d.Event, Domain: d.Package.Repo.Domain.Name, Repository: d.Package.Repo.Name, Package: d.Package.Package.String(),
		Version: d.Version, Kind: string(d.Kind), State: string(d.State), Attempts: d.Attempts, Status: d.Status, Error: d.Error, Created: d.Created}
	if !d.Next.IsZero() {
		out.Next = &d.Next
	}
	if !d.Ended.IsZero() {
		out.Ended = &d.Ended
	}
	return out
}

// webhooks answers below /events/webhooks:
//
//	GET    ""                    list
//	POST   ""                    create
//	GET    /{name}               describe
//	DELETE /{name}               delete
//	POST   /{name}/enable        and /disable
//	POST   /{name}/test          send a test event
//	GET    /{name}/deliveries    ?state=&before=&max-results=
//	POST   /{name}/redeliver     ?delivery= ; without one, all that were given up
func (e *Events) webhooks(w http.ResponseWriter, r *http.Request, c requester, path string) error {
	if path == "" {
		switch r.Method {
		case http.MethodGet:
			return e.listWebhooks(w, r, c)
		case http.MethodPost:
			return e.change(r, c, func() error { return e.createWebhook(w, r, c) })
		}
		return unknownAddress()
	}
	escaped, verb, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	name, err := pathName(escaped)
	if err != nil {
		return err
	}
	run, _, changes := e.webhookVerb(r.Method, verb)
	if run == nil {
		return unknownAddress()
	}
	if changes {
		return e.change(r, c, func() error { return run(w, r, c, name) })
	}
	return run(w, r, c, name)
}

type webhookHandler func(w http.ResponseWriter, r *http.Request, c requester, name string) error

// webhookVerb finds what a method and the word behind a webhook's name ask for.
func (e *Events) webhookVerb(method, verb string) (run webhookHandler, op string, changes bool) {
	switch method + " " + verb {
	case "GET ":
		return e.getWebhook, "GetWebhook", false
	case "DELETE ":
		return e.deleteWebhook, "DeleteWebhook", true
	case "POST enable", "POST disable":
		return e.enableWebhook(verb == "enable"), "UpdateWebhook", true
	case "POST test":
		return e.testWebhook, "TestWebhook", false // it changes nothing, and people try twice
	case "GET deliveries":
		return e.listDeliveries, "ListWebhookDeliveries", false
	case "POST redeliver":
		return e.redeliver, "RedeliverWebhook", true
	}
	return nil, "", false
}

// change runs something that a signature may ask for once (reliability.md S7).
func (e *Events) change(r *http.Request, c requester, run func() error) error {
	if c.hash == [32]byte{} {
		return run()
	}
	return e.API.once(r.Context(), c.hash, run)
}

func (e *Events) listWebhooks(w http.ResponseWriter, r *http.Request, c requester) error {
	list, err := e.Service.Webhooks(r.Context(), c.who)
	if err != nil {
		return err
	}
	out := struct {
		Webhooks []webhookJSON `json:"webhooks"`
	}{[]webhookJSON{}}
	for _, h := range list {
		out.Webhooks = append(out.Webhooks, describeWebhook(h))
	}
	return httpx.WriteJSON(w, http.StatusOK, out)
}

func (e *Events) createWebhook(w http.ResponseWriter, r *http.Request, c requester) error {
	var in webhookJSON
	dec := json.NewDecoder(bytes.NewReader(c.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return &packhouse.Error{Kind: packhouse.KindInvalid, Reason: reasonParse, Err: err,
			Message: "The body is not a JSON object with name, url and what else a webhook has."}
	}
	filter := packhouse.EventFilter{Repository: in.Repository, Format: packhouse.FormatID(in.Format), DetailTypes: in.Types}
	if in.Domain != "" {
		filter.Domain = packhouse.DomainRef{Owner: packhouse.AccountID(in.Owner), Name: in.Domain}
		if in.Owner == "" {
			filter.Domain.Owner = c.who.Account
		}
	}
	hook, secret, err := e.Service.CreateWebhook(r.Context(), c.who, ops.CreateWebhook{Name: in.Name, URL: in.URL, Secret: in.Secret,
		Filter: filter, Disabled: in.Enabled != nil && !*in.Enabled})
	if err != nil {
		return err
	}
	out := describeWebhook(hook)
	out.Secret = secret
	return httpx.WriteJSON(w, http.StatusOK, out)
}

func (e *Events) getWebhook(w http.ResponseWriter, r *http.Request, c requester, name string) error {
	hook, err := e.Service.Webhook(r.Context(), c.who, name)
	if err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, describeWebhook(hook))
}

func (e *Events) enableWebhook(enabled bool) webhookHandler {
	return func(w http.ResponseWriter, r *http.Request, c requester, name string) error {
		hook, err := e.Service.EnableWebhook(r.Context(), c.who, name, enabled)
		if err != nil {
			return err
		}
		return httpx.WriteJSON(w, http.StatusOK, describeWebhook(hook))
	}
}

func (e *Events) deleteWebhook(w http.ResponseWriter, r *http.Request, c requester, name string) error {
	if err := e.Service.DeleteWebhook(r.Context(), c.who, name); err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, struct{}{})
}

func (e *Events) testWebhook(w http.ResponseWriter, r *http.Request, c requester, name string) error {
	got, err := e.Service.TestWebhook(r.Context(), c.who, name)
	if err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, struct {
		Delivered bool   `json:"delivered"`
		Status    int    `json:"status,omitempty"`
		Error     string `json:"error,omitempty"`
	}{got.Delivered, got.Status, got.Error})
}

func (e *Events) listDeliveries(w http.ResponseWriter, r *http.Request, c requester, name string) error {
	q := r.URL.Query()
	before, err := number(q.Get("before"), "before")
	if err != nil {
		return err
	}
	limit, err := number(q.Get("max-results"), "max-results")
	if err != nil || limit > 1000 {
		return invalidMember("max-results is a number from 1 to 1000")
	}
	if limit == 0 {
		limit = 100
	}
	list, next, err := e.Service.Deliveries(r.Context(), c.who, name, packhouse.DeliveryState(q.Get("state")), before, int(limit))
	if err != nil {
		return err
	}
	out := struct {
		Deliveries []DeliveryJSON `json:"deliveries"`
		Next       int64          `json:"before,omitempty"`
	}{[]DeliveryJSON{}, next}
	for _, d := range list {
		out.Deliveries = append(out.Deliveries, describeDelivery(d))
	}
	return httpx.WriteJSON(w, http.StatusOK, out)
}

func (e *Events) redeliver(w http.ResponseWriter, r *http.Request, c requester, name string) error {
	id, err := number(r.URL.Query().Get("delivery"), "delivery")
	if err != nil {
		return err
	}
	n, err := e.Service.Redeliver(r.Context(), c.who, name, id)
	if err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, struct {
		Redelivered int64 `json:"redelivered"`
	}{n})
}

// number reads a positive number of the query, 0 where there is none.
func number(text, name string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return 0, invalidMember("%s is a positive number", name)
	}
	return n, nil
}
