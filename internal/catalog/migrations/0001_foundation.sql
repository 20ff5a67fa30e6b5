-- The foundation: every table of the main job, with all tombstone columns, sealed
-- columns and identity keys, although nothing uses some of them yet. Times are
-- microseconds since 1970 UTC. Hashes are raw bytes. Booleans are 0 and 1. Columns
-- marked "sealed" hold ciphertext bound to table, column and row name.
-- Only new tables: on an empty database it takes milliseconds.

-- +goose Up

-- Installation, accounts and identities.

CREATE TABLE installation (
	id          BIGINT PRIMARY KEY,
	uuid        {{text}} NOT NULL,
	token_epoch BIGINT NOT NULL,
	keyset      {{bytes}},
	key_id      {{text}} NOT NULL,
	clock_seen  BIGINT NOT NULL,
	created_at  BIGINT NOT NULL
);

CREATE TABLE epochs (
	name  {{text}} PRIMARY KEY,
	value BIGINT NOT NULL
);

INSERT INTO epochs (name, value) VALUES ('identity', 1);

CREATE TABLE accounts (
	id          {{text}} PRIMARY KEY,
	name        {{text}} NOT NULL,
	project_id  {{text}} UNIQUE,
	token_epoch BIGINT NOT NULL DEFAULT 0,
	created_at  BIGINT NOT NULL
);

CREATE TABLE principals (
	id           {{id}},
	account_id   {{text}} NOT NULL REFERENCES accounts (id),
	kind         {{text}} NOT NULL,
	name         {{text}} NOT NULL,
	name_key     {{text}} NOT NULL,
	arn          {{text}} NOT NULL UNIQUE,
	password     {{text}},
	tags         {{bytes}},
	trust_policy {{text}},
	disabled_at  BIGINT,
	token_epoch  BIGINT NOT NULL,
	created_at   BIGINT NOT NULL,
	UNIQUE (account_id, kind, name_key)
);

-- secret: sealed under the installation's keyset; SigV4 needs it back.
CREATE TABLE access_keys (
	id           {{text}} PRIMARY KEY,
	principal_id BIGINT NOT NULL REFERENCES principals (id),
	secret       {{bytes}} NOT NULL,
	active       SMALLINT NOT NULL,
	created_at   BIGINT NOT NULL
);
CREATE INDEX access_keys_principal ON access_keys (principal_id);

CREATE TABLE tokens (
	id            {{id}},
	public_id     {{text}} NOT NULL UNIQUE,
	sha256        {{bytes}} NOT NULL,
	principal_id  BIGINT NOT NULL REFERENCES principals (id),
	kind          {{text}} NOT NULL,
	name          {{text}} NOT NULL,
	scopes        {{text}} NOT NULL,
	repository_id BIGINT,
	enabled       SMALLINT NOT NULL,
	expires_at    BIGINT NOT NULL,
	last_used_at  BIGINT,
	created_at    BIGINT NOT NULL
);
CREATE INDEX tokens_principal ON tokens (principal_id);

CREATE TABLE identity_policies (
	id         {{id}} CHECK (id < 2147483648),
	account_id {{text}} NOT NULL REFERENCES accounts (id),
	name       {{text}} NOT NULL,
	document   {{text}} NOT NULL,
	updated_at BIGINT NOT NULL,
	UNIQUE (account_id, name)
);

CREATE TABLE policy_attachments (
	principal_id BIGINT NOT NULL REFERENCES principals (id),
	policy_id    BIGINT NOT NULL REFERENCES identity_policies (id),
	PRIMARY KEY (principal_id, policy_id)
) {{by_key}};
CREATE INDEX policy_attachments_policy ON policy_attachments (policy_id);

CREATE TABLE replays (
	hash       {{bytes}} PRIMARY KEY,
	answer     {{bytes}},
	expires_at BIGINT NOT NULL
);
CREATE INDEX replays_expiry ON replays (expires_at);

CREATE TABLE idempotency (
	id         {{text}} PRIMARY KEY,
	outcome    {{bytes}},
	expires_at BIGINT NOT NULL
);
CREATE INDEX idempotency_expiry ON idempotency (expires_at);

