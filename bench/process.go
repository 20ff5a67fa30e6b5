package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = 30 * time.Second // until the first answer
	stopTimeout  = 30 * time.Second // from SIGTERM to the end
)

// process is a server under measurement.
type process struct {
	cmd  *exec.Cmd
	addr string        // host:port
	took time.Duration // from exec to the first answer
	log  string        // file with all that it said
	pids []int         // it and its workers
	gone chan struct{} // closed when the process has ended
}

// command describes how to start a server.
type command struct {
	name string // for errors and the log's file name
	argv []string
	env  []string // in addition to a clean environment
	addr string   // where it will listen
	// ready is the path whose answer below 500 means that the server is there.
	ready string
}

// start runs a server and waits for its first answer. Whatever goes wrong, no process is
// left behind.
func (b *bench) start(c command) (*process, error) {
	log, err := os.OpenFile(filepath.Join(b.dir, c.name+".log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the child has its own
	p := &process{cmd: exec.Command(c.argv[0], c.argv[1:]...), addr: c.addr, log: log.Name(), gone: make(chan struct{})}
	p.cmd.Env = append(cleanEnv(), c.env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its ProcessState
		close(p.gone)
	}()
	// One connection per try, as little as possible beside the server that is measured.
	client := &http.Client{Timeout: startTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		resp, err := client.Get("http://" + c.addr + c.ready)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode < http.StatusInternalServerError {
				p.took = time.Since(began)
				p.pids = family(p.cmd.Process.Pid)
				return p, nil
			}
		}
		select {
		case <-p.gone:
			return nil, fmt.Errorf("%s ended at its start, %v\n%s", c.name, p.cmd.ProcessState, p.tail())
		case <-b.ctx.Done():
			p.stop()
			return nil, context.Cause(b.ctx)
		case <-time.After(200 * time.Microsecond):
		}
		if time.Since(began) > startTimeout {
			p.stop()
			return nil, fmt.Errorf("%s did not answer within %v\n%s", c.name, startTimeout, p.tail())
		}
	}
}

// stop ends the process and waits for it; one that does not end in time is killed.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.gone
	}
}

// cpu is the time that the process and its workers have used.
func (p *process) cpu() (total time.Duration, err error) {
	for i, pid := range p.pids {
		t, err := cpuTime(pid)
		if i > 0 && errors.Is(err, syscall.EINVAL) {
			continue // a helper of its start that has ended since
		}
		if err != nil {
			return 0, err
		}
		total += t
	}
	return total, nil
}

// rss is what is resident, in bytes; peak the most that was since resetPeak.
func (p *process) rss() int64  { return p.memory("VmRSS") }
func (p *process) peak() int64 { return p.memory("VmHWM") }

func (p *process) memory(name string) (total int64) {
	for _, pid := range p.pids {
		total += memory(pid, name)
	}
	return total
}

func (p *process) resetPeak() error {
	for _, pid := range p.pids {
		if err := resetPeak(pid); err != nil {
			return err
		}
	}
	return nil
}

// tail is the end of what the process said.
func (p *process) tail() string {
	text, _ := os.ReadFile(p.log)
	return string(text[max(0, len(text)-2000):])
}

// freeAddress finds a loopback address that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// cleanEnv is the environment without what would point a server or a client anywhere.
func cleanEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		for _, prefix := range []string{"AWS_", "PACKHOUSE_", "npm_config_", "NPM_CONFIG_", "VERDACCIO_"} {
			if strings.HasPrefix(kv, prefix) {
				return true
			}
		}
		return false
	})
}
