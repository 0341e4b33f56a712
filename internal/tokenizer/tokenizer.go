// Package tokenizer converts text to token ids and back, exactly as the files of a
// checkpoint specify: Hugging Face's tokenizer.json (BPE), SentencePiece and tiktoken
// tokenizer.model, and GPT-2's vocab.json with merges.txt.
//
// # Right ids or a refusal
//
// A model that receives wrong ids still produces text, only worse, and nothing reports it.
// So every feature that a file may request is either implemented as in the reference or
// refused by name at [Load]: unknown normalizers, pre-tokenizers, decoders, model types,
// options and split patterns are errors. Text that the vocabulary cannot express is an
// error of [Tokenizer.Encode].
//
// # References
//
// tokenizer.json follows Hugging Face tokenizers 0.23, tokenizer.model follows
// SentencePiece 0.1.97 and tiktoken; the tests contain vectors made with them. Character
// classes are those of Go's unicode package (Unicode 15). A comparison of every code point
// shows that they equal those of Hugging Face 0.23 except for letters and numbers assigned
// later (Unicode 15.1 and 16, most of them hieroglyphs), which are "other" here.
//
// # Concurrency
//
// A Tokenizer does not change after Load and may be used by any number of
// goroutines; a [Stream] belongs to one.
package tokenizer

import (
	"fmt"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/plural"
)

// Limits on what is read. They are far above any published vocabulary, and prevent a broken
// or hostile file from causing large allocations.
const (
	MaxFileBytes  = 256 << 20 // size of one tokenizer file
	MaxVocab      = 1 << 20   // highest id + 1, added tokens included
	MaxPieceBytes = 1 << 10   // one piece of a tokenizer.model, one added token
	MaxTextBytes  = 1 << 30   // text of one Encode call
)

// Tokenizer encodes and decodes text with one vocabulary.
type Tokenizer struct {
	kind     string
	pieces   []string       // raw piece by id; "" for unused ids
	ids      map[string]int // id by raw piece
	model    *bpe
	rawAdded *matcher // added tokens found in the text as written
	midAdded *matcher // added tokens found after normalization
	norm     []normalizer
	pre      []preTokenizer
	prefix   []int // ids that addSpecial puts before the text
	suffix   []int // and after it
	special  []bool
	decode   decoder
	bos      int // -1: none
	eos      []int
	files    []string
	warnings []string
	states   sync.Pool // *state
}

// Encode returns the ids of text. Special tokens written in the text become their ids. With
// addSpecial, the tokens of the template (BOS, EOS) are added.
//
// It is an error if text is not valid UTF-8, is larger than [MaxTextBytes], or contains a
// character that the vocabulary cannot express.
func (t *Tokenizer) Encode(text string, addSpecial bool) ([]int, error) {
	return t.encodeGuarded(text, addSpecial, nil)
}

// EncodeOrdinary is Encode without BOS and EOS, with special tokens treated as plain text,
// for text from untrusted sources. Added tokens that are not special are still recognised,
// as in Hugging Face's tokenizers.
func (t *Tokenizer) EncodeOrdinary(text string) ([]int, error) {
	return t.encodeGuarded(text, false, &guard{all: true})
}

// EncodePrompt is Encode for a text that is to be continued. What the template puts before
// a text is added, but not a special token that the text itself begins with (no model was
// trained on two BOS tokens). What the template puts after a text is left out, because a
// model starts a new text after EOS.
func (t *Tokenizer) EncodePrompt(text string) ([]int, error) {
	ids, err := t.encodeGuarded(text, false, nil)
	if err != nil {
		return nil, err
	}
	written := 0
	for written < min(len(ids), len(t.prefix)) && ids[written] == t.prefix[written] && t.IsSpecial(ids[written]) {
		written++
	}
	return slices.Concat(t.prefix, ids[written:]), nil
}

// encodeGuarded is Encode with a guard on which added tokens may be recognised; nil: all.
func (t *Tokenizer) encodeGuarded(text string, addSpecial bool, g *guard) ([]int, error) {
	if len(text) > MaxTextBytes {
		return nil, fmt.Errorf("tokenizer: text of %s is over the limit of %d; encode it in parts", plural.Of(len(text), "byte"), MaxTextBytes)
	}
	if at := invalidUTF8(text); at >= 0 {
		return nil, fmt.Errorf("tokenizer: text is not valid UTF-8 at byte %d (0x%02x); convert it to UTF-8", at, text[at])
	}
	st := t.state()
	defer t.states.Put(st)
	ids := make([]int, 0, len(text)/4+len(t.prefix)+len(t.suffix))
	if addSpecial {
		ids = append(ids, t.prefix...)
	}
	st.out = ids
	err := t.rawAdded.split(text, g, func(part string, at, id int) error {
		if id >= 0 {
			st.out = append(st.out, id)
			return nil
		}
		inner := g
		if t.midAdded != nil {
			inner = g.part(at, at+len(part))
		}
		return t.encodePart(st, part, at == 0, inner)
	})
	ids, st.out = st.out, nil
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if addSpecial {
		ids = append(ids, t.suffix...)
	}
	return ids, nil
}