CREATE TABLE settings (
	scope {{text}} NOT NULL,
	key   {{text}} NOT NULL,
	value {{text}} NOT NULL,
	PRIMARY KEY (scope, key)
);

-- Domains, repositories and addresses.

CREATE TABLE domains (
	id          {{id}},
	account_id  {{text}} NOT NULL REFERENCES accounts (id),
	name        {{text}} NOT NULL,
	key_arn     {{text}} NOT NULL,
	key_id      {{text}} NOT NULL,
	keyset      {{bytes}},
	mode        {{text}} NOT NULL,
	bucket_name {{text}} NOT NULL,
	created_at  BIGINT NOT NULL,
	deleted_at  BIGINT
);
CREATE UNIQUE INDEX domains_live ON domains (account_id, name) WHERE deleted_at IS NULL;

CREATE TABLE domain_usage (
	domain_id BIGINT NOT NULL REFERENCES domains (id),
	shard     SMALLINT NOT NULL,
	bytes     BIGINT NOT NULL,
	blobs     BIGINT NOT NULL,
	PRIMARY KEY (domain_id, shard)
) {{by_key}};

CREATE TABLE repositories (
	id            {{id}},
	uuid          {{text}} NOT NULL UNIQUE,
	domain_id     BIGINT NOT NULL REFERENCES domains (id),
	name          {{text}} NOT NULL,
	admin_account {{text}} NOT NULL,
	description   {{text}} NOT NULL,
	settings      {{bytes}},
	created_at    BIGINT NOT NULL,
	deleted_at    BIGINT
);
CREATE UNIQUE INDEX repositories_live ON repositories (domain_id, name) WHERE deleted_at IS NULL;
CREATE INDEX repositories_admin ON repositories (admin_account, name) WHERE deleted_at IS NULL;

CREATE TABLE upstreams (
	repository_id BIGINT NOT NULL REFERENCES repositories (id),
	position      BIGINT NOT NULL,
	upstream_id   BIGINT NOT NULL REFERENCES repositories (id),
	PRIMARY KEY (repository_id, position),
	UNIQUE (repository_id, upstream_id)
) {{by_key}};
CREATE INDEX upstreams_upstream ON upstreams (upstream_id);

CREATE TABLE repository_connections (
	repository_id BIGINT NOT NULL REFERENCES repositories (id),
	position      BIGINT NOT NULL,
	name          {{text}} NOT NULL,
	PRIMARY KEY (repository_id, position),
	UNIQUE (repository_id, name)
) {{by_key}};

-- credential: sealed under the installation's keyset.
CREATE TABLE connections (
	name          {{text}} PRIMARY KEY,
	format        {{text}} NOT NULL,
	url           {{text}} NOT NULL,
	credential    {{bytes}},
	credential_id {{text}} NOT NULL DEFAULT '',
	proxy         {{text}} NOT NULL DEFAULT '',
	ca            {{bytes}},
	allow_hosts   {{text}} NOT NULL DEFAULT '',
	origin        {{text}} NOT NULL
);

CREATE TABLE owner_bindings (
	id                 {{id}} CHECK (id < 2147483648),
	login              {{text}} NOT NULL,
	login_key          {{text}} NOT NULL UNIQUE,
	kind               {{text}} NOT NULL,
	repository_id      BIGINT NOT NULL REFERENCES repositories (id),
	default_visibility {{text}} NOT NULL
);
CREATE INDEX owner_bindings_repository ON owner_bindings (repository_id);

CREATE TABLE namespaces (
	id            {{id}} CHECK (id < 2147483648),
	repository_id BIGINT NOT NULL REFERENCES repositories (id),
	format        {{text}} NOT NULL,
	name          {{text}} NOT NULL,
	public        SMALLINT NOT NULL DEFAULT 0,
	metadata      {{bytes}},
	created_at    BIGINT NOT NULL,
	updated_at    BIGINT NOT NULL,
	UNIQUE (repository_id, format, name)
);

CREATE TABLE resource_tags (
	kind        {{text}} NOT NULL,
	resource_id BIGINT NOT NULL,
	key         {{text}} NOT NULL,
	value       {{text}} NOT NULL,
	PRIMARY KEY (kind, resource_id, key)
) {{by_key}};

