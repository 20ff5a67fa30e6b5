-- The parts of uploads that take several requests. The table uploads is older and was not
-- used before; of its columns, hash_state, staging_key and parts stay unused.
-- Only a new table and an index over an empty one: on any database it takes milliseconds.

-- +goose Up

-- Each part is a blob that no row of blobs knows.
CREATE TABLE upload_parts (
	upload      {{text}} NOT NULL REFERENCES uploads (uuid),
	position    BIGINT NOT NULL,
	sha256      {{bytes}} NOT NULL,
	size        BIGINT NOT NULL,
	object      {{text}} NOT NULL,
	wrapped_key {{bytes}} NOT NULL,
	key_id      {{text}} NOT NULL,
	PRIMARY KEY (upload, position)
) {{by_key}};
CREATE INDEX uploads_principal ON uploads (principal_id);
