-- Where background passes over the store stand, and which blobs are damaged. The table
-- leases and the column quarantined_at are older and were not used before.
-- A new table and an index over no rows: it reads the table blobs once, which takes about a
-- second for a million.

-- +goose Up

-- place: id of the last row that is done; ended_at: NULL while the pass is under way.
CREATE TABLE passes (
	name     {{text}} PRIMARY KEY,
	place    BIGINT NOT NULL,
	begun_at BIGINT NOT NULL,
	ended_at BIGINT
) {{by_key}};
CREATE INDEX blobs_quarantined ON blobs (id) WHERE quarantined_at IS NOT NULL;
