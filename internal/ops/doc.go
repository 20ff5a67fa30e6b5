// Package ops is every action, once: check the policy, do it in one transaction, record
// the change. Doors and rooms call its Service and nothing below it.
//
// It is on the engine's floor, above resolve and index. It knows no wire format, no
// status code and no package format by name. Every exported method of Service that
// takes a principal begins with a call of allow; the deny-all test proves it. Start
// reading with Service.
package ops