-- Bytes.

CREATE TABLE blobs (
	id                 {{id}},
	domain_id          BIGINT NOT NULL REFERENCES domains (id),
	sha256             {{bytes}} NOT NULL,
	size               BIGINT NOT NULL,
	md5                {{bytes}},
	sha1               {{bytes}},
	sha512             {{bytes}},
	hashed             SMALLINT NOT NULL,
	generation         BIGINT NOT NULL,
	object             {{text}} NOT NULL UNIQUE,
	state              {{text}} NOT NULL,
	unreferenced_since BIGINT,
	marked_round       BIGINT,
	wrapped_key        {{bytes}},
	key_id             {{text}} NOT NULL,
	quarantined_at     BIGINT,
	created_at         BIGINT NOT NULL,
	UNIQUE (domain_id, sha256, generation)
);
CREATE UNIQUE INDEX blobs_live ON blobs (domain_id, sha256) WHERE state <> 'deleting';
CREATE INDEX blobs_sha512 ON blobs (domain_id, sha512) WHERE sha512 IS NOT NULL;
CREATE INDEX blobs_unreferenced ON blobs (state, unreferenced_since) WHERE unreferenced_since IS NOT NULL;
CREATE INDEX blobs_unhashed ON blobs (id) WHERE hashed = 0;

CREATE TABLE blob_leases (
	blob_id    BIGINT NOT NULL REFERENCES blobs (id),
	holder     {{text}} NOT NULL,
	package_id BIGINT,
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (blob_id, holder)
) {{by_key}};
CREATE INDEX blob_leases_expiry ON blob_leases (expires_at);

CREATE TABLE uploads (
	uuid          {{text}} PRIMARY KEY,
	repository_id BIGINT NOT NULL REFERENCES repositories (id),
	format        {{text}} NOT NULL,
	namespace     {{text}} NOT NULL,
	name          {{text}} NOT NULL,
	principal_id  BIGINT NOT NULL,
	position      BIGINT NOT NULL,
	hash_state    {{bytes}},
	staging_key   {{text}} NOT NULL,
	parts         {{bytes}},
	declared      {{bytes}},
	expires_at    BIGINT NOT NULL
);
CREATE INDEX uploads_expiry ON uploads (expires_at);

-- body: sealed.
CREATE TABLE remote_indexes (
	domain_id     BIGINT NOT NULL REFERENCES domains (id),
	format        {{text}} NOT NULL,
	namespace     {{text}} NOT NULL,
	name          {{text}} NOT NULL,
	connection    {{text}} NOT NULL,
	credential_id {{text}} NOT NULL,
	etag          {{text}} NOT NULL,
	last_modified {{text}} NOT NULL,
	fetched_at    BIGINT NOT NULL,
	fresh_until   BIGINT NOT NULL,
	absent        SMALLINT NOT NULL,
	body_name     {{text}} NOT NULL,
	body          {{bytes}},
	PRIMARY KEY (domain_id, format, namespace, name, connection, credential_id)
);

-- Packages, versions and content.

