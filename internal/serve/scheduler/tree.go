package scheduler

import (
	"slices"

	"github.com/specquant/specquant/internal/engine"
)

// tree holds the caches of texts that have ended, because the next turn of a conversation
// begins with them, and because many begin alike. A node is a page of tokens; the path from
// the root is the text before it, so what several texts begin with is there once.
type tree struct {
	memory *engine.Pages
	most   int // leaves, each of which is the end of a text
	root   node
}

// node is a page with its tokens. Only a leaf's may have room for more.
type node struct {
	parent   *node
	children []*node
	tokens   []int
	page     *engine.Page
	used     uint64 // when it was last part of a text, by the scheduler's clock
}

// common is the number of tokens that both begin with.
func common(a, b []int) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// closest is the child that begins with most of the tokens, and how many those are.
func (n *node) closest(tokens []int) (best *node, length int) {
	for _, c := range n.children {
		if k := common(c.tokens, tokens); k > length {
			best, length = c, k
		}
	}
	return best, length
}

// find gives the pages of as much of a text's beginning as there is, and its length in
// tokens.
func (t *tree) find(text []int, now uint64) (pages []*engine.Page, length int) {
	for at := &t.root; ; {
		next, n := at.closest(text[length:])
		if next == nil {
			return pages, length
		}
		next.used = now
		pages, length = append(pages, next.page), length+n
		if n < engine.PageTokens {
			return pages, length
		}
		at = next
	}
}

// add keeps a text, whose pages page gives, beside those that end otherwise. If there are
// too many then, the one that has not been used for longest gives way.
func (t *tree) add(text []int, page func(i int) *engine.Page, now uint64) {
	at := &t.root
	for i := 0; i*engine.PageTokens < len(text); i++ {
		tokens := text[i*engine.PageTokens : min(len(text), (i+1)*engine.PageTokens)]
		next, n := at.closest(tokens)
		switch {
		case next != nil && n == len(tokens): // it is there, and may go on
		case next != nil && n == len(next.tokens): // it is there, and goes on now
			t.memory.Drop(next.page)
			next.page, next.tokens = page(i), slices.Clone(tokens)
			next.page.Hold()
		default:
			next = &node{parent: at, tokens: slices.Clone(tokens), page: page(i)}
			next.page.Hold()
			at.children = append(at.children, next)
		}
		next.used = now
		at = next
	}
	for leaf, n := t.oldest(); n > t.most; leaf, n = t.oldest() {
		for leaf != &t.root && len(leaf.children) == 0 {
			t.drop(leaf)
			leaf = leaf.parent
		}
	}
}

// evict drops the last page of the text that has not been used for longest, and says
// whether there was one.
func (t *tree) evict() bool {
	leaf, n := t.oldest()
	if n > 0 {
		t.drop(leaf)
	}
	return n > 0
}

func (t *tree) drop(leaf *node) {
	siblings := leaf.parent.children
	leaf.parent.children = slices.Delete(siblings, slices.Index(siblings, leaf), slices.Index(siblings, leaf)+1)
	t.memory.Drop(leaf.page)
}

// oldest is the leaf that has not been used for longest, and how many leaves there are.
func (t *tree) oldest() (oldest *node, leaves int) {
	for rest := slices.Clone(t.root.children); len(rest) > 0; {
		n := rest[len(rest)-1]
		rest = append(rest[:len(rest)-1], n.children...)
		if len(n.children) > 0 {
			continue
		}
		leaves++
		if oldest == nil || n.used < oldest.used {
			oldest = n
		}
	}
	return oldest, leaves
}
