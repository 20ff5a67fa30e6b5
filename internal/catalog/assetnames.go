package catalog

import (
	"context"
	"database/sql"
	"slices"
)

// maxNamesOf bounds the revisions of one statement of AssetNames.
const maxNamesOf = 512

// AssetNames returns what revisions hold, without side assets: by revision and name the
// id of the blob. A revision without assets is left out.
func (tx *Tx) AssetNames(ctx context.Context, revisionIDs []int64) (map[int64]map[string]int64, error) {
	out := make(map[int64]map[string]int64, len(revisionIDs))
	for ids := range slices.Chunk(revisionIDs, maxNamesOf) {
		marks, args := in(1, ids)
		q := `SELECT a.revision_id, a.name, a.blob_id FROM assets a WHERE a.kind <> 'side' AND a.revision_id IN ` + marks
		err := tx.each(ctx, q, args, func(rows *sql.Rows) (bool, error) {
			var revision, blob int64
			var name string
			if err := rows.Scan(&revision, &name, &blob); err != nil {
				return false, err
			}
			if out[revision] == nil {
				out[revision] = map[string]int64{}
			}
			out[revision][name] = blob
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
