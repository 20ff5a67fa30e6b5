package catalog

import (
	"context"
	"database/sql"
)

// session is one SQLite connection with its prepared statements. One goroutine uses
// it at a time.
//
// The driver answers the end of a context by interrupting the engine, which would
// undo the whole transaction, group members of other callers included. So the context
// is looked at before each statement and not during it: statements are short.
type session struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func newSession(ctx context.Context, pool *sql.DB) (*session, error) {
	conn, err := pool.Conn(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	return &session{conn: conn, stmts: make(map[string]*sql.Stmt)}, nil
}

// prepared returns the statement of q, which stays open with the session.
func (s *session) prepared(ctx context.Context, q string) (*sql.Stmt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if st, ok := s.stmts[q]; ok {
		return st, nil
	}
	st, err := s.conn.PrepareContext(context.WithoutCancel(ctx), q)
	if err == nil {
		s.stmts[q] = st
	}
	return st, err
}

func (s *session) exec(ctx context.Context, q string, args []any) (sql.Result, error) {
	st, err := s.prepared(ctx, q) //nolint:sqlclosecheck // the session closes it
	if err != nil {
		return nil, err
	}
	return st.ExecContext(context.WithoutCancel(ctx), args...)
}

func (s *session) execOnce(ctx context.Context, q string, args []any) (sql.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.conn.ExecContext(context.WithoutCancel(ctx), q, args...)
}

func (s *session) query(ctx context.Context, q string, args []any) (*sql.Rows, error) {
	st, err := s.prepared(ctx, q) //nolint:sqlclosecheck // the session closes it
	if err != nil {
		return nil, err
	}
	return st.QueryContext(context.WithoutCancel(ctx), args...)
}

// command runs a statement that begins or ends something, whatever became of the
// caller's context.
func (s *session) command(q string) error {
	_, err := s.exec(context.Background(), q, nil)
	return err
}

func (s *session) close() error {
	for _, st := range s.stmts {
		_ = st.Close() // the connection goes next and takes its statements along
	}
	return s.conn.Close()
}
