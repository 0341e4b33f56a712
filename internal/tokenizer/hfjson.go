package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// hfFile is a tokenizer.json. Truncation and padding are omitted on purpose: they are
// options of a call, do not determine the ids of a text, and every loader resets them.
type hfFile struct {
	AddedTokens   once `json:"added_tokens"`
	Normalizer    once `json:"normalizer"`
	PreTokenizer  once `json:"pre_tokenizer"`
	PostProcessor once `json:"post_processor"`
	Decoder       once `json:"decoder"`
	Model         once `json:"model"`
}

// once is a part of a document whose key may appear only once. For tokenizer.json, which is
// read at each start, this takes the place of looking for repeated keys in all its megabytes;
// tokens that appear twice in the vocabulary are found there.
type once struct{ json.RawMessage }

func (o *once) UnmarshalJSON(data []byte) error {
	if o.RawMessage != nil {
		return errors.New("one of its keys appears twice, expected once")
	}
	o.RawMessage = bytes.Clone(data)
	return nil
}

// hfModel is the BPE model of a tokenizer.json.
type hfModel struct {
	Type         string   `json:"type"`
	Dropout      *float64 `json:"dropout"`
	UnkToken     *string  `json:"unk_token"`
	Prefix       *string  `json:"continuing_subword_prefix"`
	Suffix       *string  `json:"end_of_word_suffix"`
	FuseUnk      bool     `json:"fuse_unk"`
	ByteFallback bool     `json:"byte_fallback"`
	IgnoreMerges bool     `json:"ignore_merges"`
	Vocab        once     `json:"vocab"`
	Merges       once     `json:"merges"`
}

// parseHF builds a tokenizer from a tokenizer.json and the files beside it.
func parseHF(data []byte, side *sidecar) (*Tokenizer, error) {
	var f hfFile
	if err := input.PartJSON(data, &f); err != nil {
		return nil, fmt.Errorf("not a tokenizer.json: %w", err)
	}
	if isNull(f.Model.RawMessage) {
		return nil, fmt.Errorf("not a tokenizer.json: it has no model")
	}
	var m hfModel
	strict := decodeStrict(f.Model.RawMessage, &m)
	if strict != nil || m.Type != "BPE" { // it may be another kind, which has other fields
		if err := checkBPE(f.Model.RawMessage); err != nil {
			return nil, fmt.Errorf("model: %w", err)
		}
	}
	if strict != nil {
		return nil, fmt.Errorf("model: %w", strict)
	}
	vocab, err := parseVocab(m.Vocab.RawMessage)
	if err != nil {
		return nil, fmt.Errorf("model.vocab: %w", err)
	}
	merges, err := parseMerges(m.Merges.RawMessage)
	if err != nil {
		return nil, fmt.Errorf("model.merges: %w", err)
	}
	var added []addedToken
	if !isNull(f.AddedTokens.RawMessage) {
		if err := input.PartJSON(f.AddedTokens.RawMessage, &added); err != nil {
			return nil, fmt.Errorf("added_tokens: %w", err)
		}
	}
	return buildHF(hfParts{
		source: "tokenizer.json", model: m, vocab: vocab, merges: merges, added: added,
		normalizer: f.Normalizer.RawMessage, preTokenizer: f.PreTokenizer.RawMessage, postProcessor: f.PostProcessor.RawMessage, decoder: f.Decoder.RawMessage,
	}, side)
}

// checkBPE returns an error for a model that is no BPE.
func checkBPE(model json.RawMessage) error {
	var head struct {
		Type   *string         `json:"type"`
		Merges json.RawMessage `json:"merges"`
	}
	if err := input.PartJSON(model, &head); err != nil {
		return err
	}
	// Older files without the type are recognised by their merges.
	if head.Type != nil && *head.Type != "BPE" {
		return unsupported(*head.Type, "BPE")
	}
	if head.Type == nil && isNull(head.Merges) {
		return fmt.Errorf("has neither type nor merges; only BPE is supported")
	}
	return nil
}

