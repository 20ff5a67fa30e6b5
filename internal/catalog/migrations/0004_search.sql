-- Search and stars. shown_version is the version that a search shows of a package: 0 for
-- none, NULL where nobody has looked since this migration; shown_before is its value
-- before the last change, terms_sum a sum of the package's rows in search_terms. The
-- server fills in what is NULL in small batches while it serves; packages_unindexed is
-- empty after that. Columns without a default and an index: on 10^5 packages it takes
-- less than a second.

-- +goose Up

ALTER TABLE packages ADD COLUMN shown_version BIGINT;
ALTER TABLE packages ADD COLUMN shown_before BIGINT;
ALTER TABLE packages ADD COLUMN terms_sum BIGINT;
CREATE INDEX packages_unindexed ON packages (id) WHERE shown_version IS NULL AND deleted_at IS NULL;

CREATE TABLE package_stars (
	principal_id BIGINT NOT NULL REFERENCES principals (id),
	package_id   BIGINT NOT NULL REFERENCES packages (id),
	PRIMARY KEY (principal_id, package_id)
) {{by_key}};
CREATE INDEX package_stars_package ON package_stars (package_id);
