// Package jobs is the work that goes on beside requests: it is leased, so that of several
// nodes over one database one does it, and goes on where it was left. What is here looks
// after stored bytes: Scrub reads all of them again and again, Watch marks what reads find
// damaged and has it fetched anew, Sample looks at a few when the server starts, and Verify
// is all of that at once for an operator (reliability.md R15-R17).
//
// It is on the engine's floor and decides no access. Start reading with Runner and Store.
package jobs
