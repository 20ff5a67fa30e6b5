package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// tree is a dependency tree of 37 packages, four levels deep: each package depends on
// up to three others.
func tree() []version {
	const packages, arity = 37, 3
	vs := make([]version, packages)
	for i := range vs {
		vs[i] = version{name: fmt.Sprintf("tree-%02d", i), number: "1.0.0", size: 20_000, dependencies: map[string]string{}}
		for k := range arity {
			if child := arity*i + k + 1; child < packages {
				vs[i].dependencies[fmt.Sprintf("tree-%02d", child)] = "^1.0.0"
			}
		}
	}
	return vs
}

// install is row 19: npm installs the tree with the upstream 20 ms away, through a server
// that has nothing (cold), again with an empty cache of its own (warm), straight from
// the upstream, and from an upstream without distance (npm alone).
func install(b *bench) error {
	npm := os.Getenv("PACKHOUSE_NPM_CURRENT")
	if npm == "" {
		var err error
		if npm, err = exec.LookPath("npm"); err != nil {
			return errors.New("npm is needed; install it with scripts/clients.sh")
		}
	}
	up, err := startUpstream(tree()...)
	if err != nil {
		return err
	}
	defer up.stop()
	const (
		alone    = "npm alone"
		straight = "direct"
	)
	times := map[string][]float64{}
	run := func(key, registry, auth string, distance time.Duration) error {
		up.delay.Store(int64(distance))
		took, err := b.npmInstall(npm, registry, auth)
		times[key] = append(times[key], took.Seconds())
		return err
	}
	const distance = 20 * time.Millisecond
	for range b.rounds {
		if err := errors.Join(run(alone, up.url(), "", 0), run(straight, up.url(), "", distance)); err != nil {
			return err
		}
		ts, err := b.targets(up.url(), ours, peer)
		if err != nil {
			return err
		}
		for _, t := range ts {
			registry, auth := "http://"+t.addr+t.base, ""
			if len(t.auth) > 0 {
				auth = "//" + t.addr + t.base + ":_authToken=" + strings.TrimPrefix(t.auth[0], "Authorization: Bearer ")
			}
			err = errors.Join(err, run(t.name+" cold", registry, auth, distance), run(t.name+" warm", registry, auth, distance))
		}
		ts.stop()
		if err != nil {
			return err
		}
	}
	of := func(key string) spread { return spreadOf(times[key]) }
	add := func(what, state string, base string, most float64) {
		mine, with := of(ours+" "+state), of(base)
		l := line{row: "19", what: what, toLimit: ratio(mine.median, with.median) + " of " + base,
			target:  fmt.Sprintf("within %.2fx of %s", most, base),
			reached: judge(mine.median <= most*with.median),
			cells:   map[string]string{ours: mine.text("s"), limit: with.text("s") + " " + base}}
		// No quoted figure: a cold install mostly waits for the upstream, which no ratio of
		// machines scales.
		if p := of(peer + " " + state); p.median > 0 {
			l.cells[peer] = p.text("s")
			l.toPeer = ratio(p.median, mine.median) + " less than " + peer
		}
		b.table.add(l)
	}
	add("npm install of 37 packages, upstream 20 ms away, warm", "warm", alone, 1.05)
	add("the same, cold", "cold", straight, 1.03)
	return nil
}

// npmInstall installs the tree into an empty project with an empty cache.
func (b *bench) npmInstall(npm, registry, auth string) (time.Duration, error) {
	dir, err := b.folder("install")
	if err != nil {
		return 0, err
	}
	for name, text := range map[string]string{
		"package.json": `{"name":"app","version":"1.0.0","dependencies":{"tree-00":"^1.0.0"}}`,
		".npmrc":       "registry=" + registry + "\n" + auth + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return 0, err
		}
	}
	cmd := exec.CommandContext(b.ctx, npm, "install", "--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--cache", filepath.Join(dir, ".cache"))
	cmd.Dir = dir
	cmd.Env = append(cleanEnv(), "HOME="+dir)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		return took, fmt.Errorf("npm install from %s: %w\n%s", registry, err, out)
	}
	installed, err := filepath.Glob(filepath.Join(dir, "node_modules", "tree-*"))
	if err == nil && len(installed) != 37 {
		err = fmt.Errorf("npm installed %d packages instead of 37", len(installed))
	}
	return took, err
}
