package resolve

import (
	"bufio"
	"context"
	"crypto/md5"  //nolint:gosec // registries declare it; never ours for security
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"io"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
)

// passThrough fetches an asset for one client without keeping it. The last block is held
// back until everything is verified, so that bad bytes never end cleanly (R27).
func (r *Resolver) passThrough(ctx context.Context, o pullOrder) (packhouse.Asset, *format.Content, error) {
	conn, remote := o.conn, o.asset
	artifact, err := r.o.Fetch.Download(ctx, conn, remote.URL)
	if err != nil {
		return packhouse.Asset{}, nil, err
	}
	v := &verifiedStream{conn: conn, declared: remote, sums: map[*string]hash.Hash{},
		refuse: func(d packhouse.Digest) error { return r.refuseBytes(ctx, o, d) }}
	v.sums[&v.got.MD5], v.sums[&v.got.SHA1] = md5.New(), sha1.New() //nolint:gosec // as above
	v.sums[&v.got.SHA256], v.sums[&v.got.SHA512] = sha256.New(), sha512.New()
	v.body = bufio.NewReaderSize(io.TeeReader(artifact.Body, v), transferBuffer)
	asset := declaredAsset(remote, artifact)
	return asset, &format.Content{Size: asset.Size, Stream: v, Close: artifact.Body.Close}, nil
}

// verifiedStream ends with an error when what went through is not what was declared.
type verifiedStream struct {
	conn     fetch.Connection
	declared *format.RemoteAsset
	body     *bufio.Reader // over a tee into the stream itself
	sums     map[*string]hash.Hash
	got      packhouse.Hashes
	size     int64
	refuse   func(packhouse.Digest) error // what must not be had, whatever was declared
	err      error                        // of the end, once seen
}

// Write takes what comes from the registry into account.
func (v *verifiedStream) Write(p []byte) (int, error) {
	for _, h := range v.sums {
		h.Write(p)
	}
	v.size += int64(len(p))
	return len(p), nil
}

// Read yields everything but the newest block; that only when the end was good.
func (v *verifiedStream) Read(p []byte) (int, error) {
	if v.err == nil {
		if block, err := v.body.Peek(transferBuffer); err == nil {
			n := copy(p, block[:len(block)-1])
			_, _ = v.body.Discard(n)
			return n, nil
		} else if v.err = err; err == io.EOF {
			for field, h := range v.sums {
				*field = hex.EncodeToString(h.Sum(nil))
			}
			if err := v.verify(); err != nil {
				v.err = err
			}
		}
	}
	if v.err == io.EOF && v.body.Buffered() > 0 { //nolint:errorlint // one that is wrapped is a failure, not an end
		return v.body.Read(p)
	}
	return 0, v.err
}

// verify judges what came.
func (v *verifiedStream) verify() error {
	if err := verify(v.conn, v.declared, v.got, v.size); err != nil {
		return err
	}
	d, err := packhouse.ParseDigest(v.got.SHA256)
	if err != nil {
		return packhouse.Internal(err)
	}
	return v.refuse(d)
}
