// Command bench measures Packhouse beside the physical limit, a bare Go file server, and
// beside its peers on this machine, and prints one table: a row per promise, with the
// ratios and whether the target was reached.
//
// All data is synthetic and the same in every run. Load is closed-loop over loopback,
// from connections that cost the machine little; rounds are interleaved over the
// servers, figures are medians with their least and greatest. A load in which any answer
// was not the expected one is an error, never a figure. The figure to read first is CPU
// time of the server per request: it is the steadiest on a machine that others share.
//
// It belongs to no floor: it starts binaries and talks HTTP to them. Start reading with
// rows, the list of what is measured.
package main
