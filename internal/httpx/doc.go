// Package httpx holds what every door and room does with HTTP and must do alike:
// splitting paths once, matching patterns, conditional and ranged answers, bounded
// bodies, the default status of an error, request ids. It is on the workshop floor: no
// state, no access decisions. Start reading with SplitPath and WriteDoc.
package httpx
