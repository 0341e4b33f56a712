package tokenizer

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/plural"
)

// PieceType is the kind of a SentencePiece piece. The numbers are those of the
// tokenizer.model file and of GGUF's tokenizer.ggml.token_type.
type PieceType int

const (
	PieceNormal      PieceType = 1
	PieceUnknown     PieceType = 2 // for text that no piece covers
	PieceControl     PieceType = 3 // BOS, EOS: not text
	PieceUserDefined PieceType = 4 // always one token wherever it occurs in the text
	PieceUnused      PieceType = 5
	PieceByte        PieceType = 6 // "<0xXX>", for bytes that no piece covers
)

// Piece is one entry of a SentencePiece vocabulary; its id is its index.
type Piece struct {
	Text  string
	Score float32 // pieces of higher score are merged first
	Type  PieceType
}

// SentencePieceOptions are the settings of a tokenizer.model besides its pieces.
type SentencePieceOptions struct {
	ByteFallback           bool // unknown characters become byte pieces
	AddDummyPrefix         bool // a space goes before the text
	RemoveExtraWhitespaces bool // leading, trailing and repeated spaces are dropped
	BOS, EOS               int  // ids; -1: none
	AddBOS, AddEOS         bool // what Encode's addSpecial adds
}

// DefaultSentencePieceOptions are the settings of Llama-1 and Llama-2.
func DefaultSentencePieceOptions() SentencePieceOptions {
	return SentencePieceOptions{ByteFallback: true, AddDummyPrefix: true, BOS: 1, EOS: 2, AddBOS: true}
}

// NewSentencePiece builds a SentencePiece BPE tokenizer from its pieces, such as those in a
// GGUF file. It follows sentencepiece's bpe_model.cc; as in Hugging Face's conversion,
// control and unknown pieces written in a text become their ids, and the text between them
// is encoded separately.
func NewSentencePiece(pieces []Piece, o SentencePieceOptions) (*Tokenizer, error) {
	t, err := newSentencePiece(pieces, o, nil)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}

