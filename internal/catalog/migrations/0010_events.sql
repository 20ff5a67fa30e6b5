-- What events tell of a change of a version, and the addresses that events are delivered
-- to. Old rows of changes count no assets: nobody was told of them.
-- Columns with a constant default and new tables: on any database it takes milliseconds.

-- +goose Up
ALTER TABLE changes ADD COLUMN assets_added BIGINT NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN assets_removed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN assets_updated BIGINT NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN metadata_updated SMALLINT NOT NULL DEFAULT 0;

-- seen is the last change that was turned into deliveries, or was none of its business.
CREATE TABLE webhooks (
	id         {{id}},
	account_id {{text}} NOT NULL,
	name       {{text}} NOT NULL,
	url        {{text}} NOT NULL,
	secret     {{bytes}} NOT NULL,
	filter     {{bytes}},
	enabled    SMALLINT NOT NULL,
	seen       BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	UNIQUE (account_id, name)
);

-- One row for each event and webhook. line names the package: its events go one after
-- the other, in the order of their ids.
CREATE TABLE deliveries (
	id         {{id}},
	webhook_id BIGINT NOT NULL REFERENCES webhooks (id),
	change_id  BIGINT NOT NULL,
	line       {{text}} NOT NULL,
	state      {{text}} NOT NULL,
	attempts   BIGINT NOT NULL,
	next_at    BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	ended_at   BIGINT NOT NULL,
	status     BIGINT NOT NULL,
	error      {{text}} NOT NULL
);
CREATE INDEX deliveries_of ON deliveries (webhook_id, state, id);
CREATE INDEX deliveries_line ON deliveries (webhook_id, line, state, id);