// hfParts are the parts of a Hugging Face tokenizer, from any source.
type hfParts struct {
	source                                           string
	model                                            hfModel
	vocab                                            []vocabEntry
	merges                                           [][2]string
	added                                            []addedToken
	normalizer, preTokenizer, postProcessor, decoder json.RawMessage
}

func buildHF(p hfParts, side *sidecar) (*Tokenizer, error) {
	pre, byteLevel, splitName, err := parsePreTokenizer(p.preTokenizer, 0)
	if err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	norms, err := parseNormalizer(p.normalizer, 0)
	if err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	t := &Tokenizer{norm: norms, pre: pre, bos: -1}
	if err := t.setPieces(p.vocab); err != nil {
		return nil, fmt.Errorf("model.vocab: %w", err)
	}
	if t.model, err = newHFModel(p.model, t.ids, p.merges, byteLevel); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	added, err := side.mergeAdded(t, p.added)
	if err != nil {
		return nil, err
	}
	if err := t.addTokens(added, len(p.vocab)); err != nil {
		return nil, fmt.Errorf("added_tokens: %w", err)
	}
	// A token that is searched for in normalized text is represented by its normalized
	// form, which starts with a space if there is a Prepend normalizer.
	forms := slices.Clone(t.pieces)
	for _, a := range added {
		if a.Normalized {
			if forms[a.ID], err = t.normalize(a.Content, true); err != nil {
				return nil, fmt.Errorf("added_tokens: %w", err)
			}
		}
	}
	if t.decode, err = parseDecoder(p.decoder, forms, byteLevel, isAdded(added)); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	tmpl, err := parsePostProcessor(p.postProcessor, t, 0)
	if err != nil {
		return nil, fmt.Errorf("post_processor: %w", err)
	}
	if err := side.apply(t, tmpl); err != nil {
		return nil, err
	}
	form := "metaspace"
	switch {
	case byteLevel:
		form = "byte-level"
	case p.model.ByteFallback:
		form = "with byte fallback"
	}
	if splitName == "" {
		splitName = "no split"
	}
	t.kind = fmt.Sprintf("%s: BPE %s (%s)", p.source, form, splitName)
	return t, nil
}

// setPieces fills pieces and ids from a vocabulary, whose ids must be unique
// and below MaxVocab.
func (t *Tokenizer) setPieces(vocab []vocabEntry) error {
	if len(vocab) == 0 {
		return fmt.Errorf("is empty")
	}
	top := 0
	for _, e := range vocab {
		if e.id < 0 || e.id >= MaxVocab {
			return fmt.Errorf("id %d of token %q is outside 0…%d", e.id, clip(e.piece), MaxVocab-1)
		}
		top = max(top, e.id)
	}
	t.pieces = make([]string, top+1)
	t.special = make([]bool, top+1)
	t.ids = make(map[string]int, len(vocab))
	used := make([]bool, top+1)
	for _, e := range vocab {
		if used[e.id] {
			return fmt.Errorf("id %d is given to both %q and %q", e.id, clip(t.pieces[e.id]), clip(e.piece))
		}
		used[e.id] = true
		if old, ok := t.ids[e.piece]; ok {
			return fmt.Errorf("token %q has both id %d and id %d", clip(e.piece), old, e.id)
		}
		t.pieces[e.id], t.ids[e.piece] = e.piece, e.id
	}
	return nil
}

