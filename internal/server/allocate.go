package server

import (
	"io"
	"math/rand/v2"
	"os"
)

// fill writes a file full of noise, which no filesystem compresses.
func fill(f *os.File, size int64) error {
	_, err := io.CopyN(f, rand.NewChaCha8([32]byte{}), size)
	return err
}
