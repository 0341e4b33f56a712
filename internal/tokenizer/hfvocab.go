package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// vocabEntry is one token of a vocabulary.
type vocabEntry struct {
	piece string
	id    int
}

// parseVocab reads {"piece": id, …}. It does not use encoding/json, which silently drops a
// repeated piece and is ten times as slow. raw is known to be valid JSON.
func parseVocab(raw json.RawMessage) ([]vocabEntry, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' {
		return nil, fmt.Errorf("is not an object of token: id")
	}
	var out []vocabEntry
	i := skipSpace(raw, 1)
	for i < len(raw) && raw[i] != '}' {
		piece, n, err := jsonString(raw[i:])
		if err != nil {
			return nil, err
		}
		i = skipSpace(raw, i+n)
		if i >= len(raw) || raw[i] != ':' {
			return nil, fmt.Errorf("token %q: expected a colon after it", clip(piece))
		}
		i = skipSpace(raw, i+1)
		id, digits := 0, 0
		for ; i < len(raw) && '0' <= raw[i] && raw[i] <= '9' && digits < 9; i++ {
			id = id*10 + int(raw[i]-'0')
			digits++
		}
		if digits == 0 || i < len(raw) && strings.IndexByte(" \t\r\n,}", raw[i]) < 0 {
			return nil, fmt.Errorf("token %q: its id is not a whole number from 0 to %d", clip(piece), MaxVocab-1)
		}
		if len(out) >= MaxVocab {
			return nil, fmt.Errorf("has more than %s, the limit", plural.Of(MaxVocab, "token"))
		}
		out = append(out, vocabEntry{piece, id})
		if i = skipSpace(raw, i); i < len(raw) && raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
	return out, nil
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r') {
		i++
	}
	return i
}

// jsonString reads the JSON string at the beginning of raw and returns its length in raw.
func jsonString(raw []byte) (s string, n int, err error) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", 0, fmt.Errorf("a token is not a string")
	}
	escaped := false
	for i := 1; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			body := raw[1:i]
			if !utf8.Valid(body) {
				return "", 0, fmt.Errorf("token %q is not valid UTF-8", clip(string(body)))
			}
			if !escaped {
				return string(body), i + 1, nil
			}
			err := json.Unmarshal(raw[:i+1], &s)
			return s, i + 1, err
		}
	}
	return "", 0, fmt.Errorf("a token's string does not end")
}

// maxMerges is the largest number of merges.
const maxMerges = 4 * MaxVocab

// parseMerges reads the merges in either of their forms, "a b" or ["a", "b"].
func parseMerges(raw json.RawMessage) ([][2]string, error) {
	if isNull(raw) {
		return nil, fmt.Errorf("are missing")
	}
	if out := mergePairs(raw); out != nil {
		return out, nil
	}
	var lines []string
	if err := input.PartJSON(raw, &lines); err == nil {
		return splitMerges(lines)
	}
	var pairs [][]string
	if err := input.PartJSON(raw, &pairs); err != nil {
		return nil, fmt.Errorf(`are neither ["a b", …] nor [["a", "b"], …]: %w`, err)
	}
	if len(pairs) > maxMerges {
		return nil, fmt.Errorf("are more than %d, the limit", maxMerges)
	}
	out := make([][2]string, len(pairs))
	for i, p := range pairs {
		if len(p) != 2 {
			return nil, fmt.Errorf("merge %d has %s, expected 2", i, plural.Of(len(p), "part"))
		}
		out[i] = [2]string{p[0], p[1]}
	}
	return out, nil
}

// mergePairs reads merges in the form ["a", "b"], many times as fast as encoding/json. It
// returns nil for anything else, and for what is wrong, which slower code says more about.
// raw is known to be valid JSON.
func mergePairs(raw json.RawMessage) (out [][2]string) {
	raw = bytes.TrimSpace(raw)
	i := 0
	next := func(c byte) bool { // skips c and the space around it
		if i = skipSpace(raw, i); i == len(raw) || raw[i] != c {
			return false
		}
		i = skipSpace(raw, i+1)
		return true
	}
	if !next('[') {
		return nil
	}
	for len(out) < maxMerges {
		var pair [2]string
		for k, before := range []byte("[,") {
			if !next(before) {
				return nil
			}
			part, n, err := jsonString(raw[i:])
			if err != nil {
				return nil
			}
			pair[k] = part
			i += n
		}
		if !next(']') {
			return nil
		}
		out = append(out, pair)
		if next(']') {
			return out
		}
		if !next(',') {
			return nil
		}
	}
	return nil
}

// splitMerges reads merges written as "a b"; a line that begins with #version is a header.
func splitMerges(lines []string) ([][2]string, error) {
	if len(lines) > maxMerges {
		return nil, fmt.Errorf("are more than %d, the limit", maxMerges)
	}
	out := make([][2]string, 0, len(lines))
	for i, l := range lines {
		if strings.HasPrefix(l, "#version") {
			continue
		}
		a, b, ok := strings.Cut(l, " ")
		if !ok || strings.Contains(b, " ") {
			return nil, fmt.Errorf("merge %d, %q, is not two tokens separated by one space", i, clip(l))
		}
		out = append(out, [2]string{a, b})
	}
	return out, nil
}