// newHFModel builds the encoder of a tokenizer.json model.
func newHFModel(c hfModel, ids map[string]int, merges [][2]string, byteLevel bool) (*bpe, error) {
	switch {
	case c.Dropout != nil && *c.Dropout != 0:
		return nil, fmt.Errorf("dropout %v makes ids random; only null or 0 is supported", *c.Dropout)
	case c.Prefix != nil && *c.Prefix != "":
		return nil, fmt.Errorf("continuing_subword_prefix %q is not supported; only null", *c.Prefix)
	case c.Suffix != nil && *c.Suffix != "":
		return nil, fmt.Errorf("end_of_word_suffix %q is not supported; only null", *c.Suffix)
	}
	m := &bpe{byteLevel: byteLevel, unk: -1, fuseUnk: c.FuseUnk, fallback: c.ByteFallback && !byteLevel, runes: make(map[rune]int32)}
	if c.UnkToken != nil {
		m.unkName = *c.UnkToken
		if id, ok := ids[m.unkName]; ok {
			m.unk = int32(id)
		}
	}
	for b := range 256 {
		m.bytes[b] = -1
		name := pieceOfByte(byte(b))
		if byteLevel {
			name = string(byteToRune[b])
		}
		if id, ok := ids[name]; ok {
			m.bytes[b] = int32(id)
		}
	}
	if byteLevel && c.ByteFallback {
		return nil, fmt.Errorf("byte_fallback with a ByteLevel pre_tokenizer is not supported")
	}
	for i := range m.ascii {
		m.ascii[i] = -1
	}
	for piece, id := range ids {
		if r, n := utf8.DecodeRuneInString(piece); n > 0 && n == len(piece) {
			m.setSymbol(r, int32(id))
		}
	}
	if c.IgnoreMerges {
		m.whole = wholeWords(ids, byteLevel)
	}
	if err := m.addMerges(ids, merges); err != nil {
		return nil, err
	}
	return m, nil
}

// addMerges fills the table of merges, and the junctions if the vocabulary allows them.
func (m *bpe) addMerges(ids map[string]int, merges [][2]string) error {
	m.merges = newPairTable(len(merges))
	j := newJunctions(func(r rune) bool { return m.symbol(r) >= 0 })
	cuttable := !m.byteLevel
	for rank, pair := range merges {
		a, okA := ids[pair[0]]
		b, okB := ids[pair[1]]
		joined := pair[0] + pair[1]
		id, okID := ids[joined]
		for i, ok := range []bool{okA, okB, okID} {
			if !ok {
				return fmt.Errorf("merge %d (%q, %q): token %q is not in the vocabulary", rank, clip(pair[0]), clip(pair[1]),
					clip([]string{pair[0], pair[1], joined}[i]))
			}
		}
		m.merges.set(int32(a), int32(b), uint32(rank), int32(id))
		j.add(joined)
		for _, part := range pair {
			// The junctions would miss symbols that are not a character.
			if _, isByte := byteOfPiece(part); isByte || part == m.unkName {
				cuttable = false
			}
		}
	}
	if cuttable {
		m.junctions = j
	}
	return nil
}

// wholeWords maps words, in the form that the model receives, to the tokens that equal
// them.
func wholeWords(ids map[string]int, byteLevel bool) map[string]int32 {
	whole := make(map[string]int32, len(ids))
	for piece, id := range ids {
		if !byteLevel {
			whole[piece] = int32(id)
		} else if s, ok := unmapBytes(piece); ok {
			whole[s] = int32(id)
		}
	}
	return whole
}

// maxAddedBytes is the largest total size of added tokens: the matcher takes a few hundred
// bytes of memory for each byte. Published vocabularies have a hundred kilobytes.
const maxAddedBytes = 4 << 20

// addTokens adds tokens to the vocabulary and builds their matchers. modelSize is the
// number of tokens of the model.
func (t *Tokenizer) addTokens(added []addedToken, modelSize int) error {
	if err := t.numberAdded(added, modelSize); err != nil {
		return err
	}
	return t.matchAdded(added)
}

