package scheduler

import (
	"slices"

	"github.com/specquant/specquant/internal/engine"
)

// tree holds the KV caches of ended texts, because the next turn of a conversation begins with
// them and because many texts have a common beginning. A node is a page of tokens, and the path
// from the root to it is the text before it, so that a common beginning is stored once.
type tree struct {
	memory *engine.Pages
	most   int // the largest number of leaves; each is the end of a text
	root   node
}

// node is a page with its tokens. Only pages of leaves may have room for more tokens.
type node struct {
	parent   *node
	children []*node
	tokens   []int
	page     *engine.Page
	used     uint64 // when it was last part of a text, by the scheduler's clock
}

// common returns the length of the common beginning of a and b.
func common(a, b []int) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// closest returns the child with the longest common beginning with tokens, and that length.
func (n *node) closest(tokens []int) (best *node, length int) {
	for _, c := range n.children {
		if k := common(c.tokens, tokens); k > length {
			best, length = c, k
		}
	}
	return best, length
}

// find returns the pages of the longest beginning of a text that is in the tree, and its length
// in tokens.
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

// add adds a text, whose i-th page is page(i). If there are too many texts then, the least
// recently used one is removed.
func (t *tree) add(text []int, page func(i int) *engine.Page, now uint64) {
	at := &t.root
	for i := 0; i*engine.PageTokens < len(text); i++ {
		tokens := text[i*engine.PageTokens : min(len(text), (i+1)*engine.PageTokens)]
		next, n := at.closest(tokens)
		switch {
		case next != nil && n == len(tokens): // the page is in the tree, perhaps with more tokens
		case next != nil && n == len(next.tokens): // the page in the tree is a beginning of this one
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

// evict removes the last page of the least recently used text, and reports whether there was
// one.
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

// oldest returns the least recently used leaf, and the number of leaves.
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
