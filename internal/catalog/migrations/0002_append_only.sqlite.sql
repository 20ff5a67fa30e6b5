-- The ledger of changes is append-only: the engine itself refuses anything else.

-- +goose Up
-- +goose StatementBegin
CREATE TRIGGER changes_no_update BEFORE UPDATE ON changes
BEGIN
	SELECT RAISE(ABORT, 'changes is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER changes_no_delete BEFORE DELETE ON changes
BEGIN
	SELECT RAISE(ABORT, 'changes is append-only');
END;
-- +goose StatementEnd
