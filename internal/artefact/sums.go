package artefact

import (
	"path/filepath"
	"slices"

	"github.com/specquant/specquant/internal/checkpoint"
)

// ErrNoSums means that an artefact's manifest, written by an early version, has no
// checksums of the other files.
var ErrNoSums = checkpoint.ErrNoSums

// Sums computes the checksums of an artefact's files for its manifest, sorted by name.
// names are relative to dir.
func Sums(dir string, names []string) ([]checkpoint.FileHash, error) {
	var paths []string
	for _, n := range slices.Sorted(slices.Values(names)) {
		paths = append(paths, filepath.Join(dir, n))
	}
	return checkpoint.HashFiles(paths...)
}

// Verify opens the artefact in dir, reads all its files and compares them with the
// checksums in its manifest: see [checkpoint.Checkpoint.Verify]. Errors: ErrMalformed and
// ErrNotFound of package checkpoint, naming the file, what was found, what was expected and
// what to do; [ErrNoSums].
func Verify(dir string) error {
	ck, err := checkpoint.Open(dir)
	if err != nil {
		return err
	}
	defer ck.Close()
	return ck.Verify()
}
