package constrain

import (
	"encoding/binary"
	"sync"
)

// Grammar is a compiled constraint with what is kept of its states. It may be used by
// any number of goroutines, each with a [Matcher] of its own.
type Grammar struct {
	program
	vocabulary *Vocabulary
	class      [256]uint8 // of a byte: bytes of one class lead everywhere to the same
	bytes      []byte     // one of each class
	dead       *state

	mu     sync.Mutex // guards what follows and all states
	frames map[config]*frame
	states map[string]*state
	first  *state
	epoch  uint64 // how often the states were given up
	kept   int    // bytes that the states and frames take, about
}

// frame is what comes when a rule has ended: node goes on, up is what comes when that
// rule has ended. Frames of the same content are one.
type frame struct {
	node  int32
	count int32 // of a kRepeat: how often its rule has begun
	up    *frame
	depth int32
	id    uint32
}

// config is a way to read the text so far: a node with what comes behind its rule.
type config struct {
	node  int32
	count int32
	top   *frame
}

// state is all ways to read a text, in an order that depends on the text alone.
type state struct {
	configs   []config // at nodes that read bytes
	accepting bool     // the text may end here
	next      []*state // by class of byte; nil: not known yet
	mask      *mask    // nil: not known yet
}

func newGrammar(p *program, v *Vocabulary) *Grammar {
	g := &Grammar{program: *p, vocabulary: v, dead: &state{}}
	var begins [257]bool
	for _, n := range p.nodes {
		for _, e := range n.edges {
			begins[e.lo], begins[int(e.hi)+1] = true, true
		}
	}
	for b := range 256 {
		if b == 0 || begins[b] {
			g.bytes = append(g.bytes, byte(b))
		}
		g.class[b] = uint8(len(g.bytes) - 1)
	}
	g.forget()
	return g
}

// forget gives up all states and frames. Matchers find their place again by adopt.
func (g *Grammar) forget() {
	g.epoch++
	g.kept = 0
	g.frames, g.states = map[config]*frame{}, map[string]*state{}
	c := closure{g: g}
	c.add(config{node: g.start})
	g.first = c.state()
}

// frameCost is about what a frame takes with its entry in the map, in bytes.
const frameCost = 120

func (g *Grammar) frame(node, count int32, up *frame) *frame {
	key := config{node, count, up}
	if f := g.frames[key]; f != nil {
		return f
	}
	f := &frame{node: node, count: count, up: up, depth: 1, id: uint32(len(g.frames) + 1)}
	if up != nil {
		f.depth = up.depth + 1
	}
	g.frames[key] = f
	g.kept += frameCost
	return f
}

// adopt finds the state that s was before states were given up.
func (g *Grammar) adopt(s *state) *state {
	var frames func(f *frame) *frame // MaxStack bounds the recursion
	frames = func(f *frame) *frame {
		if f == nil {
			return nil
		}
		return g.frame(f.node, f.count, frames(f.up))
	}
	c := closure{g: g, accepting: s.accepting}
	for _, k := range s.configs {
		c.out = append(c.out, config{k.node, 0, frames(k.top)})
	}
	return c.state()
}

// step is the state behind a byte of a class.
func (g *Grammar) step(s *state, class uint8) *state {
	if to := s.next[class]; to != nil {
		return to
	}
	b := g.bytes[class]
	c := closure{g: g}
	for _, k := range s.configs {
		for _, e := range g.nodes[k.node].edges {
			if e.lo <= b && b <= e.hi {
				c.add(config{e.to, 0, k.top})
			}
		}
	}
	to := c.state()
	s.next[class] = to
	return to
}

// closure collects the nodes that read bytes and can be reached without reading one.
type closure struct {
	g         *Grammar
	seen      map[config]struct{}
	list      []config
	out       []config
	accepting bool
}

// add adds what can be reached from a place. Where there are too many readings, those
// that come last are dropped: each of the others can be brought to an end.
func (c *closure) add(start config) {
	g := c.g
	c.list = append(c.list[:0], start)
	for len(c.list) > 0 && len(c.out) < MaxReadings && len(c.seen) < 64*MaxReadings {
		k := c.list[len(c.list)-1]
		c.list = c.list[:len(c.list)-1]
		depth := int32(0)
		if k.top != nil {
			depth = k.top.depth
		}
		if depth+g.height[k.node] > MaxStack {
			continue
		}
		if _, there := c.seen[k]; there {
			continue
		}
		if c.seen == nil {
			c.seen = map[config]struct{}{}
		}
		c.seen[k] = struct{}{}
		switch n := &g.nodes[k.node]; n.kind {
		case kBytes:
			c.out = append(c.out, k)
		case kReturn:
			if k.top == nil {
				c.accepting = true
			} else {
				c.list = append(c.list, config{k.top.node, k.top.count, k.top.up})
			}
		case kSplit:
			for i := len(n.alts) - 1; i >= 0; i-- { // the first is taken first
				c.list = append(c.list, config{n.alts[i], 0, k.top})
			}
		case kCall:
			c.list = append(c.list, c.run(n.rule, n.to, 0, k.top))
		case kRepeat:
			if k.count >= n.min {
				c.list = append(c.list, config{n.to, 0, k.top})
			}
			if n.max < 0 || k.count < n.max {
				count := k.count + 1
				if n.max < 0 {
					count = min(count, n.min) // more than enough is enough
				}
				c.list = append(c.list, c.run(n.rule, k.node, count, k.top))
			}
		}
	}
}

// run is the beginning of a rule behind which node comes. A rule that ends with a call
// leaves nothing behind: what comes after the call is what came after the rule.
func (c *closure) run(rule, node, count int32, top *frame) config {
	if c.g.nodes[node].kind == kReturn {
		return config{rule, 0, top}
	}
	return config{rule, 0, c.g.frame(node, count, top)}
}

// state is the state of what was added.
func (c *closure) state() *state {
	g := c.g
	if len(c.out) == 0 && !c.accepting {
		return g.dead
	}
	key := make([]byte, 0, 8*len(c.out)+1)
	for _, k := range c.out {
		key = binary.LittleEndian.AppendUint32(key, uint32(k.node))
		id := uint32(0)
		if k.top != nil {
			id = k.top.id
		}
		key = binary.LittleEndian.AppendUint32(key, id)
	}
	if c.accepting {
		key = append(key, 1)
	}
	if s := g.states[string(key)]; s != nil {
		return s
	}
	s := &state{configs: append([]config(nil), c.out...), accepting: c.accepting, next: make([]*state, len(g.bytes))}
	g.states[string(key)] = s
	g.kept += 160 + len(key) + 16*len(s.configs) + 8*len(g.bytes)
	return s
}
