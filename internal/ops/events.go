package ops

import (
	"context"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/events"
)

// EventQuery selects events of package versions.
type EventQuery struct {
	Domain packhouse.DomainRef // zero for all domains that the caller may describe
	Repo   string              // "" for all
	// After is the place of the last event seen; events behind it are returned. 0 begins
	// with the oldest.
	After int64
	Since time.Time // events before it are left out; zero for none
}

// PlacedEvent is an event and its place, which EventQuery.After takes.
type PlacedEvent struct {
	Place int64
	JSON  []byte // in EventBridge's shape, codeartifact.md 3.13
}

const (
	// eventPage bounds the changes that one call of Events looks at.
	eventPage = 256
	// maxTransaction is how much earlier than its commit a change may have been made
	// (reliability.md A8).
	maxTransaction = 10 * time.Second
)

// Events returns the events behind a place, oldest first, and the place to go on from;
// more tells that there may be more at once. Needs DescribeDomain on the query's domain;
// without one ListDomains, and then the events are those of the domains that the caller
// may describe. Deciding anew at each call, it follows changed policies.
func (s *Service) Events(ctx context.Context, who packhouse.Principal, q EventQuery) (list []PlacedEvent, next int64, more bool, err error) {
	if err := s.allowEvents(ctx, who, q.Domain); err != nil {
		return nil, 0, false, err
	}
	var changes []packhouse.Change
	err = s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		changes, err = tx.Changes(ctx, q.After, eventPage)
		return err
	})
	if err != nil {
		return nil, 0, false, storeError("read events", err)
	}
	next = q.After
	if len(changes) > 0 {
		next = changes[len(changes)-1].ID
	}
	filter := packhouse.EventFilter{Domain: q.Domain, Repository: q.Repo}
	readable := map[packhouse.DomainRef]bool{}
	for i := range changes {
		c := &changes[i]
		if !events.Tells(c) || !events.Selects(&filter, c) || c.At.Before(q.Since) {
			continue
		}
		may, known := readable[c.Domain]
		if !known {
			may = s.allowDomain(ctx, who, packhouse.ActionDescribeDomain, c.Domain) == nil
			readable[c.Domain] = may
		}
		if may {
			list = append(list, PlacedEvent{Place: c.ID, JSON: events.Of(c, s.region, receiver(c, who.Account)).JSON()})
		}
	}
	return list, next, len(changes) == eventPage, nil
}

// EventPlace returns the place behind which the events since a time lie; the zero time
// means now. Access is as of Events.
func (s *Service) EventPlace(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, since time.Time) (place int64, err error) {
	if err := s.allowEvents(ctx, who, d); err != nil {
		return 0, err
	}
	err = s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if since.IsZero() {
			place, err = tx.LatestChange(ctx)
			return err
		}
		place, err = tx.ChangeBefore(ctx, since.Add(-maxTransaction))
		return err
	})
	return place, storeError("find events", err)
}

// allowEvents decides whether who may read events of a domain, or of any.
func (s *Service) allowEvents(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef) error {
	if d.Name == "" {
		return s.allow(ctx, who, packhouse.ActionListDomains, anyResource, nil)
	}
	return s.allowDomain(ctx, who, packhouse.ActionDescribeDomain, d)
}

// receiver returns for which of the accounts that get the event of a change a reader
// reads it.
func receiver(c *packhouse.Change, reader packhouse.AccountID) packhouse.AccountID {
	for _, a := range events.Accounts(c) {
		if a == reader {
			return a
		}
	}
	return c.Domain.Owner
}
