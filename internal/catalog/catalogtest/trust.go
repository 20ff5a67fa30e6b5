package catalogtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

func testSigningKeys(t *testing.T, w *world) {
	first := catalog.SigningKeyRow{KeyID: "SHA256:1", Public: []byte("public 1"), Private: []byte(Canary), Created: w.now}
	second := catalog.SigningKeyRow{KeyID: "SHA256:2", Public: []byte("public 2"), Private: []byte("private 2"), Created: w.now.Add(time.Hour)}
	var other catalog.DomainRow
	w.update(func(tx *catalog.Tx) error {
		if err := w.makeDomain(tx, "other", &other); err != nil {
			return err
		}
		if _, err := tx.CurrentSigningKey(w.ctx, w.domain.Key); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("before the first key: %v", err)
		}
		if err := tx.ExpireSigningKey(w.ctx, w.domain.ID, w.now); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("nothing to end: %v", err)
		}
		if err := tx.InsertSigningKey(w.ctx, w.domain.Key, first); err != nil {
			return err
		}
		if err := tx.InsertSigningKey(w.ctx, w.domain.Key, second); !errors.Is(err, catalog.ErrExists) {
			t.Errorf("a second current key: %v, want ErrExists", err)
		}
		got, err := tx.CurrentSigningKey(w.ctx, w.domain.Key)
		w.same("current key", got, first)
		return err
	})
	rows, err := w.Raw.QueryContext(w.ctx, "SELECT * FROM signing_keys")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range texts(t, rows) {
		if strings.Contains(row, Canary) {
			t.Errorf("the private key lies in the clear (S36): %s", row)
		}
	}
	ended := w.now.Add(2 * time.Hour)
	w.update(func(tx *catalog.Tx) error {
		return errors.Join(tx.ExpireSigningKey(w.ctx, w.domain.ID, ended), tx.InsertSigningKey(w.ctx, w.domain.Key, second))
	})
	w.view(func(tx *catalog.Tx) error {
		current, err1 := tx.CurrentSigningKey(w.ctx, w.domain.Key)
		w.same("current key after a change", current, second)
		all, err2 := tx.SigningKeys(w.ctx, w.domain.ID)
		older, newer := first, second
		older.Private, older.Expires, newer.Private = nil, ended, nil
		w.same("all keys", all, []catalog.SigningKeyRow{newer, older})
		none, err3 := tx.SigningKeys(w.ctx, other.ID)
		if len(none) > 0 {
			t.Errorf("another domain has the keys %+v", none)
		}
		return errors.Join(err1, err2, err3)
	})
}

func testOrigins(t *testing.T, w *world) {
	var names []packhouse.PackageName
	for i := range 230 { // more than one statement asks about
		names = append(names, name(fmt.Sprint("absent-", i)))
	}
	names = append(names, name("mine"), name("pulled"), name("empty"), name("buried"))
	w.update(func(tx *catalog.Tx) error {
		if _, err := w.publish(tx, w.a, name("mine"), "1.0", "m"); err != nil {
			return err
		}
		for _, version := range []string{"1.0", "2.0"} {
			v, err := w.publish(tx, w.b, name("pulled"), version, "p"+version)
			if err != nil {
				return err
			}
			if err := tx.SetOrigin(w.ctx, v.ID, packhouse.Origin{Type: packhouse.OriginExternal, Connection: "public:x"}, w.now); err != nil {
				return err
			}
		}
		p, err := w.pkg(tx, w.b, name("empty"))
		if err != nil {
			return err
		}
		if err := tx.SetControls(w.ctx, p.ID, packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Allow}); err != nil {
			return err
		}
		v, err := w.publish(tx, w.a, name("buried"), "1.0", "b")
		if err != nil {
			return err
		}
		remote := catalog.RemoteRow{DomainID: w.domain.ID, Connection: "public:x", Name: name("pulled"), Fetched: w.now, FreshUntil: w.now, Body: []byte("b"), BodyName: "b"}
		absent := remote
		absent.Name, absent.Absent, absent.Body = name("empty"), true, nil
		elsewhere := remote
		elsewhere.Name, elsewhere.Connection = name("mine"), "public:y"
		return errors.Join(tx.DeleteVersion(w.ctx, v.ID), tx.PutRemoteIndex(w.ctx, w.domain.Key, remote),
			tx.PutRemoteIndex(w.ctx, w.domain.Key, absent), tx.PutRemoteIndex(w.ctx, w.domain.Key, elsewhere))
	})
	w.view(func(tx *catalog.Tx) error {
		got, err := tx.Origins(w.ctx, []int64{w.a.ID, w.b.ID}, names)
		slices.SortFunc(got, func(a, b catalog.NameOrigin) int { return strings.Compare(a.Name.Name, b.Name.Name) })
		w.same("origins", got, []catalog.NameOrigin{
			{RepoID: w.a.ID, Name: name("buried"), Upstream: packhouse.Block},
			{RepoID: w.b.ID, Name: name("empty"), Upstream: packhouse.Allow},
			{RepoID: w.a.ID, Name: name("mine"), Upstream: packhouse.Block, Origin: packhouse.Origin{Type: packhouse.OriginInternal}},
			{RepoID: w.b.ID, Name: name("pulled"), Upstream: packhouse.Block, Origin: packhouse.Origin{Type: packhouse.OriginExternal, Connection: "public:x"}},
		})
		if err != nil {
			return err
		}
		if got, err = tx.Origins(w.ctx, []int64{w.b.ID}, []packhouse.PackageName{name("mine")}); err != nil || len(got) > 0 {
			t.Errorf("origins in another repository: %+v, %v", got, err)
		}
		known, err := tx.KnownRemotes(w.ctx, w.domain.ID, "public:x", "", names)
		w.same("known", known, []packhouse.PackageName{name("pulled")})
		if other, err := tx.KnownRemotes(w.ctx, w.domain.ID, "public:x", "credential", names); err != nil || len(other) > 0 {
			t.Errorf("known under another credential: %v, %v", other, err)
		}
		return err
	})
}
