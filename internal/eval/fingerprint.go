package eval

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// Fingerprint records what a number was measured on, which decides whether it can be
// compared with another number.
type Fingerprint struct {
	Protocol  string `json:"protocol"`
	Window    int    `json:"window,omitempty"` // tokens
	BOS       string `json:"bos"`
	Documents string `json:"documents,omitempty"`
	Windows   int    `json:"windows,omitempty"`
	Tokens    int    `json:"tokens"` // scored tokens
	StdErr    string `json:"standard_error_over,omitempty"`
	Tokenizer string `json:"tokenizer_sha256"` // of the tokenizer's files
	Text      string `json:"text_sha256,omitempty"`
	Model     string `json:"model_sha256"` // see ModelHash
	Against   string `json:"against_sha256,omitempty"`
	Bits      string `json:"bits"`
	Tool      string `json:"tool,omitempty"`
	LeftOut   string `json:"left_out,omitempty"` // questions of tasks that could not be asked
}

// String is the short form, in brackets.
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
		parts = append(parts, plural.Of(f.Windows, "window"))
	}
	parts = append(parts, plural.Of(f.Tokens, "token"), "tok "+short(f.Tokenizer))
	if f.Text != "" {
		parts = append(parts, "text "+short(f.Text))
	}
	parts = append(parts, "model "+short(f.Model))
	if f.Against != "" {
		parts = append(parts, "against "+short(f.Against))
	}
	if f.LeftOut != "" {
		parts = append(parts, "without "+f.LeftOut)
	}
	return "[" + strings.Join(append(parts, "bits "+f.Bits), ", ") + "]"
}

func short(hash string) string { return hash[:min(8, len(hash))] }

// TextHash is the sha256 of a text, in hexadecimal.
func TextHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// encodingFiles are the tokenizer files that determine token ids. An artefact has the same
// files as its checkpoint, so both have the same hash.
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

// TokenizerDataHash is [TokenizerHash] for files in memory, by name: those derived from the
// tokenizer of a GGUF file.
func TokenizerDataHash(files map[string][]byte) string {
	h := sha256.New()
	for _, name := range encodingFiles {
		if data, ok := files[name]; ok {
			fmt.Fprintf(h, "%s %x\n", name, sha256.Sum256(data))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// generationFile may name the tokens that begin and end a text; see [ModelHash].
const generationFile = "generation_config.json"

// ModelHash identifies a model by everything that its results depend on besides the
// tokenizer's files, which have their own hash:
//
//   - config.json, every byte: the architecture and its constants, and for a quantized
//     model its quantization_config (bits, activation_clip, groups, transforms, truncation
//     and so on);
//   - generation_config.json, if it exists: a tokenizer without such ids takes the tokens
//     that begin and end a text from it;
//   - the weights, every byte: for a checkpoint by tensor, so that the division into files
//     does not matter; for an artefact by file.
//
// The manifest is not included: it records how the weights were made, and no result depends
// on it. Nor are the bits, window and BOS, which have their own fields in the
// [Fingerprint].
//
// An artefact whose manifest has checksums is verified (the error names the damaged file),
// and the verified checksums are hashed. Everything is read once while the model is open,
// on as many threads as there are CPUs.
func ModelHash(ck *checkpoint.Checkpoint) (string, error) {
	h := sha256.New()
	if ck.Config.Quantization == nil {
		field(h, []byte("checkpoint"))
		field(h, ck.Config.Raw)
		var generation []byte
		if ck.GGUF == nil { // for GGUF the end tokens are in config.json
			var err error
			generation, err = input.ReadFile(filepath.Join(ck.Dir, generationFile), input.MaxSmall)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
		}
		field(h, generation)
		tensors, err := ck.TensorHash()
		if err != nil {
			return "", err
		}
		field(h, []byte(tensors))
		return hex.EncodeToString(h.Sum(nil)), nil
	}
	field(h, []byte("artefact"))
	sums, err := artefactSums(ck)
	if err != nil {
		return "", err
	}
	for _, s := range sums {
		field(h, fmt.Appendf(nil, "%s %d %s", s.Name, s.Bytes, s.SHA256))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// artefactSums are the checksums of the files that an artefact's results depend on: those
// of its manifest after verification, or, if it has none, computed here.
func artefactSums(ck *checkpoint.Checkpoint) ([]checkpoint.FileHash, error) {
	names := []string{"config.json"}
	if _, err := input.Stat(filepath.Join(ck.Dir, generationFile)); err == nil {
		names = append(names, generationFile)
	}
	for _, path := range ck.Files() {
		names = append(names, filepath.Base(path))
	}
	var out []checkpoint.FileHash
	var taken []string // paths of files without a checksum
	err := ck.Verify()
	if err != nil && !errors.Is(err, artefact.ErrNoSums) {
		return nil, err
	}
	for _, name := range names {
		if i := slices.IndexFunc(ck.Sums(), func(s checkpoint.FileHash) bool { return s.Name == name }); i >= 0 {
			out = append(out, ck.Sums()[i])
		} else {
			taken = append(taken, filepath.Join(ck.Dir, name))
		}
	}
	more, err := checkpoint.HashFiles(taken...)
	if err != nil {
		return nil, err
	}
	out = append(out, more...)
	slices.SortFunc(out, func(a, b checkpoint.FileHash) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// field hashes data preceded by its length, so that different lists have different hashes.
func field(h hash.Hash, data []byte) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(data)))
	h.Write(n[:])
	h.Write(data)
}