// encodePart encodes the text between added tokens that are matched as written. first: it
// is at the beginning of the whole text.
func (t *Tokenizer) encodePart(st *state, part string, first bool, g *guard) error {
	before, err := part, error(nil)
	if part, err = t.normalize(part, true); err != nil {
		return err
	}
	if t.midAdded != nil {
		if g, err = g.normalized(before, part, t.normalize); err != nil {
			return err
		}
	}
	return t.midAdded.split(part, g, func(part string, at, id int) error {
		if id >= 0 {
			st.out = append(st.out, id)
			return nil
		}
		return t.preTokenize(st, 0, part, first && at == 0)
	})
}

// normalize applies the normalizers to s. If s is not the first part of its text, nothing
// is put before it.
func (t *Tokenizer) normalize(s string, first bool) (string, error) {
	for _, n := range t.norm {
		if !first {
			switch kind := n.(type) {
			case prependNorm:
				continue
			case spmNorm:
				kind.addDummyPrefix = false
				n = kind
			}
		}
		var err error
		if s, err = n.normalize(s); err != nil {
			return "", err
		}
	}
	return s, nil
}

// preTokenize applies the pre-tokenizers from step on to s, and passes the resulting words
// to the model.
func (t *Tokenizer) preTokenize(st *state, step int, s string, first bool) error {
	if s == "" {
		return nil
	}
	if step == len(t.pre) {
		return t.model.encode(st, s)
	}
	return t.pre[step].split(s, first, func(word string, first bool) error {
		return t.preTokenize(st, step+1, word, first)
	})
}

func (t *Tokenizer) state() *state {
	if st, ok := t.states.Get().(*state); ok {
		return st
	}
	return newState()
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// Token returns the raw piece of id as the vocabulary writes it ("▁the",
// "Ġthe", "<0x0A>"), or "" if there is no such id.
func (t *Tokenizer) Token(id int) string {
	if id < 0 || id >= len(t.pieces) {
		return ""
	}
	return t.pieces[id]
}

// ID returns the id of a raw piece, added tokens included.
func (t *Tokenizer) ID(piece string) (id int, ok bool) {
	id, ok = t.ids[piece]
	return id, ok
}

// VocabSize is the highest id + 1, added tokens included. [Tokenizer.Fits] reports whether
// a model with fewer embeddings can be used with the tokenizer.
func (t *Tokenizer) VocabSize() int { return len(t.pieces) }

// Fits returns nil if a model with embeddings for the ids below vocab can be used with the
// tokenizer: higher ids must be special tokens that ordinary text does not produce, such as
// the image placeholder in the tokenizer that text models of Gemma 3 share with others. A
// text that contains such a token cannot be run.
func (t *Tokenizer) Fits(vocab int) error {
	for id := vocab; id < len(t.pieces); id++ {
		if t.pieces[id] != "" && !t.IsSpecial(id) || id == t.bos || slices.Contains(t.eos, id) {
			return fmt.Errorf("the tokenizer has %s, among them %q with the id %d, but config.json's vocab_size is %d; the files do not belong together", plural.Of(len(t.pieces), "token"), t.pieces[id], id, vocab)
		}
	}
	return nil
}

// BOS returns the id that begins a sequence, if the files name one. The template decides
// whether Encode adds it.
func (t *Tokenizer) BOS() (id int, ok bool) { return t.bos, t.bos >= 0 }

// EOS returns the ids that end a text: the tokenizer's own first, then those of
// generation_config.json (or config.json, if that has none).
func (t *Tokenizer) EOS() []int { return append([]int(nil), t.eos...) }

// IsSpecial reports whether Decode skips id.
func (t *Tokenizer) IsSpecial(id int) bool {
	return id >= 0 && id < len(t.special) && t.special[id]
}

// Files names the files of the tokenizer in the folder, which must be copied unchanged
// beside a model made from the checkpoint. It is empty for [NewSentencePiece].
func (t *Tokenizer) Files() []string { return append([]string(nil), t.files...) }

// Kind describes the tokenizer in a few words, such as "tokenizer.json: BPE byte-level
// (llama-3 split)".
func (t *Tokenizer) Kind() string { return t.kind }

// Warnings lists contradictions between the files that are not errors, and how each was
// resolved.
func (t *Tokenizer) Warnings() []string { return append([]string(nil), t.warnings...) }
