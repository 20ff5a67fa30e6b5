-- The keys with which a domain signs the versions that are published in it.
-- Only a new table: on any database it takes milliseconds.

-- +goose Up

-- private: sealed. expires_at is NULL for the current key.
CREATE TABLE signing_keys (
	id         {{id}},
	domain_id  BIGINT NOT NULL REFERENCES domains (id),
	key_id     {{text}} NOT NULL,
	public     {{bytes}} NOT NULL,
	private    {{bytes}} NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT,
	UNIQUE (domain_id, key_id)
);
CREATE UNIQUE INDEX signing_keys_current ON signing_keys (domain_id) WHERE expires_at IS NULL;
