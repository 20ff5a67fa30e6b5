-- Small blobs lie in the database: see docs/design/029-small-bodies.md. A body is written
-- with its row of blobs and goes with it. What lies in files stays there. A new table: it
-- takes no time.

-- +goose Up

CREATE TABLE blob_bodies (
	blob_id INTEGER PRIMARY KEY REFERENCES blobs (id) ON DELETE CASCADE,
	body    BLOB NOT NULL
);

-- No statement uses these, and each costs every publish a page.
DROP INDEX blobs_sha512;
DROP INDEX versions_recorded;
