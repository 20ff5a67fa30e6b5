package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/formats"
)

// Where discovered addresses are kept, and for how long asking takes.
const (
	scopeConnections = "connections"
	discoverTimeout  = 5 * time.Second
)

// PullFormats are the formats that a connection of one's own may have.
func PullFormats(rooms []format.Format) []packhouse.FormatID {
	var ids []packhouse.FormatID
	for _, f := range rooms {
		if _, ok := f.(format.Puller); ok {
			ids = append(ids, f.Spec().ID)
		}
	}
	return ids
}

// Connections gathers every connection by name: those that the operator wrote down, and
// those that the service has, with the address that was discovered for them, if any.
func Connections(written []config.Connection, discovered map[string]Found) map[string]fetch.Connection {
	all := map[string]fetch.Connection{}
	for name, id := range formats.ServiceConnections() {
		f := discovered[name]
		all[name] = fetch.Connection{Name: name, Format: id, URL: f.URL, Source: f.Source}
	}
	for _, c := range written {
		all[c.Name] = fetch.Connection{Name: c.Name, Format: c.Format, URL: c.URL, Source: string(c.Origin), Username: c.Username,
			Secret: fetch.NewSecret(c.Password.Reveal()), Proxy: c.Proxy, CA: c.CA, AllowHosts: c.AllowHosts}
	}
	return all
}

// Found is a discovered address, as it is kept.
type Found struct {
	URL    string    `json:"url"` // "" when the machine's clients are set to nothing
	Source string    `json:"source"`
	At     time.Time `json:"at"`
}

// missing are the known connections that nobody wrote an address down for.
func missing(rooms []format.Format, written []config.Connection) []discovery {
	var list []discovery
	for _, f := range rooms {
		p, ok := f.(format.Puller)
		if !ok {
			continue
		}
		for _, c := range p.Connections() {
			if c.Discover != nil && !slices.ContainsFunc(written, func(w config.Connection) bool { return w.Name == c.Name }) {
				list = append(list, discovery{c, f.Spec().Title})
			}
		}
	}
	return list
}

type discovery struct {
	format.PublicConnection
	title string
}

// Discover asks what the machine's own clients are set to, for all connections at the
// same time. It may start other programs, which is slow.
func Discover(ctx context.Context, rooms []format.Format, written []config.Connection, log *slog.Logger) map[string]Found {
	ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := map[string]Found{}
	for _, d := range missing(rooms, written) {
		wg.Go(func() {
			url, err := d.Discover(ctx)
			if err != nil {
				log.LogAttrs(ctx, slog.LevelInfo, "address of a connection not discovered",
					slog.String("upstream", d.Name), slog.Any("error", err))
			}
			f := Found{Source: d.title + "'s own setting", At: time.Now().UTC()}
			if url != "" {
				f.URL = strings.TrimRight(url, "/") + "/"
			}
			mu.Lock()
			defer mu.Unlock()
			all[d.Name] = f
		})
	}
	wg.Wait()
	return all
}

// remembered returns what an earlier start discovered. ok is false unless every
// connection that needs it is there.
func remembered(ctx context.Context, db *catalog.DB, rooms []format.Format, written []config.Connection) (map[string]Found, bool, error) {
	all, whole := map[string]Found{}, true
	err := db.View(ctx, func(tx *catalog.Tx) error {
		clear(all)
		whole = true
		for _, d := range missing(rooms, written) {
			text, err := tx.Setting(ctx, scopeConnections, d.Name)
			var f Found
			switch {
			case errors.Is(err, catalog.ErrNotFound):
				whole = false
				continue
			case err != nil:
				return err
			case json.Unmarshal([]byte(text), &f) != nil || f.URL == "":
				whole = false // somebody may have set one since
				continue
			}
			all[d.Name] = f
		}
		return nil
	})
	return all, whole, err
}

// rediscoverAfter is how old a discovered address may be before it is asked for again,
// for the start after this one.
const rediscoverAfter = 24 * time.Hour

// finder finds the addresses that the machine's own clients are set to beside everything
// else: starting waits for no other program, only the first pull that needs an address
// does.
type finder struct {
	own   func(address string) bool // a client that is set to this server says nothing
	done  chan struct{}             // closed once found is there
	found map[string]Found          // not to be read before
}

func newFinder(own func(address string) bool) *finder {
	return &finder{own: own, done: make(chan struct{})}
}

// address returns the discovered address of a connection, "" for none.
func (f *finder) address(ctx context.Context, name string) string {
	select {
	case <-f.done:
		if url := f.found[name].URL; !f.own(url) {
			return url
		}
		return ""
	case <-ctx.Done():
		return ""
	}
}

// run finds the addresses: those that an earlier start kept, else what the clients say
// now, which is kept for the next start. Kept ones that are old are asked for again.
func (f *finder) run(ctx context.Context, s *Server) {
	all, whole, err := remembered(ctx, s.store.Catalog, s.rooms, s.config.Connections)
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "kept addresses not read", slog.Any("error", err))
	}
	if whole {
		f.found = all
		close(f.done)
		if !slices.ContainsFunc(slices.Collect(maps.Values(all)), func(k Found) bool { return time.Since(k.At) > rediscoverAfter }) {
			return
		}
	}
	all = Discover(ctx, s.rooms, s.config.Connections, s.log)
	if !whole {
		f.found = all
		close(f.done)
	}
	if err := remember(ctx, s.store.Catalog, all); err != nil && ctx.Err() == nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "discovered addresses not kept", slog.Any("error", err))
	}
}

// remember keeps discovered addresses for the next start.
func remember(ctx context.Context, db *catalog.DB, all map[string]Found) error {
	return db.Update(ctx, func(tx *catalog.Tx) error {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			text, err := json.Marshal(all[name])
			if err != nil {
				return err
			}
			if err := tx.PutSetting(ctx, scopeConnections, name, string(text)); err != nil {
				return err
			}
		}
		return nil
	})
}
