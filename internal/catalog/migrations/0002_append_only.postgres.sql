-- The ledger of changes is append-only: the engine itself refuses anything else.
-- Settled changes are read in the order of their transactions: see postgres.go.

-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER changes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON changes
	FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE INDEX changes_settled ON changes (transaction_id, id);
