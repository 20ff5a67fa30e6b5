package catalogtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// Canary is a text that the suite writes into every sealed column.
const Canary = "canary-8f41-in-the-clear"

// marking is a Sealer that hides the text and notices a wrong key or place. It is no
// cipher.
type marking struct{}

func (marking) tag(key packhouse.KeyRef, aad string) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q %x %q", key.DomainID, key.KeyID, key.Keyset, aad))
	return sum[:8]
}

func (m marking) Seal(_ context.Context, key packhouse.KeyRef, aad string, plain []byte) ([]byte, error) {
	out := m.tag(key, aad)
	for _, c := range plain {
		out = append(out, c^0x5a)
	}
	return out, nil
}

func (m marking) Blind(_ context.Context, key packhouse.KeyRef, text string) ([]byte, error) {
	sum := sha256.Sum256(append(m.tag(key, "blind"), text...))
	return sum[:], nil
}

func (m marking) Unseal(_ context.Context, key packhouse.KeyRef, aad string, sealed []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, m.tag(key, aad))
	if !ok {
		return nil, errors.New("sealed under another key or for another place: " + aad)
	}
	out := make([]byte, len(rest))
	for i, c := range rest {
		out[i] = c ^ 0x5a
	}
	return out, nil
}

// testSealed writes the canary wherever packages, connections and keys carry text of
// their own, and looks for it in every column of every table.
func testSealed(t *testing.T, w *world) {
	w.update(func(tx *catalog.Tx) error {
		v, err := w.publish(tx, w.a, name("box"), "1.0.0", "content")
		if err != nil {
			return err
		}
		f := facts(Canary)
		f.HomePage, f.Licenses = "https://"+Canary, []packhouse.License{{Name: Canary}}
		b, err := w.blob(tx, "other")
		if err != nil {
			return err
		}
		id, err := tx.EnsureRevision(w.ctx, catalog.Revision{Domain: w.domain.Key, Name: "r2", Format: "npm", Facts: f,
			Assets: []catalog.RevisionAsset{{Name: "f", BlobID: b.ID}}})
		if err != nil {
			return err
		}
		if err := tx.RepointVersion(w.ctx, v.ID, id, packhouse.Published); err != nil {
			return err
		}
		if err := tx.SetOverlay(w.ctx, v.ID, []byte(Canary)); err != nil {
			return err
		}
		err = tx.PutRemoteIndex(w.ctx, w.domain.Key, catalog.RemoteRow{DomainID: w.domain.ID, Connection: "c", Name: name("box"), Body: []byte(Canary), BodyName: "n"})
		if err != nil {
			return err
		}
		p := catalog.PrincipalRow{Account: account, Kind: packhouse.KindUser, Name: "u", ARN: "arn:u", Created: w.now}
		if p.ID, err = tx.InsertPrincipal(w.ctx, p); err != nil {
			return err
		}
		return tx.InsertAccessKey(w.ctx, catalog.AccessKeyRow{ID: "AKIA1", Principal: p, Secret: Canary, Active: true, Created: w.now})
	})
	for _, table := range tables {
		rows, err := w.Raw.QueryContext(w.ctx, "SELECT * FROM "+table) //nolint:gosec // one of the list above
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range texts(t, rows) {
			if strings.Contains(row, Canary) {
				t.Errorf("table %s holds it in the clear: %s", table, row)
			}
		}
	}
	w.view(func(tx *catalog.Tx) error {
		k, err := tx.AccessKey(w.ctx, "AKIA1")
		if err != nil || k.Secret != Canary {
			t.Errorf("secret %q, %v", k.Secret, err)
		}
		found, err := tx.Resolve(w.ctx, []int64{w.a.ID}, name("box"))
		if err != nil || !strings.Contains(string(found[0].Versions[0].Fragment), Canary) || string(found[0].Versions[0].Overlay) != Canary {
			t.Errorf("resolved %+v, %v", found, err)
		}
		return err
	})
}

// tables are all that the first migration makes.
var tables = strings.Fields(`installation epochs accounts principals access_keys tokens identity_policies policy_attachments
	replays idempotency settings domains domain_usage repositories upstreams repository_connections connections owner_bindings
	namespaces resource_tags blobs blob_leases uploads remote_indexes packages revisions assets versions tags search_terms
	reserved package_groups group_repositories documents changes jobs leases`)

// texts returns each row's columns as one text.
func texts(t *testing.T, rows *sql.Rows) (out []string) {
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]sql.RawBytes, len(columns))
		dest := make([]any, len(columns))
		for i := range values {
			dest[i] = &values[i]
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		out = append(out, string(bytes.Join(asBytes(values), []byte("|"))))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func asBytes(values []sql.RawBytes) [][]byte {
	out := make([][]byte, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}
