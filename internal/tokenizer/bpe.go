package tokenizer

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// bpe is byte pair encoding (Sennrich et al. 2016, arXiv:1508.07909): a word is split into
// symbols, then the adjacent pair of lowest rank is merged, leftmost first, until no pair
// is left. The three kinds of files differ in the symbols and in the source of the ranks,
// not in the merging:
//
//   - tokenizer.json lists the pairs; the rank is the position in the list;
//   - tiktoken allows every pair whose concatenation is a token, ranked by that token;
//   - SentencePiece does the same, ranked by score; equal scores share a rank.
type bpe struct {
	byteLevel bool       // symbols are bytes; otherwise characters
	bytes     [256]int32 // symbol of a byte: byte-level token or "<0xXX>"; -1: none
	ascii     [utf8.RuneSelf]int32
	runes     map[rune]int32 // symbol of a character ≥ 0x80
	merges    pairTable
	whole     map[string]int32 // ignore_merges: words that are tokens themselves
	unk       int32            // id of text that has no symbol; -1: none
	unkName   string           // for the error
	fuseUnk   bool             // a run of unknown characters becomes one id
	fallback  bool             // unknown characters become byte pieces
	late      bool             // after merging (SentencePiece) instead of before it (Hugging Face)
	size      int32            // symbols from this one on are characters without an id (late only)
	junctions *junctions       // where text may be cut without changing the ids; nil: nowhere
}

// noRank marks a pair that cannot be merged.
const noRank = math.MaxUint32

// shortWord is the number of symbols up to which scanning all pairs for each merge is
// faster than a heap.
const shortWord = 40

// Limits of the cache of words: number of entries, and bytes in a word.
const (
	cacheEntries = 1 << 15
	cacheWord    = 64
)

// state is the working memory of one Encode call; it is pooled together with its cache.
type state struct {
	out   []int
	ids   []int32 // symbols; -1: merged away
	offs  []int32 // byte offset of each symbol in the word
	next  []int32
	prev  []int32
	ranks []uint32
	heap  pairHeap
	cache map[string][]int32
}

func newState() *state {
	return &state{cache: make(map[string][]int32)}
}

// encode appends the ids of one word, which may be a whole text if there is no
// pre-tokenizer.
func (m *bpe) encode(st *state, word string) error {
	if m.whole != nil {
		if id, ok := m.whole[word]; ok {
			st.out = append(st.out, int(id))
			return nil
		}
	}
	if m.junctions == nil {
		return m.encodeWord(st, word)
	}
	return m.junctions.cut(word, func(part string) error { return m.encodeWord(st, part) })
}

func (m *bpe) encodeWord(st *state, word string) error {
	cached := len(word) <= cacheWord
	if cached {
		if ids, ok := st.cache[word]; ok {
			for _, id := range ids {
				st.out = append(st.out, int(id))
			}
			return nil
		}
	}
	if err := m.symbols(st, word); err != nil {
		return err
	}
	if len(st.ids) <= shortWord {
		m.mergeShort(st)
	} else {
		m.mergeLong(st)
	}
	from := len(st.out)
	if err := m.emit(st, word); err != nil {
		return err
	}
	if cached {
		if len(st.cache) >= cacheEntries {
			clear(st.cache)
		}
		ids := make([]int32, 0, len(st.out)-from)
		for _, id := range st.out[from:] {
			ids = append(ids, int32(id))
		}
		// The key is copied, because a slice would keep the whole text in memory.
		st.cache[string([]byte(word))] = ids
	}
	return nil
}

// symbol returns the symbol of a character, or -1 if there is none.
func (m *bpe) symbol(r rune) int32 {
	if r < utf8.RuneSelf {
		return m.ascii[r]
	}
	if id, ok := m.runes[r]; ok {
		return id
	}
	return -1
}

func (m *bpe) setSymbol(r rune, id int32) {
	if r < utf8.RuneSelf {
		m.ascii[r] = id
		return
	}
	m.runes[r] = id
}

