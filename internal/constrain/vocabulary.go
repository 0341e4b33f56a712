package constrain

import (
	"cmp"
	"slices"
	"sync"
	"unicode/utf8"
)

// TokenBytes is about what a token takes in a [Vocabulary]: its text, and its nodes in two
// tries.
const TokenBytes = 100

// Vocabulary is the tokens of a model as a trie of their bytes. It may be used by any
// number of goroutines.
type Vocabulary struct {
	texts []string // of each token; "": never allowed
	all   trie
	rest  trie // tokens that are not plain
	plain struct {
		ids   []int32 // tokens that a free string may hold as they are
		chars []int32 // characters that each of them begins
		most  int32   // of chars
	}

	mu     sync.Mutex
	upTo   map[int32][]uint64 // plain tokens with at most so many characters, as bits
	strips bool
}

// trie is a trie in depth-first order.
type trie struct {
	nodes []trieNode
	ids   []int32 // tokens, those of one node together
}

type trieNode struct {
	b        byte
	depth    uint16 // of the byte in the text, from 0
	after    int32  // the next node that is not below this one
	from, to int32  // of trie.ids: tokens that end here
}

// maxTokenBytes bounds the tokens that are looked at; longer ones are never allowed.
const maxTokenBytes = 1024

// NewVocabulary takes the text that each token adds where it stands within a text; "" for
// tokens that are never part of one. strips says that the decoder takes a blank off the
// beginning of a text.
func NewVocabulary(texts []string, strips bool) *Vocabulary {
	v := &Vocabulary{texts: make([]string, len(texts)), upTo: map[int32][]uint64{}, strips: strips}
	var all, rest []int32
	for id, s := range texts {
		if s == "" || len(s) > maxTokenBytes {
			continue
		}
		v.texts[id] = s
		all = append(all, int32(id))
		if chars, ok := plainChars(s); ok {
			v.plain.ids = append(v.plain.ids, int32(id))
			v.plain.chars = append(v.plain.chars, chars)
			v.plain.most = max(v.plain.most, chars)
		} else {
			rest = append(rest, int32(id))
		}
	}
	v.all, v.rest = newTrie(v.texts, all), newTrie(v.texts, rest)
	return v
}

// plainChars says whether a free JSON string may hold a text as it is, and how many
// characters it begins, the last of which may be incomplete.
func plainChars(s string) (n int32, ok bool) {
	for len(s) > 0 {
		if s[0] == '"' || s[0] == '\\' || s[0] < 0x20 {
			return 0, false
		}
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 {
			return n + 1, !utf8.FullRuneInString(s)
		}
		n++
		s = s[size:]
	}
	return n, true
}

func newTrie(texts []string, ids []int32) trie {
	slices.SortFunc(ids, func(a, b int32) int {
		return cmp.Or(cmp.Compare(texts[a], texts[b]), cmp.Compare(a, b))
	})
	t := trie{ids: ids}
	var path []int32 // nodes of the text before
	before := ""
	for i, id := range ids {
		s := texts[id]
		n := 0
		for n < min(len(s), len(before)) && s[n] == before[n] {
			n++
		}
		for _, at := range path[n:] {
			t.nodes[at].after = int32(len(t.nodes))
		}
		path = path[:n]
		for k := n; k < len(s); k++ {
			path = append(path, int32(len(t.nodes)))
			t.nodes = append(t.nodes, trieNode{b: s[k], depth: uint16(k), from: int32(i), to: int32(i)})
		}
		t.nodes[path[len(path)-1]].to = int32(i + 1)
		before = s
	}
	for _, at := range path {
		t.nodes[at].after = int32(len(t.nodes))
	}
	return t
}

// words is the length of a set of tokens as bits.
func (v *Vocabulary) words() int { return (len(v.texts) + 63) / 64 }

// plainUpTo are the plain tokens of at most n characters; -1: all.
func (v *Vocabulary) plainUpTo(n int32) []uint64 {
	if n < 0 || n > v.plain.most {
		n = v.plain.most
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if bits := v.upTo[n]; bits != nil {
		return bits
	}
	bits := make([]uint64, v.words())
	for i, id := range v.plain.ids {
		if v.plain.chars[i] <= n {
			bits[id/64] |= 1 << (id % 64)
		}
	}
	if len(v.upTo) < 256 {
		v.upTo[n] = bits
	}
	return bits
}
