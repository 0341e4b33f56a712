package eval

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
)

// Fingerprint says what a number was measured on, so that it can be compared
// with another, or not.
type Fingerprint struct {
	Protocol  string `json:"protocol"`
	Window    int    `json:"window,omitempty"` // tokens
	BOS       string `json:"bos"`
	Documents string `json:"documents,omitempty"`
	Windows   int    `json:"windows,omitempty"`
	Tokens    int    `json:"tokens"` // scored
	StdErr    string `json:"standard_error_over,omitempty"`
	Tokenizer string `json:"tokenizer_sha256"` // of the tokenizer's files
	Text      string `json:"text_sha256,omitempty"`
	Model     string `json:"model_sample_sha256"` // see ModelHash
	Against   string `json:"against_sample_sha256,omitempty"`
	Bits      string `json:"bits"`
	Tool      string `json:"tool,omitempty"`
}

// String is the short form, in one bracket.
func (f Fingerprint) String() string {
	parts := []string{f.Protocol}
	if f.Window > 0 {
		parts = append(parts, fmt.Sprintf("window %d", f.Window))
	}
	parts = append(parts, f.BOS)
	if f.Documents != "" {
		parts = append(parts, f.Documents)
	}
	if f.Windows > 0 {
		parts = append(parts, fmt.Sprintf("%d windows", f.Windows))
	}
	parts = append(parts, fmt.Sprintf("%d tokens", f.Tokens), "tok "+short(f.Tokenizer))
	if f.Text != "" {
		parts = append(parts, "text "+short(f.Text))
	}
	parts = append(parts, "model "+short(f.Model))
	if f.Against != "" {
		parts = append(parts, "against "+short(f.Against))
	}
	return "[" + strings.Join(append(parts, "bits "+f.Bits), ", ") + "]"
}

func short(hash string) string { return hash[:min(8, len(hash))] }

// TextHash is the sha256 of a text, in hexadecimal.
func TextHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// encodingFiles are those tokenizer files that decide on ids. An artefact's
// are its checkpoint's, so both have one hash.
var encodingFiles = []string{"tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", "added_tokens.json", "tokenizer_config.json", "special_tokens_map.json"}

// TokenizerHash is the sha256 of the names and hashes of a folder's tokenizer
// files.
func TokenizerHash(dir string, files []string) (string, error) {
	h := sha256.New()
	for _, name := range encodingFiles {
		if !slices.Contains(files, name) {
			continue
		}
		sums, err := checkpoint.HashFiles(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %s\n", name, sums[0].SHA256)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// sampleBytes of each tensor's data are hashed, from its start.
const sampleBytes = 4096

// ModelHash identifies a model without reading it whole: the sha256 of
// config.json, of an artefact's manifest, and of each tensor's name, type,
// shape and first 4 KiB.
func ModelHash(ck *checkpoint.Checkpoint) (string, error) {
	h := sha256.New()
	field(h, ck.Config.Raw)
	manifest, err := os.ReadFile(filepath.Join(ck.Dir, artefact.ManifestFile))
	if err != nil && !os.IsNotExist(err) {
		return "", err
	}
	field(h, manifest)
	for _, name := range ck.Names() {
		t, err := ck.Tensor(name)
		if err != nil {
			return "", err
		}
		field(h, fmt.Appendf(nil, "%s %s %v %d", name, t.DType, t.Shape, len(t.Data)))
		field(h, t.Data[:min(len(t.Data), sampleBytes)])
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// field hashes data with its length, so that no two lists run together.
func field(h hash.Hash, data []byte) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(data)))
	h.Write(n[:])
	h.Write(data)
}
