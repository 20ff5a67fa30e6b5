-- Packages, versions and bytes that are blocked. A row names a package, with an empty
-- version_key for all of its versions, or it names bytes and no package.
-- A new table: on any database it takes milliseconds.

-- +goose Up
CREATE TABLE blocks (
	id          {{id}},
	domain_id   BIGINT NOT NULL REFERENCES domains (id),
	format      {{text}} NOT NULL,
	namespace   {{text}} NOT NULL,
	name        {{text}} NOT NULL,
	version_key {{text}} NOT NULL,
	sha256      {{bytes}},
	target      {{text}} NOT NULL,
	reason      {{text}} NOT NULL,
	principal   {{text}} NOT NULL,
	created_at  BIGINT NOT NULL,
	UNIQUE (domain_id, target)
);
