// Package catalog is the relational truth: accounts, domains, repositories,
// packages, versions, revisions, assets, blobs' rows, tags, remote indexes,
// identities and the ledger of changes, in SQL, on SQLite or PostgreSQL.
//
// It is on the stores' floor. It speaks root-package words, knows no format and no
// HTTP, decides no access, and never touches asset bytes. There is one store type and
// one SQL text for both engines; what differs stands in the dialect files. Columns
// marked S in the data model are sealed on the way in and opened on the way out by the
// Sealer it is given. Start reading with DB and Tx.
package catalog
