// Package fetch is every outbound HTTP call: address guard, redirects by hand, limits,
// retries, validators, circuit breaker, credentials bound to their origin
// (reliability.md S21-S24, R26-R29, A8). It is on the stores' floor and keeps nothing
// but breaker state and connection pools. Start reading with Client.
package fetch
