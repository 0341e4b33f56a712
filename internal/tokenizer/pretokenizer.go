package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// preTokenizer splits text into words, which the model then encodes separately. first: s is
// at the beginning of the whole text; emit is told the same about each word.
type preTokenizer interface {
	split(s string, first bool, emit func(word string, first bool) error) error
}

// maxNesting is the largest depth of nested Sequence components.
const maxNesting = 8

// parsePreTokenizer reads the pre_tokenizer of a tokenizer.json. byteLevel: the last step
// is ByteLevel, so the model's symbols are bytes; split names the split for Kind.
func parsePreTokenizer(raw json.RawMessage, depth int) (steps []preTokenizer, byteLevel bool, split string, err error) {
	if isNull(raw) {
		return nil, false, "no split", nil
	}
	kind, err := componentType(raw)
	if err != nil {
		return nil, false, "", err
	}
	switch kind {
	case "Sequence":
		return parsePreTokenizers(raw, depth)
	case "ByteLevel":
		var c byteLevelConfig
		if err := decodeStrict(raw, &c); err != nil {
			return nil, false, "", err
		}
		p := byteLevelSplit{addPrefixSpace: c.AddPrefixSpace, useRegex: c.UseRegex == nil || *c.UseRegex}
		if p.useRegex {
			split = "gpt-2 split"
		}
		return []preTokenizer{p}, true, split, nil
	case "Split":
		p, name, err := parseSplit(raw)
		if err != nil {
			return nil, false, "", err
		}
		return []preTokenizer{p}, false, name, nil
	case "Digits":
		var c struct {
			Type       string `json:"type"`
			Individual bool   `json:"individual_digits"`
		}
		if err := decodeStrict(raw, &c); err != nil {
			return nil, false, "", err
		}
		behaviour := "Contiguous"
		if c.Individual {
			behaviour = "Isolated"
		}
		return []preTokenizer{patternSplit{find: digitSpans, behaviour: behaviour}}, false, "digits split", nil
	case "Metaspace":
		p, err := parseMetaspace(raw)
		if err != nil {
			return nil, false, "", err
		}
		return []preTokenizer{p}, false, "metaspace split", nil
	}
	return nil, false, "", unsupported(kind, "Sequence, ByteLevel, Split, Digits, Metaspace")
}

// parsePreTokenizers reads a Sequence of them.
func parsePreTokenizers(raw json.RawMessage, depth int) (steps []preTokenizer, byteLevel bool, split string, err error) {
	var c struct {
		Type string            `json:"type"`
		List []json.RawMessage `json:"pretokenizers"`
	}
	if err := decodeStrict(raw, &c); err != nil {
		return nil, false, "", err
	}
	if depth >= maxNesting {
		return nil, false, "", fmt.Errorf("sequences nested deeper than %d", maxNesting)
	}
	var names []string
	for i, r := range c.List {
		if byteLevel {
			return nil, false, "", fmt.Errorf("ByteLevel is followed by another step; it is supported only as the last step")
		}
		s, b, name, err := parsePreTokenizer(r, depth+1)
		if err != nil {
			return nil, false, "", fmt.Errorf("step %d: %w", i, err)
		}
		steps, byteLevel = append(steps, s...), b
		if name != "" {
			names = append(names, name)
		}
	}
	return steps, byteLevel, strings.Join(names, " + "), nil
}

// byteLevelConfig is the configuration of ByteLevel in any component; trim_offsets concerns
// only offsets, which are not computed here.
type byteLevelConfig struct {
	Type           string `json:"type"`
	AddPrefixSpace bool   `json:"add_prefix_space"`
	TrimOffsets    bool   `json:"trim_offsets"`
	UseRegex       *bool  `json:"use_regex"`
}

// byteLevelSplit is the split of ByteLevel; the model converts text to bytes.
type byteLevelSplit struct {
	addPrefixSpace, useRegex bool
}

