package eval

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
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
	Model     string `json:"model_sha256"` // see ModelHash
	Against   string `json:"against_sha256,omitempty"`
	Bits      string `json:"bits"`
	Tool      string `json:"tool,omitempty"`
	LeftOut   string `json:"left_out,omitempty"` // questions of tasks that could not be posed
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
		parts = append(parts, count(f.Windows, "window"))
	}
	parts = append(parts, count(f.Tokens, "token"), "tok "+short(f.Tokenizer))
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

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
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

// TokenizerDataHash is [TokenizerHash] of files in memory, by name: those that stand
// for the tokenizer of a GGUF file.
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

// ModelHash identifies a model by all that its results depend on beside the
// tokenizer's files, which have a hash of their own:
//
//   - config.json, every byte: the architecture and its constants, and of a
//     quantized model its quantization_config (bits, activation_clip, groups,
//     transforms, truncation and so on);
//   - generation_config.json, where there is one: a tokenizer without ids of its
//     own takes the tokens that begin and end a text from there;
//   - the weights, every byte. Of a checkpoint by tensor, so that it does not
//     matter how they are cut into files; of an artefact by file.
//
// The manifest is not in it: it tells how the weights were made, and no result
// depends on it. Neither are the bits, window and BOS: they have fields of their
// own in the [Fingerprint].
//
// An artefact whose manifest has sums is verified (the error names the file that
// is damaged), and the sums that were found good are what is hashed. All is read
// once for as long as the model is open, on as many threads as there are CPUs.
func ModelHash(ck *checkpoint.Checkpoint) (string, error) {
	h := sha256.New()
	if ck.Config.Quantization == nil {
		field(h, []byte("checkpoint"))
		field(h, ck.Config.Raw)
		var generation []byte
		if ck.GGUF == nil { // its end tokens are in config.json
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

// artefactSums are the sums of the files that an artefact's results depend on:
// those of its manifest, once they are verified, or if it has none, taken here.
func artefactSums(ck *checkpoint.Checkpoint) ([]checkpoint.FileHash, error) {
	names := []string{"config.json"}
	if _, err := os.Stat(filepath.Join(ck.Dir, generationFile)); err == nil {
		names = append(names, generationFile)
	}
	for _, path := range ck.Files() {
		names = append(names, filepath.Base(path))
	}
	var out []checkpoint.FileHash
	var taken []string // paths of files without a sum
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

// field hashes data with its length, so that no two lists run together.
func field(h hash.Hash, data []byte) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(data)))
	h.Write(n[:])
	h.Write(data)
}
