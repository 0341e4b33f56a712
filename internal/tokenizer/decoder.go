package tokenizer

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder holds the bytes that each id contributes to a decoded text. They are bytes
// because a character may be spread over several ids.
type decoder struct {
	text  []string // by id
	first []string // the same for the first id of a text; nil: no difference
	// strip is how many times stripped may be removed from the front of the text.
	stripped string
	strip    int
	// perByte writes one U+FFFD for each byte that is not UTF-8, as SentencePiece does;
	// otherwise one for each invalid sequence, as Hugging Face's ByteLevel does.
	perByte bool
}

// Decode returns the text of ids. Special tokens and unknown ids contribute nothing. Bytes
// that are not valid UTF-8 become U+FFFD. What the tokenizer put before the text (the space
// of Llama-2) is removed again.
func (t *Tokenizer) Decode(ids []int) string {
	var b strings.Builder
	s := t.Stream()
	for _, id := range ids {
		b.WriteString(s.Next(id))
	}
	b.WriteString(s.Flush())
	return b.String()
}

// Text returns the bytes that id adds to a text where it stands within one: perhaps a
// part of a character only, and "" for special tokens and unknown ids.
func (t *Tokenizer) Text(id int) string {
	if id < 0 || id >= len(t.decode.text) || t.special[id] || t.pieces[id] == "" {
		return ""
	}
	return t.decode.text[id]
}

// StripsBlank says whether a text loses a blank at its beginning when it is decoded.
func (t *Tokenizer) StripsBlank() bool { return t.decode.strip > 0 || t.decode.first != nil }

// Stream decodes ids one by one. The concatenated results of Next and Flush equal the
// result of Decode for all ids. To continue a prompt, first send the prompt's ids through
// the stream and discard the result: only the first word of a text loses its space, not
// that of a continuation.
type Stream struct {
	t       *Tokenizer
	pending []byte
	begun   bool
	strip   int
}

// Stream starts decoding a text.
func (t *Tokenizer) Stream() *Stream {
	return &Stream{t: t, strip: t.decode.strip}
}

// Next takes one id and returns the text that is now complete: only whole characters, and
// "" while bytes of a character are missing.
func (s *Stream) Next(id int) string {
	t := s.t
	if id < 0 || id >= len(t.decode.text) || t.special[id] || t.pieces[id] == "" {
		return ""
	}
	text := t.decode.text[id]
	if !s.begun && t.decode.first != nil {
		text = t.decode.first[id]
	}
	s.begun = true
	if len(s.pending) == 0 && utf8.ValidString(text) {
		return s.trim(text)
	}
	s.pending = append(s.pending, text...)
	return s.trim(s.drain(false))
}

// Flush ends the text and returns what has been held back.
func (s *Stream) Flush() string {
	return s.trim(s.drain(true))
}

// trim removes what the tokenizer put before the text.
func (s *Stream) trim(text string) string {
	for s.strip > 0 && text != "" {
		rest, ok := strings.CutPrefix(text, s.t.decode.stripped)
		if !ok {
			s.strip = 0
			break
		}
		s.strip--
		text = rest
	}
	return text
}

// drain removes whole characters from the pending bytes; at the end of the text also
// invalid ones.
func (s *Stream) drain(end bool) string {
	p := s.pending
	var b strings.Builder
	for len(p) > 0 && (end || utf8.FullRune(p)) {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			if !s.t.decode.perByte {
				n = brokenLen(p)
			}
			b.WriteRune(utf8.RuneError)
		} else {
			b.Write(p[:n])
		}
		p = p[n:]
	}
	s.pending = s.pending[:copy(s.pending, p)]
	return b.String()
}

// brokenLen returns the length of the longest prefix of p that is the beginning of a
// character, at least 1: Unicode's "maximal subpart" (chapter 3.9, U+FFFD substitution).
func brokenLen(p []byte) int {
	n := 1
	for n < len(p) && n < utf8.UTFMax && !utf8.FullRune(p[:n]) {
		if utf8.FullRune(p[:n+1]) {
			break
		}
		n++
	}
	return n
}

// parseDecoder reads the decoder of a tokenizer.json and computes what each piece decodes
// to.
func parseDecoder(raw json.RawMessage, pieces []string, byteLevel bool, isAdded func(int) bool) (decoder, error) {
	d := decoder{text: make([]string, len(pieces))}
	copy(d.text, pieces)
	if isNull(raw) {
		return d, fmt.Errorf("is null, so ids cannot be decoded to text; supported are ByteLevel, Metaspace and Sequence")
	}
	steps, err := flattenDecoder(raw, 0)
	if err != nil {
		return d, err
	}
	stage := stagePieces
	for i, step := range steps {
		if stage, err = d.apply(step, i, len(steps), stage, isAdded); err != nil {
			return d, err
		}
	}
	if byteLevel && (len(steps) != 1 || stage != stageBytes || d.perByte) {
		return d, fmt.Errorf("a ByteLevel pre_tokenizer needs a ByteLevel decoder")
	}
	return d, nil
}