func (p byteLevelSplit) split(s string, first bool, emit func(string, bool) error) error {
	if p.addPrefixSpace && !strings.HasPrefix(s, " ") {
		s = " " + s
	}
	if !p.useRegex {
		return emit(s, first)
	}
	return cut(s, nextGPT2, first, emit)
}

// cut emits the words found by a splitter.
func cut(s string, next splitter, first bool, emit func(string, bool) error) error {
	for s != "" {
		n := next(s)
		if err := emit(s[:n], first); err != nil {
			return err
		}
		s, first = s[n:], false
	}
	return nil
}

// knownSplit is Split with a pattern for which there is a hand-written splitter.
type knownSplit struct{ next splitter }

func (p knownSplit) split(s string, first bool, emit func(string, bool) error) error {
	return cut(s, p.next, first, emit)
}

func parseSplit(raw json.RawMessage) (preTokenizer, string, error) {
	var c struct {
		Type      string      `json:"type"`
		Pattern   patternSpec `json:"pattern"`
		Behaviour string      `json:"behavior"`
		Invert    bool        `json:"invert"`
	}
	if err := decodeStrict(raw, &c); err != nil {
		return nil, "", err
	}
	switch c.Behaviour {
	case "Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous":
	default:
		return nil, "", fmt.Errorf("in Split: %w", unsupported(c.Behaviour, "Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous"))
	}
	if c.Pattern.Regex != nil {
		if known, ok := knownSplitters[*c.Pattern.Regex]; ok {
			// The pattern matches everywhere: there is nothing between the matches.
			if c.Behaviour == "Isolated" || c.Behaviour == "Removed" && c.Invert {
				return knownSplit{known.next}, known.name + " split", nil
			}
		}
	}
	find, err := c.Pattern.finder()
	if err != nil {
		return nil, "", fmt.Errorf("in Split: %w", err)
	}
	return patternSplit{find: find, behaviour: c.Behaviour, invert: c.Invert}, "own split", nil
}

// patternSpec is a pattern in a tokenizer.json: {"String": …} or {"Regex": …}.
type patternSpec struct {
	String *string `json:"String"`
	Regex  *string `json:"Regex"`
}

// finder returns a function that divides a text completely into spans.
func (p patternSpec) finder() (func(string) ([]span, error), error) {
	switch {
	case p.String != nil && p.Regex == nil && *p.String != "":
		lit := *p.String
		return func(s string) ([]span, error) { return literalSpans(s, lit), nil }, nil
	case p.Regex != nil && p.String == nil && *p.Regex != "":
		re, err := compileRegex(*p.Regex)
		if err != nil {
			return nil, err
		}
		return func(s string) ([]span, error) { return regexSpans(re, s) }, nil
	}
	return nil, fmt.Errorf(`pattern is neither {"String": …} nor {"Regex": …}, or is empty`)
}

func literalSpans(s, lit string) (spans []span) {
	done := 0
	for {
		i := strings.Index(s[done:], lit)
		if i < 0 {
			break
		}
		if i > 0 {
			spans = append(spans, span{done, done + i, false})
		}
		spans = append(spans, span{done + i, done + i + len(lit), true})
		done += i + len(lit)
	}
	if done < len(s) {
		spans = append(spans, span{done, len(s), false})
	}
	return spans
}

func digitSpans(s string) (spans []span, err error) {
	done := 0
	for i, r := range s {
		if !unicode.IsNumber(r) {
			continue
		}
		_, n := classAt(s[i:])
		if i > done {
			spans = append(spans, span{done, i, false})
		}
		spans = append(spans, span{i, i + n, true})
		done = i + n
	}
	if done < len(s) {
		spans = append(spans, span{done, len(s), false})
	}
	return spans, nil
}

// patternSplit is the general Split (and Digits): spans, and what is done with them. The
// behaviours are those of Hugging Face's SplitDelimiterBehavior.
type patternSplit struct {
	find      func(string) ([]span, error)
	behaviour string
	invert    bool
}

