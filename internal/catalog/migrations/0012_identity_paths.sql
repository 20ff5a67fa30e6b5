-- Paths and permissions boundaries of identities, paths, tags and versions of managed
-- policies. Everything there is has the path "/". A boundary is a managed policy that
-- limits what an identity's other policies allow. identity_policies.document stays the
-- document that holds, that of the default version; last_version is the highest that
-- there ever was, for numbers are not given twice. Versions of policies that the server
-- ships are not looked at. Times are microseconds since 1970 UTC.
-- New columns and one row for each managed policy: milliseconds for a thousand policies.

-- +goose Up

ALTER TABLE principals ADD COLUMN path {{text}} NOT NULL DEFAULT '/';
ALTER TABLE principals ADD COLUMN boundary_id BIGINT REFERENCES identity_policies (id);
CREATE INDEX principals_boundary ON principals (boundary_id) WHERE boundary_id IS NOT NULL;

-- When the password was set; 0 for those from before.
ALTER TABLE principals ADD COLUMN password_at BIGINT NOT NULL DEFAULT 0;

ALTER TABLE identity_policies ADD COLUMN path {{text}} NOT NULL DEFAULT '/';
ALTER TABLE identity_policies ADD COLUMN tags {{bytes}};
ALTER TABLE identity_policies ADD COLUMN default_version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE identity_policies ADD COLUMN last_version BIGINT NOT NULL DEFAULT 1;

CREATE TABLE identity_policy_versions (
	policy_id  BIGINT NOT NULL REFERENCES identity_policies (id),
	version    BIGINT NOT NULL,
	document   {{text}} NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (policy_id, version)
) {{by_key}};
INSERT INTO identity_policy_versions (policy_id, version, document, created_at)
	SELECT i.id, 1, i.document, i.created_at FROM identity_policies i;
