-- Signing in: second factors, logins that are finished in a browser, and sealed tokens
-- that were ended before their time. Times are microseconds since 1970 UTC. Columns
-- marked "sealed" hold ciphertext bound to table, column and row name.
-- Only new tables: it takes milliseconds.

-- +goose Up

-- secret: sealed under the installation's keyset. last_step is the time step of the
-- last code that was accepted: no code is good twice.
CREATE TABLE second_factors (
	principal_id BIGINT PRIMARY KEY REFERENCES principals (id),
	secret       {{bytes}} NOT NULL,
	last_step    BIGINT NOT NULL,
	created_at   BIGINT NOT NULL
);

-- page and poll are the SHA-256 of the two secrets of a login. Rows go some minutes
-- after expires_at.
CREATE TABLE logins (
	id           {{id}},
	page         {{bytes}} NOT NULL UNIQUE,
	poll         {{bytes}} NOT NULL UNIQUE,
	state        {{text}} NOT NULL,
	origin       {{text}} NOT NULL,
	address      {{text}} NOT NULL,
	agent        {{text}} NOT NULL,
	domain_owner {{text}} NOT NULL,
	domain       {{text}} NOT NULL,
	repository   {{text}} NOT NULL,
	principal_id BIGINT,
	created_at   BIGINT NOT NULL,
	expires_at   BIGINT NOT NULL
);
CREATE INDEX logins_expiry ON logins (expires_at);
CREATE INDEX logins_origin ON logins (origin, expires_at);

CREATE TABLE revocations (
	token_id   {{text}} PRIMARY KEY,
	expires_at BIGINT NOT NULL
);
CREATE INDEX revocations_expiry ON revocations (expires_at);