func (p patternSplit) split(s string, first bool, emit func(string, bool) error) error {
	spans, err := p.find(s)
	if err != nil {
		return err
	}
	if p.invert {
		for i := range spans {
			spans[i].match = !spans[i].match
		}
	}
	for _, w := range arrange(spans, p.behaviour) {
		if err := emit(s[w.start:w.end], first && w.start == 0); err != nil {
			return err
		}
	}
	return nil
}

// arrange joins and drops spans as the behaviour requires.
func arrange(spans []span, behaviour string) []span {
	var out []span
	last := false // whether the previous span was a match
	switch behaviour {
	case "Isolated":
		return spans
	case "Removed":
		for _, w := range spans {
			if !w.match {
				out = append(out, w)
			}
		}
	case "Contiguous":
		for _, w := range spans {
			if len(out) > 0 && w.match == last {
				out[len(out)-1].end = w.end
			} else {
				out = append(out, w)
			}
			last = w.match
		}
	case "MergedWithPrevious":
		for _, w := range spans {
			if len(out) > 0 && w.match && !last {
				out[len(out)-1].end = w.end
			} else {
				out = append(out, w)
			}
			last = w.match
		}
	case "MergedWithNext":
		// A match is joined to the following span unless that is a match itself.
		for i := 0; i < len(spans); i++ {
			w := spans[i]
			if w.match && i+1 < len(spans) && !spans[i+1].match {
				i++
				w.end = spans[i].end
			}
			out = append(out, w)
		}
	}
	return out
}

// metaspace is Metaspace: spaces become a visible character, which is also put before the
// text.
type metaspace struct {
	replacement string
	scheme      string // first, always, never
	cut         bool
}

func parseMetaspace(raw json.RawMessage) (metaspace, error) {
	var c struct {
		Type           string  `json:"type"`
		Replacement    string  `json:"replacement"`
		AddPrefixSpace *bool   `json:"add_prefix_space"`
		Scheme         *string `json:"prepend_scheme"`
		Split          *bool   `json:"split"`
		StrRep         *string `json:"str_rep"` // older files repeat the replacement
	}
	if err := decodeStrict(raw, &c); err != nil {
		return metaspace{}, err
	}
	m := metaspace{replacement: c.Replacement, scheme: "always", cut: c.Split == nil || *c.Split}
	if n := len([]rune(c.Replacement)); n != 1 {
		return m, fmt.Errorf("in Metaspace: replacement %q is not one character", c.Replacement)
	}
	if c.Scheme != nil {
		m.scheme = *c.Scheme
	}
	switch m.scheme {
	case "first", "always", "never":
	default:
		return m, fmt.Errorf("in Metaspace: prepend_scheme: %w", unsupported(m.scheme, "first, always, never"))
	}
	if c.AddPrefixSpace != nil && !*c.AddPrefixSpace {
		if m.scheme != "never" && c.Scheme != nil {
			return m, fmt.Errorf("in Metaspace: add_prefix_space false contradicts prepend_scheme %q", m.scheme)
		}
		m.scheme = "never"
	}
	return m, nil
}

func (p metaspace) split(s string, first bool, emit func(string, bool) error) error {
	s = strings.ReplaceAll(s, " ", p.replacement)
	if !strings.HasPrefix(s, p.replacement) && (p.scheme == "always" || p.scheme == "first" && first) {
		s = p.replacement + s
	}
	if !p.cut {
		return emit(s, first)
	}
	for s != "" {
		// Each replacement character begins a word.
		from := 0
		if strings.HasPrefix(s, p.replacement) {
			from = len(p.replacement)
		}
		n := strings.Index(s[from:], p.replacement)
		if n < 0 {
			n = len(s) - from
		}
		if err := emit(s[:from+n], first); err != nil {
			return err
		}
		s, first = s[from+n:], false
	}
	return nil
}
