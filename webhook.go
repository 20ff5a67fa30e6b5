package packhouse

import "time"

// DetailVersionStateChange is the detail type of the event that tells of a package
// version which was created, modified or deleted (codeartifact.md 3.13).
const DetailVersionStateChange = "CodeArtifact Package Version State Change"

// The actions on webhooks. No managed policy lists them: nobody may do them unless a
// policy says so.
const (
	ActionCreateWebhook  Action = "packhouse:CreateWebhook"
	ActionUpdateWebhook  Action = "packhouse:UpdateWebhook"
	ActionDeleteWebhook  Action = "packhouse:DeleteWebhook"
	ActionGetWebhook     Action = "packhouse:GetWebhook"
	ActionListWebhooks   Action = "packhouse:ListWebhooks"
	ActionTestWebhook    Action = "packhouse:TestWebhook"
	ActionListDeliveries Action = "packhouse:ListWebhookDeliveries"
	ActionRedeliver      Action = "packhouse:RedeliverWebhook"
)

// WebhookARN returns the ARN of a webhook; "*" for all of an account.
func WebhookARN(region string, account AccountID, name string) string {
	return "arn:" + Partition + ":packhouse:" + region + ":" + string(account) + ":webhook/" + name
}

// EventFilter selects events; a zero field selects all.
type EventFilter struct {
	Domain      DomainRef
	Repository  string
	Format      FormatID
	DetailTypes []string
}

// Webhook is an address that an account's events are delivered to. Its secret is never
// shown again.
type Webhook struct {
	Account AccountID
	Name    string // unique in the account
	URL     string
	Filter  EventFilter
	Enabled bool // a disabled one keeps its place: it gets later what it missed
	Created time.Time
}

// DeliveryState says how far a delivery is.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryWaiting   DeliveryState = "waiting"   // to be sent, or to be sent again
	DeliveryDelivered DeliveryState = "delivered" // the receiver answered 2xx
	DeliveryDead      DeliveryState = "dead"      // given up; it can be redelivered
)

// Delivery is one event on its way to one webhook.
type Delivery struct {
	ID       int64
	Event    string // the event's id, which receivers get with it
	Package  PackageRef
	Version  string
	Kind     ChangeKind
	State    DeliveryState
	Attempts int
	Created  time.Time
	Next     time.Time // of the next attempt; zero unless waiting
	Ended    time.Time // zero while waiting
	Status   int       // HTTP status of the last answer; 0 for none
	Error    string    // why the last attempt failed, or what was answered; "" for none
}