CREATE TABLE packages (
	id            {{id}} CHECK (id < 2147483648),
	repository_id BIGINT NOT NULL REFERENCES repositories (id),
	domain_id     BIGINT NOT NULL REFERENCES domains (id),
	format        {{text}} NOT NULL,
	namespace     {{text}} NOT NULL,
	name          {{text}} NOT NULL,
	collision_key {{text}} NOT NULL,
	display_name  {{text}} NOT NULL,
	weak_path     {{text}} NOT NULL,
	publish       SMALLINT NOT NULL,
	upstream      SMALLINT NOT NULL,
	seq           BIGINT NOT NULL,
	visibility    {{text}} NOT NULL DEFAULT '',
	description   {{text}} NOT NULL DEFAULT '',
	github_name   {{text}},
	created_at    BIGINT NOT NULL,
	updated_at    BIGINT NOT NULL,
	deleted_at    BIGINT,
	purge_after   BIGINT,
	delete_batch  {{text}},
	deleted_by    {{text}}
);
CREATE UNIQUE INDEX packages_live ON packages (repository_id, format, namespace, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX packages_collision ON packages (repository_id, format, collision_key) WHERE deleted_at IS NULL;
CREATE INDEX packages_name ON packages (repository_id, name) WHERE deleted_at IS NULL;
CREATE INDEX packages_github ON packages (repository_id, format, github_name) WHERE github_name IS NOT NULL;
CREATE INDEX packages_weak ON packages (domain_id, weak_path) WHERE deleted_at IS NULL;
CREATE INDEX packages_purge ON packages (purge_after) WHERE purge_after IS NOT NULL;

-- fragment, manifest, facts: sealed, and last, in the order of how often they are read:
-- what stands behind a long value costs more to reach. Rows never change, except that a
-- derived fragment may be made anew.
CREATE TABLE revisions (
	id               {{id}},
	domain_id        BIGINT NOT NULL REFERENCES domains (id),
	revision         {{text}} NOT NULL,
	format           {{text}} NOT NULL,
	fragment_version BIGINT NOT NULL,
	media_type       {{text}} NOT NULL DEFAULT '',
	artifact_type    {{text}} NOT NULL DEFAULT '',
	size             BIGINT NOT NULL,
	created_at       BIGINT NOT NULL,
	fragment         {{bytes}},
	manifest         {{bytes}},
	facts            {{bytes}},
	UNIQUE (domain_id, revision)
);

-- kind: asset, or side for files that are neither listed nor counted as assets.
CREATE TABLE assets (
	revision_id       BIGINT NOT NULL REFERENCES revisions (id),
	name              {{text}} NOT NULL,
	blob_id           BIGINT NOT NULL REFERENCES blobs (id),
	media_type        {{text}} NOT NULL,
	kind              {{text}} NOT NULL,
	origin_connection {{text}} NOT NULL DEFAULT '',
	PRIMARY KEY (revision_id, name)
) {{by_key}};
CREATE INDEX assets_blob ON assets (blob_id, revision_id);

-- overlay: sealed.
CREATE TABLE versions (
	id                {{id}} CHECK (id < 2147483648),
	package_id        BIGINT NOT NULL REFERENCES packages (id),
	version           {{text}} NOT NULL,
	version_key       {{text}} NOT NULL,
	revision_id       BIGINT NOT NULL REFERENCES revisions (id),
	status            {{text}} NOT NULL,
	origin_type       {{text}} NOT NULL,
	origin_repository {{text}} NOT NULL,
	origin_connection {{text}} NOT NULL,
	published_at      BIGINT NOT NULL,
	recorded_at       BIGINT NOT NULL,
	downloads         BIGINT NOT NULL DEFAULT 0,
	last_download_at  BIGINT,
	quarantined_at    BIGINT,
	deleted_at        BIGINT,
	purge_after       BIGINT,
	delete_batch      {{text}},
	deleted_by        {{text}},
	overlay           {{bytes}}
);
CREATE UNIQUE INDEX versions_live ON versions (package_id, version_key) WHERE deleted_at IS NULL;
CREATE INDEX versions_text ON versions (package_id, version) WHERE deleted_at IS NULL;
CREATE INDEX versions_status ON versions (package_id, status, version) WHERE deleted_at IS NULL;
CREATE INDEX versions_published ON versions (package_id, published_at, id) WHERE deleted_at IS NULL;
CREATE INDEX versions_recorded ON versions (package_id, recorded_at, id) WHERE deleted_at IS NULL;
CREATE INDEX versions_revision ON versions (revision_id) WHERE deleted_at IS NULL;
CREATE INDEX versions_purge ON versions (purge_after) WHERE purge_after IS NOT NULL;

CREATE TABLE tags (
	id         {{id}} CHECK (id < 2147483648),
	package_id BIGINT NOT NULL REFERENCES packages (id),
	name       {{text}} NOT NULL,
	version_id BIGINT NOT NULL REFERENCES versions (id),
	pushed_at  BIGINT NOT NULL,
	pulled_at  BIGINT,
	UNIQUE (package_id, name)
);
CREATE INDEX tags_version ON tags (version_id);

CREATE TABLE search_terms (
	repository_id BIGINT NOT NULL REFERENCES repositories (id),
	term          {{text}} NOT NULL,
	package_id    BIGINT NOT NULL REFERENCES packages (id),
	weight        BIGINT NOT NULL,
	PRIMARY KEY (repository_id, term, package_id)
) {{by_key}};
CREATE INDEX search_terms_package ON search_terms (package_id);

CREATE TABLE reserved (
	package_id BIGINT NOT NULL REFERENCES packages (id),
	kind       {{text}} NOT NULL,
	key        {{text}} NOT NULL,
	sha256     {{bytes}},
	since      BIGINT NOT NULL,
	reason     {{text}} NOT NULL,
	PRIMARY KEY (package_id, kind, key)
) {{by_key}};

CREATE TABLE package_groups (
	id             {{id}},
	domain_id      BIGINT NOT NULL REFERENCES domains (id),
	pattern        {{text}} NOT NULL,
	folded_pattern {{text}} NOT NULL,
	specificity    BIGINT NOT NULL,
	parent_id      BIGINT REFERENCES package_groups (id),
	publish        {{text}} NOT NULL,
	external       {{text}} NOT NULL,
	internal       {{text}} NOT NULL,
	contact        {{text}} NOT NULL DEFAULT '',
	description    {{text}} NOT NULL DEFAULT '',
	created_at     BIGINT NOT NULL,
	UNIQUE (domain_id, pattern)
);
CREATE INDEX package_groups_folded ON package_groups (domain_id, folded_pattern);

CREATE TABLE group_repositories (
	group_id      BIGINT NOT NULL REFERENCES package_groups (id),
	type          {{text}} NOT NULL,
	repository_id BIGINT NOT NULL REFERENCES repositories (id),
	PRIMARY KEY (group_id, type, repository_id)
) {{by_key}};

-- etag and stamp tell whether body (sealed) is current; rows may be dropped any time.
CREATE TABLE documents (
	repository_id BIGINT NOT NULL REFERENCES repositories (id),
	package_id    BIGINT NOT NULL,
	kind          {{text}} NOT NULL,
	address_form  {{text}} NOT NULL,
	stamp         {{bytes}} NOT NULL,
	etag          {{text}} NOT NULL,
	body          {{bytes}},
	PRIMARY KEY (repository_id, package_id, kind, address_form)
);

-- Ledger and work.

CREATE TABLE changes (
	id              {{id}},
	at              BIGINT NOT NULL,
	transaction_id  {{transaction}},
	principal       {{text}} NOT NULL,
	request_id      {{text}} NOT NULL,
	door            {{text}} NOT NULL,
	kind            {{text}} NOT NULL,
	domain_id       BIGINT NOT NULL,
	repository_id   BIGINT NOT NULL,
	domain_owner    {{text}} NOT NULL,
	domain          {{text}} NOT NULL,
	repository      {{text}} NOT NULL,
	format          {{text}} NOT NULL,
	namespace       {{text}} NOT NULL,
	package         {{text}} NOT NULL,
	version         {{text}} NOT NULL,
	tag             {{text}} NOT NULL,
	revision_before {{text}} NOT NULL,
	revision_after  {{text}} NOT NULL,
	status_before   {{text}} NOT NULL,
	status_after    {{text}} NOT NULL,
	sequence        BIGINT NOT NULL,
	dedup_id        {{text}} NOT NULL,
	detail          {{text}} NOT NULL
);
CREATE INDEX changes_repository ON changes (repository_id, id);
CREATE INDEX changes_domain ON changes (domain_id, id);

CREATE TABLE jobs (
	id         {{id}},
	kind       {{text}} NOT NULL,
	payload    {{bytes}},
	run_at     BIGINT NOT NULL,
	attempts   BIGINT NOT NULL DEFAULT 0,
	created_at BIGINT NOT NULL
);
CREATE INDEX jobs_due ON jobs (run_at, id);

CREATE TABLE leases (
	name       {{text}} PRIMARY KEY,
	holder     {{text}} NOT NULL,
	fencing    BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
