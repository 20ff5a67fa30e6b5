package ops

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/resolve"
)

// Bounds of blocks.
const (
	maxBlocks = 10_000 // of a domain: all of them are kept in memory
	maxReason = 500    // characters
)

// digestTarget begins the targets of blocks of bytes.
const digestTarget = "sha256:"

// CreateBlock keeps a package, a version or some bytes from everybody in a domain, at once
// and whatever repository has them: documents leave it out, downloads, publishes and copies
// are refused (reliability.md S47). target is as of packhouse.BlockEntry. Errors: NotFound;
// Conflict "block_exists"; QuotaExceeded "blocks_per_domain"; Invalid "invalid_package",
// "invalid_digest", "invalid_reason".
func (s *Service) CreateBlock(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, target, reason string) (packhouse.BlockEntry, error) {
	if err := s.allowDomain(ctx, who, packhouse.ActionCreateBlock, d); err != nil {
		return packhouse.BlockEntry{}, err
	}
	row, err := s.parseTarget(target)
	if err != nil {
		return packhouse.BlockEntry{}, err
	}
	if utf8.RuneCountInString(reason) > maxReason || strings.ContainsFunc(reason, unicode.IsControl) {
		return packhouse.BlockEntry{}, packhouse.Invalidf("invalid_reason", "a reason has at most %d characters, without line breaks", maxReason)
	}
	row.Reason, row.Principal, row.Created = reason, who.ARN, s.now().UTC().Truncate(time.Microsecond)
	return row.BlockEntry, s.changeBlocks(ctx, who, packhouse.ChangeBlocked, d, row.Target, reason, func(tx *catalog.Tx, domainID int64) error {
		have, err := tx.CountBlocks(ctx, domainID)
		if err != nil {
			return err
		}
		if have >= maxBlocks {
			return quotaExceeded("blocks_per_domain", packhouse.ResourceDomain, d.Name, "domain %s has %d blocks; at most %d are allowed", d.Name, have, maxBlocks)
		}
		err = tx.InsertBlock(ctx, domainID, row)
		if errors.Is(err, catalog.ErrExists) {
			return packhouse.Conflictf("block_exists", "", row.Target, "%s is blocked already in domain %s", row.Target, d.Name)
		}
		return err
	})
}

// DeleteBlock releases what is blocked. Errors: NotFound of the domain or the block.
func (s *Service) DeleteBlock(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, target string) error {
	if err := s.allowDomain(ctx, who, packhouse.ActionDeleteBlock, d); err != nil {
		return err
	}
	row, err := s.parseTarget(target)
	if err != nil {
		return err
	}
	return s.changeBlocks(ctx, who, packhouse.ChangeReleased, d, row.Target, "", func(tx *catalog.Tx, domainID int64) error {
		err := tx.DeleteBlock(ctx, domainID, row.Target)
		if errors.Is(err, catalog.ErrNotFound) {
			missing := packhouse.NotFoundf("", row.Target, "%s is not blocked in domain %s", row.Target, d.Name)
			missing.Reason = "block_not_found"
			return missing
		}
		return err
	})
}

// Blocks lists what is blocked in a domain, by target. Errors: NotFound.
func (s *Service) Blocks(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef) (list []packhouse.BlockEntry, err error) {
	if err := s.allowDomain(ctx, who, packhouse.ActionListBlocks, d); err != nil {
		return nil, err
	}
	err = s.catalog.View(ctx, func(tx *catalog.Tx) error {
		domain, err := s.domainIn(ctx, tx, d)
		if err != nil {
			return err
		}
		rows, err := tx.Blocks(ctx, domain.ID)
		list = make([]packhouse.BlockEntry, len(rows))
		for i := range rows {
			list[i] = rows[i].BlockEntry
		}
		return err
	})
	return list, storeError("list blocks of "+d.String(), err)
}

// changeBlocks runs change in one transaction and records it: on the domain, so that
// everything that was made of the domain's repositories is made anew.
func (s *Service) changeBlocks(ctx context.Context, who packhouse.Principal, kind packhouse.ChangeKind, d packhouse.DomainRef, target, reason string, change func(tx *catalog.Tx, domainID int64) error) error {
	return storeError("change blocks of "+d.String(), s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		domain, err := s.domainIn(ctx, tx, d)
		if err != nil {
			return err
		}
		if err := change(tx, domain.ID); err != nil {
			return err
		}
		c := s.domainChange(ctx, who, kind, domain.ID, d)
		c.Detail = strings.TrimSpace(target + " " + reason)
		return tx.Record(ctx, c)
	}))
}

// parseTarget reads what a block is about, and spells it in the one way in which it is kept.
func (s *Service) parseTarget(text string) (row catalog.BlockRow, err error) {
	if hex, ok := strings.CutPrefix(text, digestTarget); ok {
		row.Digest, err = packhouse.ParseDigest(strings.ToLower(hex))
		if err != nil || row.Digest == (packhouse.Digest{}) {
			return row, packhouse.Invalidf("invalid_digest", "%q is no digest: it takes sha256: and 64 hexadecimal digits", text)
		}
		row.Target = digestTarget + row.Digest.Hex()
		return row, nil
	}
	n, version, err := s.parsePackage(text)
	if err != nil {
		return row, err
	}
	row.Name, row.Target = n, n.String()
	if version == "" {
		return row, nil
	}
	row.VersionKey, err = s.formats[n.Format].VersionKey(version)
	row.Target += "@" + row.VersionKey
	return row, err
}

// refuseBlocked refuses a version, or bytes of it, that are blocked in its domain. Errors:
// Denied "blocked"; NotFound of the domain.
func (s *Service) refuseBlocked(ctx context.Context, v packhouse.VersionRef, digest packhouse.Digest) error {
	blocks, err := s.resolver.Blocks(ctx, v.Repo.Domain)
	if err != nil || blocks == nil {
		return err
	}
	by := blocks.Digest(digest)
	if room, ok := s.formats[v.Package.Format]; ok && by == nil {
		key, err := room.VersionKey(v.Version)
		if err != nil {
			return err
		}
		by = blocks.Version(v.Package, key)
	}
	if by == nil {
		return nil
	}
	return resolve.Blocked(v.Version, by).Refusal(v.Package.String())
}
