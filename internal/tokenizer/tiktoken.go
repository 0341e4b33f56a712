package tokenizer

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/specquant/specquant/internal/plural"
)

// llama3Ranks is the number of tokens in Llama-3's tokenizer.model. The file contains
// neither split pattern nor special tokens, so a file of another size (Llama-4, Kimi)
// belongs to another tokenizer for which they are unknown.
const llama3Ranks = 128000

// llama3Special are the special tokens after the ranks, in order; reserved ones fill them
// up to 256 (Meta's models/llama3/tokenizer.py).
var llama3Special = []string{
	"<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
	"<|finetune_right_pad_id|>", "<|step_id|>", "<|start_header_id|>", "<|end_header_id|>",
	"<|eom_id|>", "<|eot_id|>", "<|python_tag|>", "<|image|>",
}

const llama3SpecialCount = 256

// looksLikeTiktoken distinguishes a tiktoken file, lines of "base64 rank", from a
// SentencePiece file, which begins with the byte 0x0A.
func looksLikeTiktoken(data []byte) bool {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	_, _, err := tiktokenLine(bytes.TrimSuffix(line, []byte("\r")))
	return err == nil
}

func tiktokenLine(line []byte) (token []byte, rank int, err error) {
	b64, num, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return nil, 0, fmt.Errorf("%q is not a token in base64, a space and a rank", clip(string(line)))
	}
	token = make([]byte, base64.StdEncoding.DecodedLen(len(b64)))
	n, err := base64.StdEncoding.Decode(token, b64)
	if err != nil || n == 0 {
		return nil, 0, fmt.Errorf("%q is not a token in base64", clip(string(b64)))
	}
	rank, err = strconv.Atoi(string(num))
	if err != nil || rank < 0 || rank >= MaxVocab {
		return nil, 0, fmt.Errorf("rank %q is not a whole number from 0 to %d", clip(string(num)), MaxVocab-1)
	}
	return token[:n], rank, nil
}

// parseTiktoken reads the ranks; they must be 0, 1, 2, … in some order.
func parseTiktoken(data []byte) ([]string, error) {
	lines := bytes.Count(data, []byte("\n")) + 1
	tokens := make([]string, min(lines, MaxVocab))
	top, n := -1, 0
	for len(data) > 0 {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte("\n"))
		n++
		if line = bytes.TrimSuffix(line, []byte("\r")); len(line) == 0 {
			continue
		}
		tok, rank, err := tiktokenLine(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", n, err)
		case rank >= len(tokens):
			return nil, fmt.Errorf("line %d: rank %d in a file of %s; ranks must be 0, 1, 2, …", n, rank, plural.Of(lines, "line"))
		case tokens[rank] != "":
			return nil, fmt.Errorf("line %d: rank %d is given twice", n, rank)
		case len(tok) > MaxPieceBytes:
			return nil, fmt.Errorf("line %d: token of %s, the limit is %d", n, plural.Of(len(tok), "byte"), MaxPieceBytes)
		}
		tokens[rank] = string(tok)
		top = max(top, rank)
	}
	tokens = tokens[:top+1]
	for rank, tok := range tokens {
		if tok == "" {
			return nil, fmt.Errorf("rank %d is missing", rank)
		}
	}
	return tokens, checkCuts(func(yield func(int) bool) {
		for _, tok := range tokens {
			if !yield(len(tok)) {
				return
			}
		}
	})
}

// newTiktoken builds the tokenizer of Llama-3's tokenizer.model.
func newTiktoken(data []byte, side *sidecar) (*Tokenizer, error) {
	tokens, err := parseTiktoken(data)
	if err != nil {
		return nil, fmt.Errorf("tiktoken file: %w", err)
	}
	if len(tokens) != llama3Ranks {
		return nil, fmt.Errorf("tiktoken file of %s: only Llama-3's, with %d, is supported, because others have unknown split patterns and special tokens; use tokenizer.json", plural.Of(len(tokens), "rank"), llama3Ranks)
	}
	return newLlama3(tokens, side)
}

// newLlama3 combines Llama-3's split pattern and special tokens with a ranked vocabulary of
// byte strings.
func newLlama3(tokens []string, side *sidecar) (*Tokenizer, error) {
	t := &Tokenizer{
		kind: "tokenizer.model: tiktoken BPE byte-level (llama-3 split)",
		pre:  []preTokenizer{knownSplit{knownSplitters[patternLlama3].next}},
		bos:  -1,
	}
	vocab := make([]vocabEntry, len(tokens))
	for id, tok := range tokens {
		vocab[id] = vocabEntry{mapBytes(tok), id}
	}
	if err := t.setPieces(vocab); err != nil {
		return nil, err
	}
	var err error
	if t.model, err = rankBytes(tokens); err != nil {
		return nil, err
	}
	var added []addedToken
	for i := range llama3SpecialCount {
		a := addedToken{ID: len(tokens) + i, Special: true}
		if i < len(llama3Special) {
			a.Content = llama3Special[i]
		} else {
			a.Content = fmt.Sprintf("<|reserved_special_token_%d|>", i-len(llama3Special)+2)
		}
		added = append(added, a)
	}
	// Llama-3 numbers its reserved tokens differently from 3.1 and 3.2: the names in
	// tokenizer_config.json are used.
	for i := range added {
		for _, s := range side.added {
			if s.ID == added[i].ID {
				added[i] = s.addedToken
			}
		}
	}
	if added, err = side.mergeAdded(t, added); err != nil {
		return nil, err
	}
	if err := t.addTokens(added, len(tokens)); err != nil {
		return nil, err
	}
	t.decode.text = append([]string(nil), tokens...)
	t.decode.text = append(t.decode.text, t.pieces[len(tokens):]...)
	bos, eos := llama3Special[0], llama3Special[1]
	s := *side
	if s.bosToken == nil {
		s.bosToken = &bos
	}
	if s.eosToken == nil {
		s.eosToken = &eos
	}
	if s.addBOS == nil {
		yes := true
		s.addBOS = &yes
	}
	return t, s.apply(t, nil)
}

// rankBytes builds the encoder of a ranked vocabulary of byte strings: two adjacent symbols
// are merged if their concatenation is a token, lowest rank first.
func rankBytes(tokens []string) (*bpe, error) {
	m := &bpe{byteLevel: true, unk: -1, runes: make(map[rune]int32), whole: make(map[string]int32, len(tokens))}
	for i := range m.bytes {
		m.bytes[i] = -1
	}
	for rank, tok := range tokens {
		if old, ok := m.whole[tok]; ok {
			return nil, fmt.Errorf("ranks %d and %d are the same token %q", old, rank, clip(tok))
		}
		m.whole[tok] = int32(rank)
		if len(tok) == 1 {
			m.bytes[tok[0]] = int32(rank)
		}
	}
	for b, id := range m.bytes {
		if id < 0 {
			return nil, fmt.Errorf("no rank for the byte 0x%02x; every byte needs one", b)
		}
	}
	m.merges = newPairTable(2 * len(tokens))
	for rank, tok := range tokens {
		for i := 1; i < len(tok); i++ {
			left, okL := m.whole[tok[:i]]
			right, okR := m.whole[tok[i:]]
			if okL && okR {
				m.merges.set(left, right, uint32(rank), int32(rank))
			}
		}
	}
	return m, nil
}
