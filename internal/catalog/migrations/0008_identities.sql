-- Groups, roles, inline policies and OpenID Connect providers. A group is a row of
-- principals with the kind "group": it has a name and policies like any other identity,
-- and nothing can sign in as one. Times are microseconds since 1970 UTC.
-- New tables and columns; the documents that users were made with become inline
-- policies, which takes milliseconds for a thousand users.

-- +goose Up

ALTER TABLE principals ADD COLUMN description {{text}} NOT NULL DEFAULT '';

-- The longest session of a role, in seconds.
ALTER TABLE principals ADD COLUMN max_session BIGINT NOT NULL DEFAULT 0;

-- The default is the zero time: never used.
ALTER TABLE access_keys ADD COLUMN last_used_at BIGINT NOT NULL DEFAULT -62135596800000000;
ALTER TABLE access_keys ADD COLUMN last_service {{text}} NOT NULL DEFAULT '';

ALTER TABLE identity_policies ADD COLUMN description {{text}} NOT NULL DEFAULT '';
ALTER TABLE identity_policies ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
UPDATE identity_policies SET created_at = updated_at;

CREATE TABLE group_members (
	group_id     BIGINT NOT NULL REFERENCES principals (id),
	principal_id BIGINT NOT NULL REFERENCES principals (id),
	PRIMARY KEY (group_id, principal_id)
) {{by_key}};
CREATE INDEX group_members_principal ON group_members (principal_id);

CREATE TABLE inline_policies (
	principal_id BIGINT NOT NULL REFERENCES principals (id),
	name         {{text}} NOT NULL,
	document     {{text}} NOT NULL,
	updated_at   BIGINT NOT NULL,
	PRIMARY KEY (principal_id, name)
) {{by_key}};

-- Names with a slash were the documents that users were made with.
INSERT INTO inline_policies (principal_id, name, document, updated_at)
	SELECT a.principal_id, 'inline', i.document, i.updated_at
	FROM policy_attachments a JOIN identity_policies i ON i.id = a.policy_id WHERE i.name LIKE 'user/%';
DELETE FROM policy_attachments WHERE policy_id IN (SELECT id FROM identity_policies WHERE name LIKE 'user/%');
DELETE FROM identity_policies WHERE name LIKE 'user/%';

-- issuer: the address without its scheme. audiences and thumbprints: JSON lists.
CREATE TABLE oidc_providers (
	id          {{id}},
	account_id  {{text}} NOT NULL REFERENCES accounts (id),
	issuer      {{text}} NOT NULL,
	url         {{text}} NOT NULL,
	audiences   {{bytes}} NOT NULL,
	thumbprints {{bytes}} NOT NULL,
	created_at  BIGINT NOT NULL,
	UNIQUE (account_id, issuer)
);