// numberAdded checks added tokens and puts them into the vocabulary. Hugging Face numbers new
// tokens after the model's, whatever the file says, so a different id is an error.
func (t *Tokenizer) numberAdded(added []addedToken, modelSize int) error {
	next, bytes := modelSize, 0
	for _, a := range added {
		if a.Content == "" {
			return fmt.Errorf("id %d: the content is empty", a.ID)
		}
		if a.ID < 0 || a.ID >= MaxVocab {
			return fmt.Errorf("token %q: id %d is outside 0…%d", clip(a.Content), a.ID, MaxVocab-1)
		}
		if !utf8.ValidString(a.Content) {
			return fmt.Errorf("token %q is not valid UTF-8", clip(a.Content))
		}
		if len(a.Content) > MaxPieceBytes {
			return fmt.Errorf("token %q has %s, the limit is %d", clip(a.Content), plural.Of(len(a.Content), "byte"), MaxPieceBytes)
		}
		if bytes += len(a.Content); bytes > maxAddedBytes {
			return fmt.Errorf("have more than %s in total, the limit", plural.Of(maxAddedBytes, "byte"))
		}
		old, ok := t.ids[a.Content]
		switch {
		case ok && old != a.ID:
			return fmt.Errorf("token %q has id %d here and id %d in the vocabulary", clip(a.Content), a.ID, old)
		case !ok && a.ID != next:
			return fmt.Errorf("token %q has id %d, but Hugging Face would number it %d, the next free id; the id that the model was trained with is unknown",
				clip(a.Content), a.ID, next)
		case !ok:
			if a.ID < len(t.pieces) && t.pieces[a.ID] != "" {
				return fmt.Errorf("token %q has id %d, which is that of %q", clip(a.Content), a.ID, clip(t.pieces[a.ID]))
			}
			t.put(a.ID, a.Content)
		}
		// The reference continues after the highest added id if it is higher than the
		// model's ids.
		if a.ID >= next {
			next = a.ID + 1
		}
		t.special[a.ID] = a.Special
	}
	return nil
}

// matchAdded builds the matchers that find added tokens in a text: those that are looked for as they are written,
// and those that are looked for after normalization.
func (t *Tokenizer) matchAdded(added []addedToken) error {
	var raw, mid []addedToken
	for _, a := range added {
		if a.Normalized {
			mid = append(mid, a)
		} else {
			raw = append(raw, a)
		}
	}
	var dup *addedToken
	if t.rawAdded, dup = newMatcher(raw, func(a addedToken) string { return a.Content }); dup != nil {
		return fmt.Errorf("token %q is listed twice", clip(dup.Content))
	}
	var err error
	t.midAdded, dup = newMatcher(mid, func(a addedToken) string {
		s := a.Content
		for _, n := range t.norm {
			if err == nil {
				s, err = n.normalize(s)
			}
		}
		return s
	})
	if err != nil {
		return err
	}
	if dup != nil {
		return fmt.Errorf("token %q has the same normalized form as another one", clip(dup.Content))
	}
	return nil
}

// put assigns an unused id to a piece.
func (t *Tokenizer) put(id int, piece string) {
	for len(t.pieces) <= id {
		t.pieces = append(t.pieces, "")
		t.special = append(t.special, false)
	}
	t.pieces[id], t.ids[piece] = piece, id
}

func isAdded(added []addedToken) func(int) bool {
	set := make(map[int]bool, len(added))
	for _, a := range added {
		set[a.ID] = true
	}
	return func(id int) bool { return set[id] }
}

// isNull reports whether a part of a JSON file is absent or null.
func isNull(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) == 0 || bytes.Equal(raw, []byte("null"))
}

// componentType reads the "type" field that every component has.
func componentType(raw json.RawMessage) (string, error) {
	var c struct {
		Type *string `json:"type"`
	}
	if err := input.PartJSON(raw, &c); err != nil {
		return "", err
	}
	if c.Type == nil {
		return "", fmt.Errorf("has no type")
	}
	return *c.Type, nil
}

// decodeStrict reads a component. An unknown field might change ids, so it is an error.
func decodeStrict(raw json.RawMessage, into any) error {
	return input.StrictPartJSON(raw, into)
}

func unsupported(what, supported string) error {
	return fmt.Errorf("%q is not supported; supported: %s", clip(what), supported)
}

// clip shortens a piece for an error text.
func clip(s string) string {
	if len(s) > 64 {
		return s[:61] + "..."
	}
	return s
}
