package resolve

import (
	"context"
	"slices"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
)

// connections returns the connections behind a repository, nearest first, each once.
func (s *domainShape) connections(repo *catalog.RepositoryRow) []string {
	var names []string
	for _, src := range s.sources(repo, func(int64) bool { return false }) {
		if src.connection != "" && !slices.Contains(names, src.connection) {
			names = append(names, src.connection)
		}
	}
	return names
}

// reaches reports whether a connection is among sources.
func reaches(sources []source, connection string) bool {
	return slices.ContainsFunc(sources, func(s source) bool { return s.connection == connection })
}

// Ask puts a question about packages to the registries that they came from; see
// format.Relay.
func (r *Resolver) Ask(ctx context.Context, q format.Question) ([]format.Answer, error) {
	f, err := r.format(q.Format)
	if err != nil {
		return nil, err
	}
	shape, err := r.shape(ctx, q.Repo.Domain)
	if err != nil {
		return nil, err
	}
	repo, err := shape.repository(q.Repo)
	if err != nil {
		return nil, err
	}
	var conns []fetch.Connection
	for _, name := range shape.connections(repo) {
		if conn, ok := r.connection(ctx, name, f); ok && conn.URL != "" {
			conns = append(conns, conn)
		}
	}
	if len(conns) == 0 {
		e := packhouse.NotFoundf("registry", "", "no public registry with a known address is behind repository %s", q.Repo.Name)
		e.Reason = "no_registry"
		return nil, e
	}
	from, err := r.namesFrom(ctx, shape, repo, conns, q.Packages)
	if err != nil {
		return nil, err
	}
	var out []format.Answer
	for i, conn := range conns {
		if len(from[i]) == 0 {
			continue
		}
		body, err := q.Body(from[i])
		if err != nil {
			return nil, err
		}
		answer, err := r.o.Fetch.Post(ctx, conn, q.Path, q.Header, body)
		if err != nil {
			return nil, err
		}
		out = append(out, format.Answer{Response: answer, Packages: from[i]})
	}
	return out, nil
}

// namesFrom tells which of names may be spoken of to each connection: those that came
// from there, as far as is known here, without asking anybody. Dependency confusion works
// both ways: a name that is only ours must not be heard of outside (npm.md 4, 5).
func (r *Resolver) namesFrom(ctx context.Context, shape *domainShape, repo *catalog.RepositoryRow, conns []fetch.Connection, names []packhouse.PackageName) ([][]packhouse.PackageName, error) {
	from := make([][]packhouse.PackageName, len(conns))
	if len(names) == 0 {
		return from, nil
	}
	if err := r.Settle(ctx); err != nil {
		return nil, err
	}
	r.remotes.unwritten.flush(ctx)
	var origins []catalog.NameOrigin
	known := make([]map[packhouse.PackageName]bool, len(conns))
	err := r.o.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if origins, err = tx.Origins(ctx, shape.closure(repo), names); err != nil {
			return err
		}
		for i, conn := range conns {
			k := r.remotes.key(shape.domain.ID, conn, packhouse.PackageName{})
			list, err := tx.KnownRemotes(ctx, k.domain, k.connection, k.credential, names)
			if err != nil {
				return err
			}
			known[i] = make(map[packhouse.PackageName]bool, len(list))
			for _, n := range list {
				known[i][n] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, StoreError("look for origins", err)
	}
	ours := map[packhouse.PackageName]bool{}
	closed := map[packhouse.PackageName]map[int64]bool{}
	for _, o := range origins {
		switch o.Origin.Type {
		case "":
		case packhouse.OriginExternal:
			if i := slices.IndexFunc(conns, func(c fetch.Connection) bool { return c.Name == o.Origin.Connection }); i >= 0 {
				known[i][o.Name] = true
			}
		default:
			ours[o.Name] = true
		}
		if o.Upstream == packhouse.Block {
			if closed[o.Name] == nil {
				closed[o.Name] = map[int64]bool{}
			}
			closed[o.Name][o.RepoID] = true
		}
	}
	for _, n := range names {
		if ours[n] {
			continue
		}
		reachable := func(string) bool { return true }
		if blocks, origins := closed[n], shape.origins(n); blocks != nil || !origins.ruling.Open() {
			sources := origins.admit(repo, shape.sources(repo, func(id int64) bool { return blocks[id] }))
			reachable = func(connection string) bool { return reaches(sources, connection) }
		}
		for i, conn := range conns {
			if known[i][n] && reachable(conn.Name) {
				from[i] = append(from[i], n)
				break
			}
		}
	}
	return from, nil
}
