//go:build race

package server

// underRace reports the race detector, under which pools give nothing back and counts of
// allocations mean nothing.
const underRace = true
