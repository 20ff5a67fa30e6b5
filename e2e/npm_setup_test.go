package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// user-experience.md 6 and 10: `packhouse login X` is all that a client needs to publish
// and install, and `packhouse logout X` leaves every file byte-identical. The package that
// is installed has no scope, because Yarn 1 then sends its token only if it is told to.
func TestPackhouseLoginOfEachClient(t *testing.T) {
	tools := installedTools(t)
	s := startServer(t)
	makeStore(t, s, "main", "store")
	s.publish(t, s.base("npm", "main", "store"), s.token("main"), npmPackage{Name: "plain", Version: "1.0.0"})

	logins := map[string]string{"npm8": "npm", "npm10": "npm", "npm": "npm", "npm12": "npm",
		"pnpm10": "pnpm", "pnpm12": "pnpm", "yarn1": "yarn1", "yarn4": "yarn", "bun": "bun"}
	for _, c := range tools {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			own := map[string]string{".npmrc": "; mine\n//elsewhere.example/:_authToken=keep-me", ".yarnrc.yml": "# mine\nnpmMinimalAgeGate: 0\n"}
			writeFiles(t, home, own)
			packhouse := func(args ...string) {
				t.Helper()
				cmd := exec.Command(binary, args...)
				cmd.Env = s.clientEnv(home)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("packhouse %v: %v\n%s", args, err, out)
				}
			}
			packhouse("login", logins[c.name], "--domain", "main", "--repository", "store")
			dir := project(t, map[string]any{"name": "from-" + c.name, "version": "1.0.0", "license": "MIT"}, nil)
			for _, args := range c.publish {
				c.must(t, home, dir, args...)
			}
			dir = app(t, map[string]string{"plain": "1.0.0"})
			c.must(t, home, dir, c.install...)
			if _, err := os.Stat(filepath.Join(dir, "node_modules", "plain", "package.json")); err != nil {
				t.Error(err)
			}
			packhouse("logout", logins[c.name])
			for name, text := range own {
				if got := readFile(t, home, name); got != text {
					t.Errorf("%s after logout:\n%s\nwant\n%s", name, got, text)
				}
			}
		})
	}
}
