// Package format is the contract between the house and its rooms: what a package
// format must offer (Format), what it may offer (Inspector, Renderer, Puller,
// ErrorWriter, ClientSetup, OneTimeCodes), and all that it may ask for (House).
//
// It is on the workshop floor: types and interfaces only, no state, no SQL, no
// HTTP serving. Rooms implement it in internal/format/<name>; the engine implements
// House and calls the rooms. A Format value is stateless; Inspect, Render, ReadIndex
// are pure, so that golden tests can pin them. Start reading with Format.
package format
