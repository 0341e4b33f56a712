package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/specquant/specquant/internal/input"
)

// pairClass is what tokenizer_class implies for a folder with vocab.json and merges.txt,
// which do not contain it.
type pairClass struct {
	name         string
	normalizer   string
	preTokenizer string
}

const (
	byteLevelJSON = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`
	byteOnlyJSON  = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`
)

func pairClassOf(class string) (pairClass, error) {
	switch strings.TrimSuffix(class, "Fast") {
	case "", "GPT2Tokenizer":
		return pairClass{"GPT-2", "null", byteLevelJSON}, nil
	case "Qwen2Tokenizer":
		pattern, err := json.Marshal(patternQwen2)
		return pairClass{"Qwen2", `{"type":"NFC"}`, `{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":` +
			string(pattern) + `},"behavior":"Isolated","invert":false},` + byteOnlyJSON + `]}`}, err
	}
	return pairClass{}, fmt.Errorf("tokenizer_class %w", unsupported(class, "GPT2Tokenizer, Qwen2Tokenizer (with vocab.json and merges.txt)"))
}

// endOfText is the one special token that GPT-2's vocab.json holds.
const endOfText = "<|endoftext|>"

// parsePair builds a tokenizer from vocab.json and merges.txt, the layout of
// Hugging Face before tokenizer.json.
func parsePair(vocabJSON, mergesTxt []byte, side *sidecar) (*Tokenizer, error) {
	class, err := pairClassOf(side.class)
	if err != nil {
		return nil, fmt.Errorf("tokenizer_config.json: %w", err)
	}
	var any json.RawMessage
	if err := input.JSON(vocabJSON, &any); err != nil {
		return nil, fmt.Errorf("vocab.json: %w", err)
	}
	vocab, err := parseVocab(vocabJSON)
	if err != nil {
		return nil, fmt.Errorf("vocab.json: %w", err)
	}
	lines := strings.Split(strings.TrimSuffix(string(mergesTxt), "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	if len(lines) == 1 && lines[0] == "" {
		lines = nil
	}
	merges, err := splitMerges(lines)
	if err != nil {
		return nil, fmt.Errorf("merges.txt: %w", err)
	}
	p := hfParts{
		source: "vocab.json and merges.txt (" + class.name + ")",
		model:  hfModel{Type: "BPE"},
		vocab:  vocab, merges: merges,
		normalizer: json.RawMessage(class.normalizer), preTokenizer: json.RawMessage(class.preTokenizer),
		decoder: json.RawMessage(byteLevelJSON),
	}
	for _, e := range vocab {
		if e.piece == endOfText {
			p.added = append(p.added, addedToken{ID: e.id, Content: endOfText, Special: true})
		}
	}
	t, err := buildHF(p, side)
	if err != nil {
		return nil, err
	}
	if id, ok := t.ids[endOfText]; ok && side.eosToken == nil && len(t.eos) == 0 {
		t.addEOS(id)
	}
	return t, nil
}