func newSentencePiece(pieces []Piece, o SentencePieceOptions, side *sidecar) (*Tokenizer, error) {
	if len(pieces) == 0 {
		return nil, fmt.Errorf("vocabulary is empty")
	}
	if len(pieces) > MaxVocab {
		return nil, fmt.Errorf("vocabulary has %s, the limit is %d", plural.Of(len(pieces), "piece"), MaxVocab)
	}
	t := &Tokenizer{
		pieces:  make([]string, len(pieces)),
		special: make([]bool, len(pieces)),
		ids:     make(map[string]int, len(pieces)),
		norm:    []normalizer{spmNorm{o.AddDummyPrefix, o.RemoveExtraWhitespaces}},
		bos:     -1,
		kind:    "tokenizer.model: SentencePiece BPE",
	}
	m := &bpe{unk: -1, fallback: o.ByteFallback, late: true, runes: make(map[rune]int32)}
	for i := range m.ascii {
		m.ascii[i] = -1
	}
	for i := range m.bytes {
		m.bytes[i] = -1
	}
	raw, user, err := t.spmPieces(m, pieces)
	if err != nil {
		return nil, err
	}
	err = checkCuts(func(yield func(int) bool) {
		for _, p := range pieces {
			if !yield(len(p.Text)) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if m.unk < 0 && !o.ByteFallback {
		return nil, fmt.Errorf("vocabulary has neither an unknown piece nor byte fallback")
	}
	if o.ByteFallback {
		for b, id := range m.bytes {
			if id < 0 {
				return nil, fmt.Errorf("byte fallback is on, but piece %q is missing", pieceOfByte(byte(b)))
			}
		}
	}
	m.rankPieces(pieces)
	t.model = m
	if err := t.spmAdded(raw, user, side); err != nil {
		return nil, err
	}
	t.decode = spmDecoder(t, pieces, o)
	if err := t.spmSpecial(o, side); err != nil {
		return nil, err
	}
	return t, nil
}

// spmPieces fills the vocabulary and the model's special ids. It returns the pieces that are
// matched before the model sees a text: unknown and control pieces, and user-defined ones.
func (t *Tokenizer) spmPieces(m *bpe, pieces []Piece) (raw, user []addedToken, err error) {
	for id, p := range pieces {
		if err := checkPiece(p); err != nil {
			return nil, nil, fmt.Errorf("piece %d (%q): %w", id, clip(p.Text), err)
		}
		if old, ok := t.ids[p.Text]; ok {
			return nil, nil, fmt.Errorf("piece %d (%q) is also piece %d", id, clip(p.Text), old)
		}
		t.pieces[id], t.ids[p.Text] = p.Text, id
		a := addedToken{ID: id, Content: p.Text, Special: true}
		switch p.Type {
		case PieceUnknown:
			if m.unk >= 0 {
				return nil, nil, fmt.Errorf("piece %d (%q) is of type unknown, as is piece %d; expected one", id, clip(p.Text), m.unk)
			}
			m.unk = int32(id)
			t.special[id] = true
			raw = append(raw, a)
		case PieceControl:
			t.special[id] = true
			raw = append(raw, a)
		case PieceUserDefined:
			a.Special = false
			user = append(user, a)
		case PieceByte:
			b, _ := byteOfPiece(p.Text)
			m.bytes[b] = int32(id)
		}
	}
	return raw, user, nil
}

func checkPiece(p Piece) error {
	switch {
	case p.Text == "":
		return fmt.Errorf("is empty")
	case len(p.Text) > MaxPieceBytes:
		return fmt.Errorf("has %s, the limit is %d", plural.Of(len(p.Text), "byte"), MaxPieceBytes)
	case !utf8.ValidString(p.Text):
		return fmt.Errorf("is not valid UTF-8")
	case math.IsNaN(float64(p.Score)) || math.IsInf(float64(p.Score), 0):
		return fmt.Errorf("has score %v, expected a finite number", p.Score)
	case p.Type == PieceUnused:
		return fmt.Errorf("is of type unused, which is not supported")
	case p.Type < PieceNormal || p.Type > PieceByte:
		return fmt.Errorf("is of type %d, expected 1 to 6", p.Type)
	}
	if p.Type == PieceByte {
		if b, ok := byteOfPiece(p.Text); !ok || pieceOfByte(b) != p.Text {
			return fmt.Errorf("is of type byte, but is not named like <0x0A>")
		}
	}
	return nil
}

// rankPieces fills the table of merges: every way to split a piece into two symbols is one,
// ranked by the piece's score. Characters that occur in pieces but are no pieces themselves
// get symbols beyond the vocabulary.
func (m *bpe) rankPieces(pieces []Piece) {
	symbols := make(map[string]int32, len(pieces))
	scores := make([]float32, 0, len(pieces))
	splits := 0
	for id, p := range pieces {
		if p.Type != PieceNormal && p.Type != PieceUserDefined {
			continue
		}
		symbols[p.Text] = int32(id)
		scores = append(scores, p.Score)
		splits += utf8.RuneCountInString(p.Text) - 1
	}
	m.size = int32(len(pieces))
	unnamed := m.size + 1 // m.size itself is "a character in no piece"
	for _, p := range pieces {
		if p.Type != PieceNormal && p.Type != PieceUserDefined {
			continue
		}
		for i, r := range p.Text {
			n := utf8.RuneLen(r)
			char := p.Text[i : i+n]
			if _, ok := symbols[char]; !ok {
				symbols[char] = unnamed
				unnamed++
			}
			m.setSymbol(r, symbols[char])
		}
	}
	// Equal scores share a rank, so that the leftmost of them merges first.
	sort.Slice(scores, func(i, j int) bool { return scores[i] > scores[j] })
	ranks := make(map[float32]uint32, len(scores))
	for _, s := range scores {
		if _, ok := ranks[s]; !ok {
			ranks[s] = uint32(len(ranks))
		}
	}
	m.merges = newPairTable(min(splits, 4*len(pieces)))
	// Several characters without an id may become one unknown token together.
	m.junctions = newJunctions(func(r rune) bool { id := m.symbol(r); return id >= 0 && id < m.size })
	for id, p := range pieces {
		if p.Type != PieceNormal && p.Type != PieceUserDefined {
			continue
		}
		for i := range p.Text {
			if i == 0 {
				continue
			}
			left, okL := symbols[p.Text[:i]]
			right, okR := symbols[p.Text[i:]]
			if okL && okR {
				m.merges.set(left, right, ranks[p.Score], int32(id))
			}
		}
		m.junctions.add(p.Text)
	}
}

// spmAdded sets up what is searched for in the text itself: control and unknown pieces as
// written, user-defined pieces after normalization, and the added tokens of
// tokenizer_config.json.
func (t *Tokenizer) spmAdded(raw, user []addedToken, side *sidecar) error {
	var dup *addedToken
	if side != nil {
		// User-defined pieces are handled by the model, whatever the flags say.
		ofUser := isAdded(user)
		var others sidecar
		others.addedFrom = side.addedFrom
		for _, a := range side.added {
			if id, ok := t.ids[a.Content]; ok && id == a.ID && ofUser(id) {
				if a.Special {
					t.special[id] = true
				}
				continue
			}
			others.added = append(others.added, a)
		}
		// A control piece is matched as written: the flag "normalized" would find it only
		// after a space.
		for i := range others.added {
			others.added[i].Normalized = false
		}
		all, err := others.mergeAdded(&Tokenizer{}, raw)
		if err != nil {
			return err
		}
		// addTokens uses the normalizer only for normalized tokens.
		if err := t.addTokens(all, len(t.pieces)); err != nil {
			return fmt.Errorf("%s: %w", side.addedFrom, err)
		}
	} else if t.rawAdded, dup = newMatcher(raw, func(a addedToken) string { return a.Content }); dup != nil {
		return fmt.Errorf("piece %q is listed twice", clip(dup.Content))
	}
	t.midAdded, dup = newMatcher(user, func(a addedToken) string { return strings.ReplaceAll(a.Content, " ", spaceMark) })
	if dup != nil {
		return fmt.Errorf("user-defined piece %q has the same normalized form as another one", clip(dup.Content))
	}
	return nil
}

func spmDecoder(t *Tokenizer, pieces []Piece, o SentencePieceOptions) decoder {
	d := decoder{text: make([]string, len(t.pieces)), perByte: true, stripped: " "}
	for id, s := range t.pieces {
		if b, ok := byteOfPiece(s); ok && id < len(pieces) && pieces[id].Type == PieceByte {
			d.text[id] = string([]byte{b})
		} else {
			d.text[id] = strings.ReplaceAll(s, spaceMark, " ")
		}
	}
	if o.AddDummyPrefix {
		d.strip = 1
	}
	return d
}

// spmSpecial sets BOS and EOS: those named by tokenizer_config.json and similar files,
// otherwise those of the model file.
func (t *Tokenizer) spmSpecial(o SentencePieceOptions, side *sidecar) error {
	s := sidecar{}
	if side != nil {
		s = *side
	}
	if s.addBOS == nil {
		s.addBOS = &o.AddBOS
	}
	if s.addEOS == nil {
		s.addEOS = &o.AddEOS
	}
	if top := max(o.BOS, o.EOS); top >= len(t.pieces) {
		return fmt.Errorf("BOS id %d or EOS id %d is not in the vocabulary of %s", o.BOS, o.EOS, plural.Of(len(t.pieces), "piece"))
	}
	if s.bosToken == nil && o.BOS >= 0 {
		s.bosToken = &t.pieces[o.BOS]
	}
	if s.eosToken == nil && o.EOS >= 0 {
		s.eosToken = &t.pieces[o.EOS]
	}
	return s.apply(t, nil)
}
