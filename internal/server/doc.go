// Package server is the composition root: it opens what is kept, builds the engine,
// the rooms and the doors, and answers HTTP with them. It knows which path belongs to
// whom (addresses.md) and holds what every request passes: limits, the access log,
// metrics, panic containment.
//
// It is on the roof: nothing but commands may import it. Start reading with Build, then
// edge.go for the way of a request.
package server
