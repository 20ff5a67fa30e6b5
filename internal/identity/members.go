package identity

import (
	"context"
	"fmt"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// AddMember puts a user into a group of the same account; repeating it changes nothing.
// Errors: NotFound for either; QuotaExceeded.
func (d Directory) AddMember(ctx context.Context, a packhouse.AccountID, group, user string) error {
	return d.membership(ctx, a, group, user, "added to", func(tx *catalog.Tx, groupID, userID int64) error {
		if err := tx.AddMember(ctx, groupID, userID); err != nil {
			return fmt.Errorf("add member: %w", err)
		}
		groups, err := tx.GroupsOf(ctx, userID)
		if err != nil {
			return fmt.Errorf("list groups: %w", err)
		}
		if len(groups) > MaxGroupsPerUser {
			return limitExceeded("Cannot be in more than %d groups.", MaxGroupsPerUser)
		}
		return nil
	})
}

// RemoveMember takes a user out of a group. Errors: NotFound for either, and where the
// user is no member.
func (d Directory) RemoveMember(ctx context.Context, a packhouse.AccountID, group, user string) error {
	return d.membership(ctx, a, group, user, "removed from", func(tx *catalog.Tx, groupID, userID int64) error {
		err := tx.RemoveMember(ctx, groupID, userID)
		if isNotFound(err) {
			return packhouse.NotFoundf(string(packhouse.KindUser), user, "The user %s is not in group %s.", user, group)
		}
		return err
	})
}

// membership changes one. Leaving a group can lift what the group's policies deny, so
// Guard is asked both ways.
func (d Directory) membership(ctx context.Context, a packhouse.AccountID, group, user, verb string, fn func(tx *catalog.Tx, groupID, userID int64) error) error {
	return d.update(ctx, func(tx *catalog.Tx) error {
		g, err := d.find(ctx, tx, packhouse.IdentityRef{Account: a, Kind: packhouse.KindGroup, Name: group})
		if err != nil {
			return err
		}
		u, err := d.find(ctx, tx, packhouse.IdentityRef{Account: a, Kind: packhouse.KindUser, Name: user})
		if err != nil {
			return err
		}
		if err := fn(tx, g.ID, u.ID); err != nil {
			return err
		}
		if err := d.guard(ctx, tx, u); err != nil {
			return err
		}
		return d.note(ctx, tx, packhouse.ChangeMembersChanged, "%s %s %s", u.ARN, verb, g.ARN)
	})
}

// Members returns a group and a page of its members by name. Errors: NotFound.
func (d Directory) Members(ctx context.Context, ref packhouse.IdentityRef, after string, limit int) (group catalog.PrincipalRow, members []catalog.PrincipalRow, err error) {
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if group, err = d.find(ctx, tx, ref); err != nil {
			return err
		}
		members, err = tx.Members(ctx, group.ID, after, limit)
		return err
	})
	return group, members, err
}

// GroupsOf returns the groups of a user by name, at most MaxGroupsPerUser. Errors:
// NotFound.
func (d Directory) GroupsOf(ctx context.Context, ref packhouse.IdentityRef) (groups []catalog.PrincipalRow, err error) {
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err := d.find(ctx, tx, ref)
		if err != nil {
			return err
		}
		groups, err = tx.GroupsOf(ctx, row.ID)
		return err
	})
	return groups, err
}
