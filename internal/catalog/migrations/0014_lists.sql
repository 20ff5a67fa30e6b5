-- Lists whose pages cost the same at any depth. Versions of one status are found in the
-- order of time as they are in the order of text, and lists of all statuses merge those
-- of each, so the index of texts alone has no reader left. Repositories are found by
-- administrator within each domain; the expression is what only that list asks for, so
-- that planners do not take repositories_live for it. The new indexes take a second on
-- 10^5 versions.

-- +goose Up

DROP INDEX IF EXISTS versions_text;
DROP INDEX IF EXISTS versions_published;
CREATE INDEX versions_published ON versions (package_id, status, published_at, id) WHERE deleted_at IS NULL;

DROP INDEX IF EXISTS repositories_admin;
CREATE INDEX repositories_admin ON repositories (admin_account, domain_id, (name || '')) WHERE deleted_at IS NULL;
