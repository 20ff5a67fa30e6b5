package ops

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/keys"
)

// Page asks for one page of a list. After is a cursor that the same list returned.
type Page struct {
	Limit int // 1..1000
	After string
}

// maxPage is the largest page, and the size of one that does not say.
const maxPage = 1000

// limit returns the page's size, within bounds whatever the caller asked for.
func (p Page) limit() int {
	if p.Limit < 1 || p.Limit > maxPage {
		return maxPage
	}
	return p.Limit
}

// domainName is the form of a domain's name (codeartifact.md 1.4): part of a host name
// and of paths.
var domainName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9-]{0,48}[a-z0-9]$`) })

// CreateDomain is the input of Service.CreateDomain.
type CreateDomain struct {
	Name          string
	EncryptionKey string // as the caller wrote it; "" for the default key
	Tags          []packhouse.ResourceTag
}

// CreateDomain makes a domain of the caller's account. Needs CreateDomain, and
// TagResource on the new domain when there are tags. Errors: Conflict "domain_exists",
// Invalid "invalid_name", "encryption_key" or "reserved_tag", QuotaExceeded.
func (s *Service) CreateDomain(ctx context.Context, who packhouse.Principal, in CreateDomain) (packhouse.Domain, error) {
	if err := s.allow(ctx, who, packhouse.ActionCreateDomain, anyResource, requestTags(in.Tags)); err != nil {
		return packhouse.Domain{}, err
	}
	ref := packhouse.DomainRef{Owner: who.Account, Name: in.Name}
	if err := s.allowTags(ctx, who, s.domainResource(ref), in.Tags); err != nil {
		return packhouse.Domain{}, err
	}
	if !domainName().MatchString(in.Name) {
		return packhouse.Domain{}, packhouse.Invalidf("invalid_name",
			"domain name %q is not allowed: 2 to 50 lower-case letters, digits and hyphens, a letter first and no hyphen last", in.Name)
	}
	tags, err := s.newTags(nil, in.Tags, packhouse.ResourceDomain, in.Name)
	if err != nil {
		return packhouse.Domain{}, err
	}
	row, err := s.newDomain(ctx, ref, in.EncryptionKey)
	if err != nil {
		return packhouse.Domain{}, err
	}
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		if err := s.roomForDomain(ctx, tx, ref); err != nil {
			return err
		}
		if row.ID, err = tx.InsertDomain(ctx, row); err != nil {
			if errors.Is(err, catalog.ErrExists) {
				return domainExists(ref)
			}
			return err
		}
		if len(tags) > 0 {
			if err := tx.PutResourceTags(ctx, packhouse.ResourceDomain, row.ID, tags); err != nil {
				return err
			}
		}
		return tx.Record(ctx, s.domainChange(ctx, who, packhouse.ChangeDomainCreated, row.ID, ref))
	})
	if err != nil {
		return packhouse.Domain{}, storeError("create domain "+ref.String(), err)
	}
	return describeDomain(row), nil
}

// newDomain puts a domain's row together: its key resolved, a keyset of its own made.
func (s *Service) newDomain(ctx context.Context, ref packhouse.DomainRef, key string) (catalog.DomainRow, error) {
	keyID, err := s.keys.Resolve(ctx, key)
	if errors.Is(err, keys.ErrUnknownKey) {
		return catalog.DomainRow{}, packhouse.Invalidf("encryption_key", "encryption key %q does not exist or cannot be used", key)
	}
	if err != nil {
		return catalog.DomainRow{}, storeError("resolve encryption key", err)
	}
	keyset, err := s.vault.NewKeyset(ctx, keyID)
	if err != nil {
		return catalog.DomainRow{}, storeError("make keyset", err)
	}
	digits, err := rand.Int(rand.Reader, big.NewInt(1e12))
	if err != nil {
		return catalog.DomainRow{}, storeError("make bucket name", err)
	}
	return catalog.DomainRow{
		Ref: ref, KeyARN: s.keyARN(ref.Owner, keyID), Key: packhouse.KeyRef{KeyID: keyID, Keyset: keyset}, Mode: "sealed",
		Bucket: fmt.Sprintf("assets-%012d-%s", digits, s.region), Created: s.now().UTC().Truncate(time.Microsecond),
	}, nil
}

// roomForDomain refuses a name that is taken and a domain beyond the account's quota.
func (s *Service) roomForDomain(ctx context.Context, tx *catalog.Tx, ref packhouse.DomainRef) error {
	switch _, err := tx.Domain(ctx, ref); {
	case err == nil:
		return domainExists(ref)
	case !errors.Is(err, catalog.ErrNotFound):
		return err
	}
	n, err := tx.CountDomains(ctx, ref.Owner)
	if err == nil && n >= s.quotas.DomainsPerAccount {
		err = quotaExceeded("domains_per_account", packhouse.ResourceDomain, ref.Name,
			"account %s has %d domains; at most %d are allowed", ref.Owner, n, s.quotas.DomainsPerAccount)
	}
	return err
}

func domainExists(ref packhouse.DomainRef) error {
	return packhouse.Conflictf("domain_exists", packhouse.ResourceDomain, ref.Name, "domain %s already exists in account %s", ref.Name, ref.Owner)
}

// Domain describes a domain. Errors: NotFound.
func (s *Service) Domain(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef) (out packhouse.Domain, err error) {
	if err := s.allowDomain(ctx, who, packhouse.ActionDescribeDomain, d); err != nil {
		return packhouse.Domain{}, err
	}
	err = s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		out, err = s.domainWithUsage(ctx, tx, d)
		return err
	})
	return out, storeError("describe domain", err)
}

// DeleteDomain deletes an empty domain and returns its last description. Errors:
// NotFound, Conflict "domain_not_empty".
func (s *Service) DeleteDomain(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef) (out packhouse.Domain, err error) {
	if err := s.allowDomain(ctx, who, packhouse.ActionDeleteDomain, d); err != nil {
		return packhouse.Domain{}, err
	}
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		if out, err = s.domainWithUsage(ctx, tx, d); err != nil {
			return err
		}
		if out.RepositoryCount > 0 {
			return packhouse.Conflictf("domain_not_empty", packhouse.ResourceDomain, d.Name,
				"domain %s has %d repositories; delete them first", d.Name, out.RepositoryCount)
		}
		if err := tx.DeleteDomain(ctx, out.ID); err != nil {
			return err
		}
		out.Deleted = true
		return tx.Record(ctx, s.domainChange(ctx, who, packhouse.ChangeDomainDeleted, out.ID, d))
	})
	if err != nil {
		return packhouse.Domain{}, storeError("delete domain "+d.String(), err)
	}
	return out, nil
}

// Domains lists the domains of the caller's account by name; RepositoryCount and
// AssetSizeBytes are not filled in. next is "" on the last page.
func (s *Service) Domains(ctx context.Context, who packhouse.Principal, p Page) (list []packhouse.Domain, next string, err error) {
	if err := s.allow(ctx, who, packhouse.ActionListDomains, anyResource, nil); err != nil {
		return nil, "", err
	}
	var rows []catalog.DomainRow
	err = s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		rows, err = tx.Domains(ctx, who.Account, p.After, p.limit()+1)
		return err
	})
	if err != nil {
		return nil, "", storeError("list domains", err)
	}
	if len(rows) > p.limit() {
		rows = rows[:p.limit()]
		next = rows[len(rows)-1].Ref.Name
	}
	for _, r := range rows {
		list = append(list, describeDomain(r))
	}
	return list, next, nil
}

// domainWithUsage describes a domain with its counts.
func (s *Service) domainWithUsage(ctx context.Context, tx *catalog.Tx, ref packhouse.DomainRef) (packhouse.Domain, error) {
	row, err := s.domainIn(ctx, tx, ref)
	if err != nil {
		return packhouse.Domain{}, err
	}
	d := describeDomain(row)
	d.AssetSizeBytes, d.RepositoryCount, err = tx.DomainUsage(ctx, row.ID)
	return d, err
}

func describeDomain(r catalog.DomainRow) packhouse.Domain {
	return packhouse.Domain{Ref: r.Ref, ID: r.ID, KeyARN: r.KeyARN, BucketName: r.Bucket, Created: r.Created}
}
