package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/specquant/specquant/internal/input"
)

// ownFiles are the files of a checkpoint folder that belong to its tokenizer, in the order
// of [Tokenizer.Files]. generation_config.json is included because it contains the ids that
// end a text.
var ownFiles = []string{
	"tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", "added_tokens.json",
	"tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "chat_template.json",
	"generation_config.json",
}

// Load opens the tokenizer of a checkpoint folder: tokenizer.json if it exists, otherwise
// tokenizer.model (SentencePiece or tiktoken, recognised by content), otherwise vocab.json
// with merges.txt. The other files give BOS, EOS and added tokens; with tokenizer.json, its
// template decides what Encode adds.
//
// Anything that is not supported is an error that names it (see the package documentation).
// Callers must compare [Tokenizer.VocabSize] with the model's.
func Load(dir string) (*Tokenizer, error) {
	read := func(name string) ([]byte, error) { return readFile(filepath.Join(dir, name)) }
	side, err := readSidecar(read)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", dir, err)
	}
	t, err := loadFrom(read, side)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", dir, err)
	}
	for _, name := range ownFiles {
		if st, err := input.Stat(filepath.Join(dir, name)); err == nil && st.Mode().IsRegular() {
			t.files = append(t.files, name)
		}
	}
	return t, nil
}

// LoadFiles is [Load] for files in memory, by name; where is their origin, for errors.
// [Tokenizer.Files] is then empty.
func LoadFiles(where string, files map[string][]byte) (*Tokenizer, error) {
	read := func(name string) ([]byte, error) { return files[name], nil }
	side, err := readSidecar(read)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", where, err)
	}
	t, err := loadFrom(read, side)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", where, err)
	}
	return t, nil
}

func loadFrom(read func(string) ([]byte, error), side *sidecar) (*Tokenizer, error) {
	data, err := read("tokenizer.json")
	if err != nil {
		return nil, err
	}
	if data != nil {
		t, err := parseHF(data, side)
		return t, inFile("tokenizer.json", err)
	}
	if data, err = read("tokenizer.model"); err != nil {
		return nil, err
	}
	if data != nil {
		t, err := parseModel(data, side)
		return t, inFile("tokenizer.model", err)
	}
	vocab, err := read("vocab.json")
	if err != nil {
		return nil, err
	}
	merges, err := read("merges.txt")
	if err != nil {
		return nil, err
	}
	if vocab == nil || merges == nil {
		return nil, errors.New("no tokenizer: looked for tokenizer.json, tokenizer.model, and vocab.json with merges.txt; copy them from where the checkpoint came from")
	}
	return parsePair(vocab, merges, side)
}

func inFile(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

// parseModel reads a tokenizer.model of either kind.
func parseModel(data []byte, side *sidecar) (*Tokenizer, error) {
	if looksLikeTiktoken(data) {
		return newTiktoken(data, side)
	}
	pieces, o, err := readSentencePiece(data)
	if err != nil {
		return nil, err
	}
	return newSentencePiece(pieces, o, side)
}

// readFile reads a whole file of at most MaxFileBytes; nil if the file does not exist.
func readFile(path string) ([]byte, error) {
	data, err := input.ReadFile(path, MaxFileBytes)
	var special *input.NotRegularError
	var large *input.LargeError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.As(err, &special): // the caller names the folder
		special.Path = filepath.Base(path)
	case errors.As(err, &large):
		large.Path = filepath.Base(path)
	}
	return data, err
}
