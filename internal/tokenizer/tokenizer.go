// Package tokenizer turns text into token ids and back, exactly as the files
// of a checkpoint say: Hugging Face's tokenizer.json (BPE), SentencePiece and
// tiktoken tokenizer.model, and GPT-2's vocab.json with merges.txt.
//
// # Right ids or a refusal
//
// A model fed with wrong ids still talks, only worse, and nothing reports it.
// So everything a file may ask for is either done as the reference does it or
// refused at [Load] by its name: unknown normalizers, pre-tokenizers, decoders,
// model types, options and split patterns are errors. Text that the
// vocabulary cannot express is an error of [Tokenizer.Encode].
//
// # References
//
// tokenizer.json follows Hugging Face tokenizers 0.23, tokenizer.model follows
// SentencePiece 0.1.97 and tiktoken; the tests hold vectors made with them.
// Character classes are those of Go's unicode package (Unicode 15). Compared on
// every code point, they are Hugging Face's 0.23 but for letters and numbers
// assigned later (Unicode 15.1 and 16, most of them hieroglyphs), which are
// "other" here.
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
)

// Limits on what is read. They are far above any published vocabulary and keep
// a broken or hostile file from deciding how much is allocated.
const (
	MaxFileBytes  = 256 << 20 // size of one tokenizer file
	MaxVocab      = 1 << 20   // highest id + 1, added tokens included
	MaxPieceBytes = 1 << 10   // one piece of a tokenizer.model, one added token
	MaxTextBytes  = 1 << 30   // text of one Encode call
)

// Tokenizer encodes and decodes text with one vocabulary.
type Tokenizer struct {
	kind     string
	pieces   []string       // raw piece by id; "" where the id is not in use
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

// Encode returns the ids of text. Special tokens written in the text become
// their ids. With addSpecial, what the template adds (BOS, EOS) is added.
//
// It is an error if text is not valid UTF-8, is larger than [MaxTextBytes], or
// holds a character that the vocabulary cannot express.
func (t *Tokenizer) Encode(text string, addSpecial bool) ([]int, error) {
	return t.encodeGuarded(text, addSpecial, nil)
}

// EncodeOrdinary is Encode without BOS and EOS and with special tokens taken
// as plain text, for text from untrusted hands. Added tokens that are not
// special are still found, as Hugging Face does.
func (t *Tokenizer) EncodeOrdinary(text string) ([]int, error) {
	return t.encodeGuarded(text, false, &guard{all: true})
}

// EncodePrompt is Encode for a text that is to be continued. What the template puts
// before a text goes before it, but a special token that the text itself begins with
// is not put there a second time (no model was trained on two BOS). What the template
// puts behind a text is left out: behind EOS a model begins another text.
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

// encodeGuarded is Encode where g says which added tokens may be found; nil: all.
func (t *Tokenizer) encodeGuarded(text string, addSpecial bool, g *guard) ([]int, error) {
	if len(text) > MaxTextBytes {
		return nil, fmt.Errorf("tokenizer: text of %d bytes is over the limit of %d; encode it in parts", len(text), MaxTextBytes)
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

// encodePart encodes text between added tokens that are matched as written.
// first says that it is where the whole text begins.
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

// normalize sends s through the normalizers. Where it is not the first of what it was
// cut from, nothing is put before it.
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

// preTokenize sends s through the pre-tokenizers from step on and the words
// that come out to the model.
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

// VocabSize is the highest id + 1, added tokens included. Whether a model with
// fewer embeddings can be used with the tokenizer, [Tokenizer.Fits] says.
func (t *Tokenizer) VocabSize() int { return len(t.pieces) }

// Fits says whether a model with embeddings for the ids below vocab can be used with
// the tokenizer: ids beyond must be special tokens that no ordinary text gives, as
// the place of an image in the tokenizer that text models of Gemma 3 share with
// others. A text that spells one out can't be run.
func (t *Tokenizer) Fits(vocab int) error {
	for id := vocab; id < len(t.pieces); id++ {
		if t.pieces[id] != "" && !t.IsSpecial(id) || id == t.bos || slices.Contains(t.eos, id) {
			return fmt.Errorf("the tokenizer has %d tokens, among them %q with the id %d, config.json's vocab_size is %d; the files do not belong together", len(t.pieces), t.pieces[id], id, vocab)
		}
	}
	return nil
}

// BOS returns the id that begins a sequence, if the files name one. Whether
// Encode adds it is the template's matter.
func (t *Tokenizer) BOS() (id int, ok bool) { return t.bos, t.bos >= 0 }

// EOS returns the ids that end a text: the tokenizer's own first, then those
// of generation_config.json (or, where that has none, config.json).
func (t *Tokenizer) EOS() []int { return append([]int(nil), t.eos...) }

// IsSpecial says whether Decode skips id.
func (t *Tokenizer) IsSpecial(id int) bool {
	return id >= 0 && id < len(t.special) && t.special[id]
}

// Files names the files of the folder that make up the tokenizer, to be copied
// verbatim beside a model made from the checkpoint. It is empty for
// [NewSentencePiece].
func (t *Tokenizer) Files() []string { return append([]string(nil), t.files...) }

// Kind describes the tokenizer in a few words, as
// "tokenizer.json: BPE byte-level (llama-3 split)".
func (t *Tokenizer) Kind() string { return t.kind }

// Warnings lists contradictions between the files that do not stop the work,
// each with what was done about it.
func (t *Tokenizer) Warnings() []string { return append([]string(nil), t.warnings...) }