// decodeStage is what the pieces are after a step of the decoder.
type decodeStage int

const (
	stagePieces decodeStage = iota // each is a text
	stageBytes                     // each is bytes, which may be part of a character
	stageJoined                    // all of them are one text
)

// apply applies step i of n to the texts of all pieces.
func (d *decoder) apply(step json.RawMessage, i, n int, stage decodeStage, isAdded func(int) bool) (decodeStage, error) {
	kind, err := componentType(step)
	if err != nil {
		return stage, err
	}
	if stage != stagePieces && kind != "Fuse" && kind != "Strip" || stage == stageJoined && kind == "Fuse" {
		return stage, fmt.Errorf("step %d: %s is not supported after ByteFallback, ByteLevel or Fuse", i, kind)
	}
	switch kind {
	case "ByteLevel":
		if err := decodeStrict(step, &byteLevelConfig{}); err != nil {
			return stage, err
		}
		for id, s := range d.text {
			// An added token decodes to itself, whatever characters it has.
			if b, ok := unmapBytes(s); ok && !isAdded(id) {
				d.text[id] = b
			}
		}
		return stageBytes, nil
	case "ByteFallback":
		if err := decodeStrict(step, &struct {
			Type string `json:"type"`
		}{}); err != nil {
			return stage, err
		}
		d.perByte = true
		for id, s := range d.text {
			if b, ok := byteOfPiece(s); ok {
				d.text[id] = string([]byte{b})
			}
		}
		return stageBytes, nil
	case "Fuse":
		return stageJoined, nil
	case "Metaspace":
		if err := d.applyMetaspace(step); err != nil {
			return stage, err
		}
		if n != 1 {
			return stage, fmt.Errorf("step %d: Metaspace is supported only as the whole decoder", i)
		}
		return stage, nil
	case "Replace":
		return stage, d.applyReplace(step)
	case "Strip":
		return stage, d.applyStrip(step, i, stage == stageJoined && i == n-1)
	}
	return stage, unsupported(kind, "Sequence, ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip")
}

// applyMetaspace replaces the character that stands for a space by one, or by nothing at the beginning of a
// text.
func (d *decoder) applyMetaspace(step json.RawMessage) error {
	m, err := parseMetaspace(step)
	if err != nil {
		return err
	}
	if m.scheme != "never" {
		d.first = make([]string, len(d.text))
		for id, s := range d.text {
			d.first[id] = strings.ReplaceAll(s, m.replacement, "")
		}
	}
	for id, s := range d.text {
		d.text[id] = strings.ReplaceAll(s, m.replacement, " ")
	}
	return nil
}

// applyReplace replaces a string in every piece.
func (d *decoder) applyReplace(step json.RawMessage) error {
	r, err := parseReplace(step)
	if err != nil {
		return err
	}
	for id, s := range d.text {
		if d.text[id], err = r.normalize(s); err != nil {
			return err
		}
	}
	return nil
}

// applyStrip reads step i, which removes a character from the front of the text. lastOfText: the pieces have been
// joined, and no step follows.
func (d *decoder) applyStrip(step json.RawMessage, i int, lastOfText bool) error {
	var c struct {
		Type    string `json:"type"`
		Content string `json:"content"`
		Start   int    `json:"start"`
		Stop    int    `json:"stop"`
	}
	if err := decodeStrict(step, &c); err != nil {
		return err
	}
	if !lastOfText || c.Stop != 0 || c.Start < 0 || utf8.RuneCountInString(c.Content) != 1 {
		return fmt.Errorf("step %d: Strip is supported only as the last step after Fuse, with one character and stop 0", i)
	}
	d.stripped, d.strip = c.Content, c.Start
	return nil
}

func flattenDecoder(raw json.RawMessage, depth int) ([]json.RawMessage, error) {
	kind, err := componentType(raw)
	if err != nil {
		return nil, err
	}
	if kind != "Sequence" {
		return []json.RawMessage{raw}, nil
	}
	var c struct {
		Type string            `json:"type"`
		List []json.RawMessage `json:"decoders"`
	}
	if err := decodeStrict(raw, &c); err != nil {
		return nil, err
	}
	if depth >= maxNesting {
		return nil, fmt.Errorf("sequences nested deeper than %d", maxNesting)
	}
	var all []json.RawMessage
	for _, r := range c.List {
		more, err := flattenDecoder(r, depth+1)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// byteOfPiece reads a byte-fallback piece, "<0x0A>".
func byteOfPiece(s string) (byte, bool) {
	if len(s) != 6 || s[:3] != "<0x" || s[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(s[3:5], 16, 8)
	return byte(b), err == nil
}

// pieceOfByte is the name of a byte-fallback piece.
func pieceOfByte(b byte) string { return fmt.Sprintf("<0x%02X>", b) }
