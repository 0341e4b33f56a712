package constrain

import (
	"fmt"
	"math"
	"slices"

	"github.com/specquant/specquant/internal/plural"
)

// A program is a graph of nodes over bytes. It is built from its ends to its beginning:
// each function takes the node that comes next and gives the one that begins.
type program struct {
	nodes  []node
	start  int32
	height []int32 // of a node: how many calls deep the shortest way to the end of its rule is; impossible: there is none
	char   int32   // where the rule begins that reads one character of a free string
}

type kind uint8

const (
	kReturn kind = iota // the end of a rule, or of all
	kBytes              // reads a byte
	kSplit              // goes on at any of several nodes
	kCall               // runs a rule, then goes on
	kRepeat             // runs a rule min to max times, then goes on
)

type node struct {
	kind     kind
	edges    []edge  // kBytes
	alts     []int32 // kSplit
	rule     int32   // kCall, kRepeat: where the rule begins
	to       int32   // kCall, kRepeat: what comes next
	min, max int32   // kRepeat; max -1: no limit
}

// edge reads a byte from lo to hi.
type edge struct {
	lo, hi byte
	to     int32
}

// ret is the node that ends every rule.
const ret = 0

// impossible is the height of nodes from which there is no way to the end.
const impossible = math.MaxInt32 / 2

// builder makes a program. After an error its functions go on and give nonsense.
type builder struct {
	program
	err      error
	blanks   int32 // rule; 0: not made yet
	anything int32 // rule for any JSON value; likewise
}

func newBuilder() *builder {
	return &builder{program: program{nodes: []node{{kind: kReturn}}, char: -1}}
}

func (b *builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *builder) add(n node) int32 {
	if len(b.nodes) >= MaxNodes {
		b.fail(&Error{"", fmt.Sprintf("the schema is too large: it needs more than %s", plural.Of(MaxNodes, "state"))})
		return ret
	}
	b.nodes = append(b.nodes, n)
	return int32(len(b.nodes) - 1)
}

func (b *builder) bytes(edges ...edge) int32 { return b.add(node{kind: kBytes, edges: edges}) }

func (b *builder) byte(c byte, next int32) int32 { return b.bytes(edge{c, c, next}) }

// text reads a text.
func (b *builder) text(s string, next int32) int32 {
	for i := len(s) - 1; i >= 0; i-- {
		next = b.byte(s[i], next)
	}
	return next
}

// split goes on at any of alts.
func (b *builder) split(alts ...int32) int32 {
	if len(alts) == 1 {
		return alts[0]
	}
	return b.add(node{kind: kSplit, alts: alts})
}

func (b *builder) call(rule, next int32) int32 {
	return b.add(node{kind: kCall, rule: rule, to: next})
}

// repeat runs a rule, which must read something, from least to most times; most -1: no
// limit.
func (b *builder) repeat(rule int32, least, most int, next int32) int32 {
	return b.add(node{kind: kRepeat, rule: rule, min: int32(min(least, math.MaxInt32-1)), max: int32(min(most, math.MaxInt32-1)), to: next})
}

// literals reads one of several texts.
func (b *builder) literals(texts []string, next int32) int32 {
	texts = slices.Clone(texts)
	slices.Sort(texts)
	texts = slices.Compact(texts)
	// Texts in order are a trie in order: node i of path stands behind the first i bytes of
	// the text before.
	type open struct {
		edges []edge
		ends  bool
	}
	path := []*open{{}}
	before := ""
	shut := func(depth int) { // makes nodes of all that is deeper
		for len(path)-1 > depth {
			last := path[len(path)-1]
			path = path[:len(path)-1]
			at := next
			if len(last.edges) > 0 {
				at = b.bytes(last.edges...)
				if last.ends {
					at = b.split(at, next)
				}
			}
			c := before[len(path)-1]
			up := path[len(path)-1]
			up.edges = append(up.edges, edge{c, c, at})
		}
	}
	for _, s := range texts {
		n := 0
		for n < len(s) && n < len(before) && s[n] == before[n] {
			n++
		}
		shut(n)
		for range len(s) - n {
			path = append(path, &open{})
		}
		path[len(path)-1].ends = true
		before = s
	}
	shut(0)
	first := path[0]
	switch {
	case len(first.edges) == 0 && first.ends:
		return next
	case first.ends:
		return b.split(b.bytes(first.edges...), next)
	}
	return b.bytes(first.edges...)
}

// finish completes the program: start is where it begins.
func (b *builder) finish(start int32) (*program, error) {
	if b.err != nil {
		return nil, b.err
	}
	p := b.program
	p.start = start
	p.height = heights(p.nodes)
	switch h := p.height[start]; {
	case h >= impossible:
		return nil, &Error{"", "no value is allowed"}
	case h > MaxStack:
		return nil, &Error{"", fmt.Sprintf("the smallest value that is allowed is nested more than %d deep", MaxStack)}
	}
	return &p, nil
}

// heights computes the height of each node as the least fixed point, with a list of the
// nodes whose height may have fallen.
func heights(nodes []node) []int32 {
	users := make([][]int32, len(nodes)) // nodes whose height depends on a node's
	for i, n := range nodes {
		n.targets(func(to int32) { users[to] = append(users[to], int32(i)) })
	}
	height := make([]int32, len(nodes))
	for i := range height {
		height[i] = impossible
	}
	// By levels: level h settles all nodes of height h, so each node is settled once.
	list := []int32{ret}
	height[ret] = 0
	var higher []int32
	for h := int32(0); len(list) > 0; h++ {
		for len(list) > 0 {
			at := list[len(list)-1]
			list = list[:len(list)-1]
			for _, u := range users[at] {
				is := nodes[u].height(height)
				if is >= height[u] {
					continue
				}
				height[u] = is
				if is <= h {
					list = append(list, u)
				} else {
					higher = append(higher, u)
				}
			}
		}
		list, higher = higher, nil
	}
	return height
}

// targets calls f for each node that n leads to.
func (n *node) targets(f func(to int32)) {
	for _, e := range n.edges {
		f(e.to)
	}
	for _, a := range n.alts {
		f(a)
	}
	if n.kind == kCall || n.kind == kRepeat {
		f(n.rule)
		f(n.to)
	}
}

// height is what a node's height is by those of the nodes it leads to.
func (n *node) height(height []int32) int32 {
	least := int32(impossible)
	switch n.kind {
	case kReturn:
		return 0
	case kBytes:
		for _, e := range n.edges {
			least = min(least, height[e.to])
		}
	case kSplit:
		for _, a := range n.alts {
			least = min(least, height[a])
		}
	case kCall, kRepeat:
		least = height[n.to]
		if n.kind == kCall || n.min > 0 {
			least = max(least, height[n.rule]+1)
		}
	}
	return min(least, impossible)
}
