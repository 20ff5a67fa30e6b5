package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/packhouse/packhouse/internal/client"
)

// startPackhouse starts Packhouse with an empty data directory and the default
// configuration, its public registry replaced by upstream, and makes the repository that
// `packhouse quickstart` makes. Without an upstream the repository is alone.
func (b *bench) startPackhouse(upstream string) (*target, error) {
	dir, err := b.folder("packhouse")
	if err != nil {
		return nil, err
	}
	t, err := b.openPackhouse(dir, upstream)
	if err != nil {
		return nil, err
	}
	if upstream == "" {
		err = b.makeAlone(t)
	} else {
		_, err = b.packhouse(t, "quickstart")
	}
	if err == nil {
		err = b.signIn(t)
	}
	if err != nil {
		t.stop()
		return nil, err
	}
	return t, nil
}

// openPackhouse starts Packhouse on a data directory, without signing in.
func (b *bench) openPackhouse(dir, upstream string) (*target, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	argv := []string{b.binary, "serve", "--data-dir", dir, "--listen", addr}
	if upstream != "" {
		argv = append(argv, "--connection", "public:npmjs="+upstream)
	}
	p, err := b.start(command{name: "packhouse", addr: addr, ready: "/readyz", argv: argv})
	if err != nil {
		return nil, err
	}
	return &target{process: p, name: ours, base: "/npm/main/store/", store: dir}, nil
}

// makeAlone makes the domain and the repository of the other rows, without upstreams.
func (b *bench) makeAlone(t *target) error {
	api, err := b.api(t)
	if err != nil {
		return err
	}
	query := url.Values{"domain": {"main"}}
	if err := api.Call(b.ctx, http.MethodPost, "/v1/domain", query, struct{}{}, nil); err != nil {
		return err
	}
	query.Set("repository", "store")
	return api.Call(b.ctx, http.MethodPost, "/v1/repository", query, struct{}{}, nil)
}

// api calls a server with the key in its data directory.
func (b *bench) api(t *target) (*client.Client, error) {
	config, err := client.Load(t.store, func(string) string { return "" })
	if err != nil {
		return nil, err
	}
	config.Endpoint = "http://" + t.addr
	return client.New(config)
}

func (b *bench) signIn(t *target) error {
	token, err := b.packhouse(t, "token", "create", fmt.Sprintf("bench-%d", time.Now().UnixNano()), "--user", "admin")
	if err != nil {
		return err
	}
	t.auth = []string{"Authorization: Bearer " + strings.TrimSpace(string(token))}
	return nil
}

// packhouse runs a command of the binary against a server.
func (b *bench) packhouse(t *target, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(b.ctx, b.binary, args...)
	cmd.Env = append(cleanEnv(), "PACKHOUSE_DATA_DIR="+t.store, "PACKHOUSE_URL=http://"+t.addr)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	if err != nil {
		err = fmt.Errorf("packhouse %s: %w", strings.Join(args, " "), err)
	}
	return out, err
}

// startBare starts this program as the bare file server.
func (b *bench) startBare(upstream string) (*target, error) {
	dir, err := b.folder("bare")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p, err := b.start(command{name: "bare", addr: addr, ready: "/",
		argv: []string{self, "-bare", dir, "-bare-listen", addr, "-bare-upstream", upstream}})
	if err != nil {
		return nil, err
	}
	return &target{process: p, name: limit, base: "/", store: dir}, nil
}

const nginxConfig = `daemon off;
worker_processes 2;
pid %[1]s/nginx.pid;
error_log stderr;
events {}
http {
	access_log off;
	sendfile on;
	keepalive_requests 100000000;
	client_body_temp_path %[1]s;
	proxy_temp_path %[1]s;
	fastcgi_temp_path %[1]s;
	uwsgi_temp_path %[1]s;
	scgi_temp_path %[1]s;
	server {
		listen %[2]s;
		root %[3]s;
	}
}
`

// startNginx starts nginx on a directory; nil if it is not installed.
func (b *bench) startNginx(root string) (*target, error) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program = "/usr/sbin/nginx"; !exists(program) {
			return nil, nil
		}
	}
	dir, err := b.folder("nginx")
	if err != nil {
		return nil, err
	}
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(nginxConfig, dir, addr, root)
	if os.Getuid() == 0 {
		text = "user root;\n" + text // its workers read the run's private directory
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p, err := b.start(command{name: "nginx", addr: addr, ready: "/", argv: []string{program, "-p", dir, "-c", config}})
	if err != nil {
		return nil, err
	}
	return &target{process: p, name: static, base: "/", store: root}, nil
}

// Everybody may read and publish: the peer checks no token, which is to its advantage.
const verdaccioConfig = `storage: %[1]s/storage
auth:
  htpasswd:
    file: %[1]s/htpasswd
%[2]spackages:
  '**':
    access: $all
    publish: $all
    unpublish: $all
%[3]sweb:
  enable: false
server:
  keepAliveTimeout: 60
max_body_size: 200mb
log: { type: stdout, format: json, level: error }
`

// startVerdaccio starts Verdaccio with an empty storage; nil if it, or a Node that it
// runs on, is not installed. The variables are those of `scripts/clients.sh env`.
func (b *bench) startVerdaccio(upstream string) (*target, error) {
	if !exists(os.Getenv("PACKHOUSE_NODE22")) || !exists(os.Getenv("PACKHOUSE_VERDACCIO")) {
		return nil, nil
	}
	dir, err := b.folder("verdaccio")
	if err != nil {
		return nil, err
	}
	uplinks, proxy := "", ""
	if upstream != "" {
		uplinks, proxy = fmt.Sprintf("uplinks:\n  up:\n    url: %s\n", upstream), "    proxy: up\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), fmt.Appendf(nil, verdaccioConfig, dir, uplinks, proxy), 0o600); err != nil {
		return nil, err
	}
	return b.openVerdaccio(dir)
}

// openVerdaccio starts Verdaccio on a directory that has been prepared.
func (b *bench) openVerdaccio(dir string) (*target, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p, err := b.start(command{name: "verdaccio", addr: addr, ready: "/-/ping", env: []string{"HOME=" + dir},
		argv: []string{os.Getenv("PACKHOUSE_NODE22"), os.Getenv("PACKHOUSE_VERDACCIO"),
			"--config", filepath.Join(dir, "config.yaml"), "--listen", addr}})
	if err != nil {
		return nil, err
	}
	return &target{process: p, name: peer, base: "/", store: dir}, nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return file != "" && err == nil
}
