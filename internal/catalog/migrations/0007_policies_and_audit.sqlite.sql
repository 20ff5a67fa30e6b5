-- Policies of domains and repositories, one document each, and the audit log, to which
-- the engine itself only lets anybody append. Only new tables: it takes milliseconds.

-- +goose Up

CREATE TABLE resource_policies (
	kind        {{text}} NOT NULL,
	resource_id BIGINT NOT NULL,
	revision    {{text}} NOT NULL,
	document    {{text}} NOT NULL,
	updated_at  BIGINT NOT NULL,
	PRIMARY KEY (kind, resource_id)
) {{by_key}};

CREATE TABLE audit (
	id            {{id}},
	at            BIGINT NOT NULL,
	event_id      {{text}} NOT NULL,
	door          {{text}} NOT NULL,
	name          {{text}} NOT NULL,
	read_only     SMALLINT NOT NULL,
	principal     {{text}} NOT NULL,
	client        {{text}} NOT NULL,
	agent         {{text}} NOT NULL,
	request_id    {{text}} NOT NULL,
	method        {{text}} NOT NULL,
	path          {{text}} NOT NULL,
	resource      {{text}} NOT NULL,
	version       {{text}} NOT NULL,
	administrator {{text}} NOT NULL,
	status        SMALLINT NOT NULL,
	error         {{text}} NOT NULL,
	message       {{text}} NOT NULL,
	decision      {{text}} NOT NULL
);
CREATE INDEX audit_at ON audit (at);
-- +goose StatementBegin
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN
	SELECT RAISE(ABORT, 'audit is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN
	SELECT RAISE(ABORT, 'audit is append-only');
END;
-- +goose StatementEnd
