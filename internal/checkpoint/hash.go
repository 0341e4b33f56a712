package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// FileHash is a file's content by its hash.
type FileHash struct {
	Name   string `json:"name"` // base name
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // lower-case hexadecimal
}

// HashFiles hashes the files in the order given, streaming: memory does not
// grow with their size.
func HashFiles(paths ...string) ([]FileHash, error) {
	out := make([]FileHash, 0, len(paths))
	buf := make([]byte, 1<<20)
	for _, p := range paths {
		h, err := hashFile(p, buf)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}

func hashFile(path string, buf []byte) (FileHash, error) {
	st, err := os.Stat(path)
	if err != nil {
		return FileHash{}, err
	}
	if !st.Mode().IsRegular() {
		return FileHash{}, malformed("%s: not a regular file (%s)", path, st.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return FileHash{}, err
	}
	defer f.Close()
	h := sha256.New()
	// struct{io.Reader} hides File.WriteTo, which would not use buf.
	n, err := io.CopyBuffer(h, struct{ io.Reader }{f}, buf)
	if err != nil {
		return FileHash{}, fmt.Errorf("hash %s: %w", path, err)
	}
	return FileHash{Name: filepath.Base(path), Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}
