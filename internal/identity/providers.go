package identity

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

const (
	maxIssuer      = 255
	maxAudiences   = 100
	maxThumbprints = 5
)

// ParseIssuer checks the address of an OpenID Connect issuer and returns it as tokens
// name it and as ARNs and condition keys do, without scheme. It must be https, or http
// on a loopback host. Errors: Invalid "invalid_issuer".
func ParseIssuer(address string) (issuer, name string, err error) {
	u, perr := url.Parse(address)
	if perr == nil && len(address) <= maxIssuer && u.Host != "" && u.User == nil && u.RawQuery == "" && !u.ForceQuery && u.Fragment == "" && u.Opaque == "" &&
		(u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())) && !strings.ContainsAny(address, " *?\\") {
		return address, strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://"), nil
	}
	return "", "", packhouse.Invalidf("invalid_issuer",
		"The issuer address %.300q is not valid: https://HOST[:PORT][/PATH], without query, at most %d characters; http only for loopback hosts.", address, maxIssuer)
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// ProviderName returns the issuer's name out of the ARN of a provider of an account.
// Errors: Invalid "invalid_arn".
func ProviderName(a packhouse.AccountID, arn string) (string, error) {
	name, ok := strings.CutPrefix(arn, packhouse.ProviderARN(a, ""))
	if !ok || name == "" || len(name) > maxIssuer {
		return "", packhouse.Invalidf("invalid_arn", "The ARN %.300q is not valid: %s", arn, packhouse.ProviderARN(a, "HOST"))
	}
	return name, nil
}

// CreateProvider makes an account trust the tokens of an OpenID Connect issuer, for
// audiences; what they are good for is the roles' trust policies' to say. Errors:
// Conflict; Invalid; QuotaExceeded.
func (d Directory) CreateProvider(ctx context.Context, a packhouse.AccountID, address string, audiences, thumbprints []string) (packhouse.Provider, error) {
	issuer, name, err := ParseIssuer(address)
	if err != nil {
		return packhouse.Provider{}, err
	}
	if len(audiences) > maxAudiences || len(thumbprints) > maxThumbprints {
		return packhouse.Provider{}, limitExceeded("Cannot have more than %d client ids or %d thumbprints per provider.", maxAudiences, maxThumbprints)
	}
	for _, audience := range audiences {
		if audience == "" || len(audience) > maxIssuer {
			return packhouse.Provider{}, packhouse.Invalidf("invalid_audience", "A client id has 1 to %d characters.", maxIssuer)
		}
	}
	for _, t := range thumbprints {
		if len(t) != 40 || !isOf(strings.ToLower(t), func(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }) {
			return packhouse.Provider{}, packhouse.Invalidf("invalid_thumbprint", "A thumbprint has 40 hexadecimal digits.")
		}
	}
	made := packhouse.Provider{Account: a, Issuer: name, URL: issuer, Audiences: audiences, Thumbprints: thumbprints,
		Created: time.Now().UTC().Truncate(time.Microsecond)}
	err = d.update(ctx, func(tx *catalog.Tx) error {
		all, err := tx.Providers(ctx, a)
		if err != nil {
			return fmt.Errorf("list providers: %w", err)
		}
		if len(all) >= MaxProviders {
			return limitExceeded("Cannot have more than %d OpenID Connect providers in account %s.", MaxProviders, a)
		}
		if _, err := tx.InsertProvider(ctx, made); err != nil {
			return exists(fmt.Errorf("insert provider: %w", err), packhouse.ResourceProvider, name)
		}
		return d.note(ctx, tx, packhouse.ChangeProviderChanged, "creation of %s", packhouse.ProviderARN(a, name))
	})
	return made, err
}

func providerNotFound(a packhouse.AccountID, name string) error {
	return packhouse.NotFoundf(packhouse.ResourceProvider, name, "OpenIDConnect Provider not found for arn %.400s", packhouse.ProviderARN(a, name))
}

// Provider returns an account's provider. Errors: NotFound.
func (d Directory) Provider(ctx context.Context, a packhouse.AccountID, name string) (p packhouse.Provider, err error) {
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err := tx.Provider(ctx, a, name)
		p = row.Provider
		return err
	})
	if isNotFound(err) {
		err = providerNotFound(a, name)
	}
	return p, err
}

// Providers returns an account's providers, at most MaxProviders.
func (d Directory) Providers(ctx context.Context, a packhouse.AccountID) (list []packhouse.Provider, err error) {
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		rows, err := tx.Providers(ctx, a)
		list = list[:0]
		for _, row := range rows {
			list = append(list, row.Provider)
		}
		return err
	})
	return list, err
}

// DeleteProvider ends the trust in an issuer. Sessions that began with its tokens last
// until they expire. Errors: NotFound.
func (d Directory) DeleteProvider(ctx context.Context, a packhouse.AccountID, name string) error {
	return d.update(ctx, func(tx *catalog.Tx) error {
		row, err := tx.Provider(ctx, a, name)
		if isNotFound(err) {
			return providerNotFound(a, name)
		}
		if err != nil {
			return fmt.Errorf("find provider: %w", err)
		}
		if err := tx.DeleteProvider(ctx, row.ID); err != nil {
			return fmt.Errorf("delete provider: %w", err)
		}
		return d.note(ctx, tx, packhouse.ChangeProviderChanged, "removal of %s", packhouse.ProviderARN(a, name))
	})
}
