package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// normalizer rewrites text before it is split.
type normalizer interface {
	normalize(s string) (string, error)
}

// parseNormalizer reads the normalizer of a tokenizer.json.
func parseNormalizer(raw json.RawMessage, depth int) ([]normalizer, error) {
	if isNull(raw) {
		return nil, nil
	}
	kind, err := componentType(raw)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "Sequence":
		var c struct {
			Type string            `json:"type"`
			List []json.RawMessage `json:"normalizers"`
		}
		if err := decodeStrict(raw, &c); err != nil {
			return nil, err
		}
		if depth >= maxNesting {
			return nil, fmt.Errorf("sequences nested deeper than %d", maxNesting)
		}
		var all []normalizer
		for i, r := range c.List {
			n, err := parseNormalizer(r, depth+1)
			if err != nil {
				return nil, fmt.Errorf("step %d: %w", i, err)
			}
			all = append(all, n...)
		}
		return all, nil
	case "Prepend":
		var c struct {
			Type    string `json:"type"`
			Prepend string `json:"prepend"`
		}
		if err := decodeStrict(raw, &c); err != nil {
			return nil, err
		}
		return []normalizer{prependNorm(c.Prepend)}, nil
	case "Replace":
		n, err := parseReplace(raw)
		if err != nil {
			return nil, err
		}
		return []normalizer{n}, nil
	case "NFC":
		var c struct {
			Type string `json:"type"`
		}
		if err := decodeStrict(raw, &c); err != nil {
			return nil, err
		}
		return []normalizer{nfc{}}, nil
	}
	return nil, unsupported(kind, "Sequence, Prepend, Replace, NFC")
}

type prependNorm string

func (p prependNorm) normalize(s string) (string, error) {
	if s == "" {
		return s, nil
	}
	return string(p) + s, nil
}

// nfc is NFC. The other forms are not supported: they decompose characters that are newer
// than the tables of Hugging Face's normalizer, so ids would differ. With NFC the only
// remaining difference is the order of two adjacent combining marks of which one is missing
// in those tables.
type nfc struct{}

func (nfc) normalize(s string) (string, error) { return norm.NFC.String(s), nil }

// replaceNorm is Replace: every match of a pattern is replaced by content.
type replaceNorm struct {
	literal string // "": find
	find    func(string) ([]span, error)
	content string
}

func parseReplace(raw json.RawMessage) (replaceNorm, error) {
	var c struct {
		Type    string      `json:"type"`
		Pattern patternSpec `json:"pattern"`
		Content string      `json:"content"`
	}
	if err := decodeStrict(raw, &c); err != nil {
		return replaceNorm{}, err
	}
	find, err := c.Pattern.finder()
	if err != nil {
		return replaceNorm{}, fmt.Errorf("in Replace: %w", err)
	}
	r := replaceNorm{find: find, content: c.Content}
	if c.Pattern.String != nil {
		r.literal = *c.Pattern.String
	}
	return r, nil
}

func (r replaceNorm) normalize(s string) (string, error) {
	if r.literal != "" {
		return strings.ReplaceAll(s, r.literal, r.content), nil
	}
	spans, err := r.find(s)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, w := range spans {
		if w.match {
			b.WriteString(r.content)
		} else {
			b.WriteString(s[w.start:w.end])
		}
	}
	return b.String(), nil
}

// spmNorm is SentencePiece's normalizer with the identity rule: spaces become ▁ (U+2581),
// one ▁ is put before the text, and extra spaces may be removed. Other white space is not
// changed.
type spmNorm struct {
	addDummyPrefix, removeExtra bool
}

// spaceMark represents a space in SentencePiece vocabularies.
const spaceMark = "▁"

func (n spmNorm) normalize(s string) (string, error) {
	if n.removeExtra {
		s = strings.Trim(s, " ")
		for strings.Contains(s, "  ") {
			s = strings.ReplaceAll(s, "  ", " ")
		}
	}
	if s == "" {
		return s, nil
	}
	if n.addDummyPrefix {
		s = " " + s
	}
	s = strings.ReplaceAll(s, " ", spaceMark)
	if n.removeExtra {
		// A ▁ in the text counts as a space here, as in the reference.
		for strings.HasSuffix(s, spaceMark) {
			s = strings.TrimSuffix(s, spaceMark)
		}
	}
	return s, nil
}
