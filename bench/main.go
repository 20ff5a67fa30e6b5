package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	ctx      context.Context // ends the run; child processes die with it
	binary   string          // of Packhouse
	rounds   int
	length   time.Duration // of one load
	packages int           // how far the growth rows go
	selected []string      // rows; nil means all
	dir      string        // temporary
	serial   int           // of directories made in it
	table    table
}

// rows lists what is measured, in the order of running: the ids of performance rows that
// a function yields, and the function.
var rows = []struct {
	ids     []string
	measure func(*bench) error
}{
	{[]string{"24"}, binarySize},
	{[]string{"22", "23"}, startAndIdle},
	{[]string{"1", "3"}, smallPackument},
	{[]string{"2", "3", "23"}, largePackument},
	{[]string{"4"}, smallFile},
	{[]string{"5"}, largeFiles},
	{[]string{"11"}, publishSmall},
	{[]string{"12"}, publishLarge},
	{[]string{"13"}, publishMany},
	{[]string{"14"}, tokenCheck},
	{[]string{"15"}, coldPull},
	{[]string{"16"}, warmHit},
	{[]string{"17"}, herd},
	{[]string{"18"}, brokenUpstream},
	{[]string{"19"}, install},
	{[]string{"20", "21"}, growth},
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	b := &bench{ctx: ctx}
	flags.StringVar(&b.binary, "bin", "bin/packhouse", "the server to measure")
	flags.IntVar(&b.rounds, "rounds", 3, "interleaved rounds")
	flags.DurationVar(&b.length, "length", 3*time.Second, "length of one load; publishes are counted in proportion")
	flags.IntVar(&b.packages, "packages", 100_000, "packages at the end of the growth rows")
	into := flags.String("into", "", "a document to put the table into, between its two marks, beside standard output")
	list := flags.String("rows", "", "rows to run, separated by commas; empty means all")
	bare := flags.String("bare", "", "be the bare file server for a directory (the program starts itself so)")
	bareListen := flags.String("bare-listen", "", "address of the bare file server")
	bareUpstream := flags.String("bare-upstream", "", "where the bare file server fetches what it lacks")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *bare != "" {
		return serveBare(ctx, *bareListen, *bare, *bareUpstream)
	}
	if *into != "" && *list != "" {
		return errors.New("-into replaces a whole table, so it does not go with -rows")
	}
	if *list != "" {
		b.selected = strings.Split(*list, ",")
	}
	if b.rounds < 1 || b.length < 100*time.Millisecond || b.packages < 1000 {
		return errors.New("-rounds must be at least 1, -length at least 100ms, -packages at least 1000")
	}
	if b.binary, err = filepath.Abs(b.binary); err != nil {
		return err
	}
	if _, err := os.Stat(b.binary); err != nil {
		return fmt.Errorf("%w; build it first: make build", err)
	}
	if b.dir, err = os.MkdirTemp("", "packhouse-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()

	failed := b.measure()
	if err := b.table.write(os.Stdout); err != nil {
		return err
	}
	if *into != "" && len(failed) == 0 {
		if err := b.table.putInto(*into); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

// measure runs the selected rows. One that fails does not keep the others from running.
func (b *bench) measure() (failed []error) {
	ran := false
	for _, r := range rows {
		if !slices.ContainsFunc(r.ids, b.wants) {
			continue
		}
		ran = true
		began := time.Now()
		if err := r.measure(b); err != nil {
			failed = append(failed, fmt.Errorf("row %s: %w", strings.Join(r.ids, ", "), err))
			b.say("row %s failed: %v", strings.Join(r.ids, ", "), err)
		}
		b.say("row %s took %v", strings.Join(r.ids, ", "), time.Since(began).Round(time.Second))
		if b.ctx.Err() != nil {
			return append(failed, context.Cause(b.ctx))
		}
	}
	if !ran {
		failed = append(failed, fmt.Errorf("there are no rows %s", strings.Join(b.selected, ",")))
	}
	return failed
}

// wants reports whether a row was selected.
func (b *bench) wants(id string) bool { return b.selected == nil || slices.Contains(b.selected, id) }

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

// folder makes an empty directory that goes with the run.
func (b *bench) folder(name string) (string, error) {
	b.serial++
	dir := filepath.Join(b.dir, fmt.Sprintf("%02d-%s", b.serial, name))
	return dir, os.Mkdir(dir, 0o700)
}