// symbols fills st.ids and st.offs with the word's symbols before merging.
func (m *bpe) symbols(st *state, word string) error {
	st.ids, st.offs = st.ids[:0], st.offs[:0]
	if m.byteLevel {
		return m.byteSymbols(st, word)
	}
	return m.runeSymbols(st, word)
}

// byteSymbols appends a symbol for each byte.
func (m *bpe) byteSymbols(st *state, word string) error {
	for i := 0; i < len(word); i++ {
		id := m.bytes[word[i]]
		if id < 0 {
			if m.unk < 0 {
				return m.noSymbol(word, i)
			}
			// Byte-level vocabularies lack a byte only if they were trimmed; the
			// reference then gives one unknown token per byte.
			if id = m.unk; m.fuseUnk && i > 0 && m.bytes[word[i-1]] < 0 {
				continue
			}
		}
		st.ids = append(st.ids, id)
		st.offs = append(st.offs, int32(i))
	}
	return nil
}

// runeSymbols appends a symbol for each character, or symbols of its bytes if the vocabulary lacks it.
func (m *bpe) runeSymbols(st *state, word string) error {
	unk := int32(-1) // offset of an unknown character not yet written
	put := func(id, off int32) {
		st.ids = append(st.ids, id)
		st.offs = append(st.offs, off)
	}
	for i, r := range word {
		id := m.symbol(r)
		if id >= 0 {
			if unk >= 0 {
				put(m.unk, unk)
				unk = -1
			}
			put(id, int32(i))
			continue
		}
		if m.late {
			put(m.size, int32(i))
			continue
		}
		n := utf8.RuneLen(r)
		if m.fallback && m.hasBytes(word[i:i+n]) {
			// A pending unknown token remains pending, so that it comes after these bytes,
			// as in the reference.
			for k := i; k < i+n; k++ {
				put(m.bytes[word[k]], int32(k))
			}
			continue
		}
		if m.unk < 0 {
			return m.noSymbol(word, i)
		}
		if unk >= 0 && !m.fuseUnk {
			put(m.unk, unk)
			unk = -1
		}
		if unk < 0 {
			unk = int32(i)
		}
	}
	if unk >= 0 {
		put(m.unk, unk)
	}
	return nil
}

func (m *bpe) hasBytes(s string) bool {
	for i := 0; i < len(s); i++ {
		if m.bytes[s[i]] < 0 {
			return false
		}
	}
	return true
}

func (m *bpe) noSymbol(word string, at int) error {
	what := fmt.Sprintf("byte 0x%02x", word[at])
	if !m.byteLevel {
		r, _ := utf8.DecodeRuneInString(word[at:])
		what = fmt.Sprintf("character %q (U+%04X)", r, r)
	}
	if m.unkName != "" {
		return fmt.Errorf("the vocabulary has no token for %s, and its unk_token %q is not in the vocabulary", what, m.unkName)
	}
	return fmt.Errorf("the vocabulary has no token for %s and no unk_token; remove it from the text", what)
}

// emit appends the merged symbols to st.out.
func (m *bpe) emit(st *state, word string) error {
	if !m.late {
		for _, id := range st.ids {
			st.out = append(st.out, int(id))
		}
		return nil
	}
	wasUnk := false
	for i, id := range st.ids {
		if id < m.size {
			st.out = append(st.out, int(id))
			wasUnk = false
			continue
		}
		// A character that is in no piece, or in none that was formed by merging.
		at := int(st.offs[i])
		if m.fallback {
			_, n := utf8.DecodeRuneInString(word[at:])
			for k := at; k < at+n; k++ {
				st.out = append(st.out, int(m.bytes[word[k]]))
			}
			continue
		}
		if m.unk < 0 {
			return m.noSymbol(word, at)
		}
		if !wasUnk {
			st.out = append(st.out, int(m.unk))
		}
		wasUnk = true
	}
	return nil
}
