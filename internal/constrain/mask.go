package constrain

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// ErrStuck says that no token of the vocabulary may come next.
var ErrStuck = errors.New("no token of the model's vocabulary fits what the schema or the expression asks for next")

// mask is the tokens that a state allows.
type mask struct {
	few  []int32  // in order; nil: bits
	bits []uint64 // nil: few
}

// mask gives the state's mask, and makes it where it is not there yet.
func (g *Grammar) mask(s *state) *mask {
	if s.mask != nil {
		return s.mask
	}
	v := g.vocabulary
	m := &mask{bits: make([]uint64, v.words())}
	if n, ok := g.freeChars(s); ok {
		copy(m.bits, v.plainUpTo(n))
		g.walk(s, &v.rest, m.bits)
	} else {
		g.walk(s, &v.all, m.bits)
	}
	n := 0
	for _, w := range m.bits {
		n += bits.OnesCount64(w)
	}
	if n <= fewTokens {
		m.few = make([]int32, 0, n)
		for i, w := range m.bits {
			for ; w != 0; w &= w - 1 {
				m.few = append(m.few, int32(i*64+bits.TrailingZeros64(w)))
			}
		}
		m.bits = nil
	}
	g.kept += 4*len(m.few) + 8*len(m.bits) + 64
	s.mask = m
	return m
}

// freeChars says whether a state is within a free string and may read nothing but its
// characters and its end, or any number of characters whatever else: then the plain
// tokens of up to n characters (-1: all) are allowed, and of the others the walk knows.
func (g *Grammar) freeChars(s *state) (n int32, ok bool) {
	other := false
	for _, k := range s.configs {
		nd := &g.nodes[k.node]
		switch {
		case k.node == g.char && k.top != nil && g.nodes[k.top.node].kind == kRepeat:
			ok = true
			if most := g.nodes[k.top.node].max; most < 0 || n < 0 {
				n = -1
			} else {
				n = max(n, most-k.top.count+1)
			}
		case len(nd.edges) != 1 || nd.edges[0].lo != '"' || nd.edges[0].hi != '"':
			other = true
		}
	}
	return n, ok && (n < 0 || !other)
}

// walk adds the tokens of a trie that may follow a state.
func (g *Grammar) walk(s *state, t *trie, out []uint64) {
	path := make([]*state, 1, 64) // path[d] is the state before the byte at depth d
	path[0] = s
	for i := 0; i < len(t.nodes); {
		n := &t.nodes[i]
		at := path[n.depth]
		to := at.next[g.class[n.b]]
		if to == nil {
			if to = g.step(at, g.class[n.b]); g.kept > 8*MaxKept {
				g.drop(path[:n.depth+1])
			}
		}
		if to == g.dead {
			i = int(n.after)
			continue
		}
		for _, id := range t.ids[n.from:n.to] {
			out[id/64] |= 1 << (id % 64)
		}
		path = append(path[:n.depth+1], to)
		i++
	}
}

// drop gives up the states that are not on a path, while frames and the epoch stay.
func (g *Grammar) drop(path []*state) {
	g.states = map[string]*state{}
	g.kept = frameCost * len(g.frames)
	clear(g.first.next)
	for _, s := range path {
		clear(s.next)
	}
}

// Matcher follows one text. It belongs to one goroutine at a time.
type Matcher struct {
	g     *Grammar
	at    *state
	epoch uint64
	ends  []int // tokens that end the text
	saved []float32
}

// Matcher begins a text. ends are the tokens that end one.
func (g *Grammar) Matcher(ends []int) *Matcher {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &Matcher{g: g, at: g.first, epoch: g.epoch, ends: slices.Clone(ends)}
}

// enter locks the grammar and gives up states where there are too many.
func (m *Matcher) enter() {
	m.g.mu.Lock()
	if m.g.kept > MaxKept {
		m.g.forget()
	}
	if m.epoch != m.g.epoch {
		m.at, m.epoch = m.g.adopt(m.at), m.g.epoch
	}
}

// Apply sets the logits of all tokens that may not come next to -Inf.
func (m *Matcher) Apply(logits []float32) error {
	m.enter()
	k := m.g.mask(m.at)
	accepting := m.at.accepting
	m.g.mu.Unlock()
	inf := float32(math.Inf(-1))
	m.saved = m.saved[:0]
	for _, id := range m.ends {
		if id < len(logits) {
			m.saved = append(m.saved, logits[id])
		}
	}
	allowed := k.apply(logits, inf)
	i := 0
	for _, id := range m.ends {
		if id < len(logits) {
			logits[id] = inf
			if accepting {
				logits[id] = m.saved[i]
				allowed = true
			}
			i++
		}
	}
	if !allowed {
		return ErrStuck
	}
	return nil
}

// apply says whether a token is left.
func (k *mask) apply(logits []float32, inf float32) bool {
	if k.bits == nil {
		keep := make([]float32, len(k.few))
		for i, id := range k.few {
			if int(id) < len(logits) {
				keep[i] = logits[id]
			}
		}
		for i := range logits {
			logits[i] = inf
		}
		for i, id := range k.few {
			if int(id) < len(logits) {
				logits[id] = keep[i]
			}
		}
		return len(k.few) > 0
	}
	for w, word := range k.bits {
		if word == ^uint64(0) {
			continue
		}
		part := logits[min(w*64, len(logits)):min(w*64+64, len(logits))]
		for word = ^word; word != 0; word &= word - 1 {
			if i := bits.TrailingZeros64(word); i < len(part) {
				part[i] = inf
			}
		}
	}
	for i := min(len(k.bits)*64, len(logits)); i < len(logits); i++ {
		logits[i] = inf
	}
	return true
}

// Accept takes a token for written.
func (m *Matcher) Accept(id int) error {
	m.enter()
	defer m.g.mu.Unlock()
	if id < 0 || id >= len(m.g.vocabulary.texts) || m.g.vocabulary.texts[id] == "" {
		return fmt.Errorf("token %d is no text", id)
	}
	at := m.at
	for i := range len(m.g.vocabulary.texts[id]) {
		if at = m.g.step(at, m.g.class[m.g.vocabulary.texts[id][i]]); at == m.g.dead {
			return fmt.Errorf("token %d does not fit what the schema or the expression asks for", id)
		}
	}
	m.at = at
	return nil
}

// Done says that the text is complete and nothing more may follow.
func (m *Matcher) Done() bool { return m.at.accepting && len(m.at.configs) == 0 }
