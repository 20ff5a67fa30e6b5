package main

import (
	"slices"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/registry"
)

// trailEvent is a record in the form of CloudTrail (codeartifact.md 3.14).
type trailEvent struct {
	EventVersion        string            `json:"eventVersion"`
	UserIdentity        trailIdentity     `json:"userIdentity"`
	EventTime           string            `json:"eventTime"`
	EventSource         string            `json:"eventSource"`
	EventName           string            `json:"eventName"`
	AWSRegion           string            `json:"awsRegion"`
	SourceIPAddress     string            `json:"sourceIPAddress"`
	UserAgent           string            `json:"userAgent"`
	ErrorCode           string            `json:"errorCode,omitempty"`
	ErrorMessage        string            `json:"errorMessage,omitempty"`
	RequestParameters   map[string]string `json:"requestParameters"`
	ResponseElements    map[string]string `json:"responseElements"`
	AdditionalEventData map[string]any    `json:"additionalEventData,omitempty"`
	RequestID           string            `json:"requestID"`
	EventID             string            `json:"eventID"`
	ReadOnly            bool              `json:"readOnly"`
	Resources           []trailResource   `json:"resources,omitempty"`
	EventType           string            `json:"eventType"`
	RecipientAccountID  string            `json:"recipientAccountId"`
}

type trailIdentity struct {
	Type      string `json:"type"`
	ARN       string `json:"arn,omitempty"`
	AccountID string `json:"accountId,omitempty"`
	UserName  string `json:"userName,omitempty"`
}

type trailResource struct {
	ARN       string `json:"ARN"`
	AccountID string `json:"accountId"`
}

// trailHidden stands for what no log may hold.
const trailHidden = "HIDDEN_DUE_TO_SECURITY_REASONS"

// cloudTrail gives a record the form of CloudTrail for an account, "" for the one that it
// concerns most. concerned reports whether it concerns the account: as caller, as the
// domain's owner or as the repository's administrator.
func cloudTrail(r *packhouse.AuditRecord, region string, account packhouse.AccountID) (event trailEvent, concerned bool) {
	caller := accountOfARN(r.Principal)
	owner := accountOfARN(r.Resource)
	recipients := []string{owner, caller, string(r.Administrator)}
	recipient := owner
	if recipient == "" {
		recipient = caller
	}
	if account != "" {
		recipient = string(account)
		if !slices.Contains(recipients, recipient) {
			return event, false
		}
	}
	source := "codeartifact.amazonaws.com"
	if r.Door == "iam" {
		source = "iam.amazonaws.com"
	}
	event = trailEvent{
		EventVersion: "1.09", UserIdentity: identityOfARN(r.Principal), EventTime: r.At.UTC().Format(time.RFC3339),
		EventSource: source, EventName: r.Name, AWSRegion: region, SourceIPAddress: r.Client, UserAgent: r.Agent,
		ErrorCode: r.Error, ErrorMessage: r.Message, RequestParameters: parametersOfARN(r.Resource, r.Version),
		RequestID: r.RequestID, EventID: r.EventID, ReadOnly: r.ReadOnly, EventType: "AwsApiCall", RecipientAccountID: recipient,
	}
	more := map[string]any{}
	if r.Door == registry.Name {
		more["httpMethod"], more["requestUri"] = r.Method, r.Path
	}
	if r.Decision != "" {
		more["decision"] = r.Decision
	}
	if len(more) > 0 {
		event.AdditionalEventData = more
	}
	if owner != "" {
		event.Resources = []trailResource{{r.Resource, owner}}
	}
	if r.Name == "GetAuthorizationToken" && r.Error == "" {
		event.ResponseElements = map[string]string{"authorizationToken": trailHidden}
	}
	return event, true
}

// accountOfARN returns the account of an ARN, "" if there is none.
func accountOfARN(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return ""
	}
	return parts[4]
}

// identityOfARN describes who asked.
func identityOfARN(arn string) trailIdentity {
	id := trailIdentity{Type: "Unknown", ARN: arn, AccountID: accountOfARN(arn)}
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return id
	}
	kind, name, _ := strings.Cut(parts[5], "/")
	switch kind {
	case "user":
		id.Type, id.UserName = "IAMUser", name
	case "assumed-role":
		id.Type = "AssumedRole"
	}
	return id
}

// parametersOfARN names the parts of the resource that a request was about.
func parametersOfARN(arn, version string) map[string]string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[2] != "codeartifact" {
		return nil
	}
	kind, path, _ := strings.Cut(parts[5], "/")
	names := strings.SplitN(path, "/", 5)
	p := map[string]string{"domainOwner": parts[4], "domainName": names[0]}
	switch {
	case kind == "package-group":
		p["packageGroup"] = strings.TrimPrefix(path, names[0])
	case len(names) > 1:
		p["repositoryName"] = names[1]
	}
	if kind == "package" && len(names) == 5 {
		p["packageFormat"], p["packageName"] = names[2], names[4]
		if names[3] != "" {
			p["packageNamespace"] = names[3]
		}
		if version != "" {
			p["packageVersion"] = version
		}
	}
	return p
}
