package constrain

import (
	"encoding/binary"
	"unicode"
)

// How the characters of an automaton are written.
type writing int

const (
	raw    writing = iota // as they are
	quoted                // within a JSON string
)

// automaton reads what d accepts and goes on at next.
func (b *builder) automaton(d *runeDFA, how writing, next int32) int32 {
	x := expansion{b: b, memo: map[string]int32{}}
	begin := make([]int32, len(d.next)) // of each state, to be filled
	for s := range begin {
		begin[s] = b.add(node{kind: kSplit})
	}
	if b.err != nil {
		return ret
	}
	for s, row := range d.next {
		var alts []int32
		if reads := x.state(d.cuts, row, begin, how); reads >= 0 {
			alts = append(alts, reads)
		}
		if d.accept[s] {
			alts = append(alts, next)
		}
		b.nodes[begin[s]].alts = alts
		if b.err != nil {
			return ret
		}
	}
	return begin[0]
}

// expansion turns steps over characters into steps over bytes.
type expansion struct {
	b    *builder
	memo map[string]int32 // node that reads the rest of a sequence of ranges and goes on at a node
}

// state makes the node that reads a character; -1: there is none to read.
func (x *expansion) state(cuts []rune, row, begin []int32, how writing) int32 {
	var edges []edge
	escapes := map[int32][]string{} // by target: what stands behind the backslash
	var order []int32
	for c := 0; c < len(row); c++ {
		to := row[c]
		if to < 0 {
			continue
		}
		lo := cuts[c]
		for c+1 < len(row) && row[c+1] == to {
			c++
		}
		hi := cuts[c+1] - 1
		if how == raw {
			edges = x.ranges(edges, lo, hi, begin[to])
			continue
		}
		for _, r := range [][2]rune{{0x20, '"' - 1}, {'"' + 1, '\\' - 1}, {'\\' + 1, unicode.MaxRune}} {
			edges = x.ranges(edges, max(lo, r[0]), min(hi, r[1]), begin[to])
		}
		for r := lo; r <= min(hi, '\\'); r++ {
			if e := escape(r); e != "" {
				if escapes[to] == nil {
					order = append(order, to)
				}
				escapes[to] = append(escapes[to], e[1:])
			}
		}
	}
	for _, to := range order {
		edges = append(edges, edge{'\\', '\\', x.b.literals(escapes[to], begin[to])})
	}
	if len(edges) == 0 {
		return -1
	}
	return x.b.bytes(edges...)
}

// ranges adds the edges that read a character from lo to hi.
func (x *expansion) ranges(edges []edge, lo, hi rune, to int32) []edge {
	if lo > hi {
		return edges
	}
	utf8Ranges(lo, hi, func(seq [][2]byte) {
		edges = append(edges, edge{seq[0][0], seq[0][1], x.rest(seq[1:], to)})
	})
	return edges
}

// rest is the node that reads the rest of a character.
func (x *expansion) rest(seq [][2]byte, to int32) int32 {
	if len(seq) == 0 {
		return to
	}
	key := binary.LittleEndian.AppendUint32(nil, uint32(to))
	for _, r := range seq {
		key = append(key, r[0], r[1])
	}
	at, ok := x.memo[string(key)]
	if !ok {
		at = x.b.bytes(edge{seq[0][0], seq[0][1], x.rest(seq[1:], to)})
		x.memo[string(key)] = at
	}
	return at
}

// space reads the blanks that may stand between the parts of an array or an object.
func (b *builder) space(next int32) int32 {
	if b.blanks == 0 {
		line := func(blank byte, most int) int32 {
			at := int32(ret)
			for range most {
				at = b.split(b.byte(blank, at), ret)
			}
			return at
		}
		b.blanks = b.split(b.bytes(edge{' ', ' ', ret}, edge{'\n', '\n', b.split(line(' ', maxIndent), line('\t', maxIndent/4))}), ret)
	}
	return b.call(b.blanks, next)
}

// character is the rule of one character of a free string, written in any way that JSON
// has for it. Two \u escapes that are a pair of surrogates are one character.
func (b *builder) character() int32 {
	if b.char >= 0 {
		return b.char
	}
	hex := func(next int32) []edge {
		return []edge{{'0', '9', next}, {'A', 'F', next}, {'a', 'f', next}}
	}
	two := b.bytes(hex(b.bytes(hex(ret)...))...)
	three := b.bytes(hex(two)...)
	low := b.byte('\\', b.byte('u', b.bytes(
		edge{'D', 'D', b.bytes(edge{'C', 'F', two}, edge{'c', 'f', two})},
		edge{'d', 'd', b.bytes(edge{'C', 'F', two}, edge{'c', 'f', two})})))
	beforeLow := b.bytes(hex(b.bytes(hex(low)...))...)
	d := b.bytes(edge{'0', '7', two}, edge{'8', '9', beforeLow}, edge{'A', 'B', beforeLow}, edge{'a', 'b', beforeLow})
	unicodeEscape := b.bytes(edge{'0', '9', three}, edge{'A', 'C', three}, edge{'a', 'c', three}, edge{'D', 'D', d}, edge{'d', 'd', d}, edge{'E', 'F', three}, edge{'e', 'f', three})
	escaped := []edge{{'u', 'u', unicodeEscape}}
	for _, c := range `"\/bfnrt` {
		escaped = append(escaped, edge{byte(c), byte(c), ret})
	}
	x := expansion{b: b, memo: map[string]int32{}}
	edges := []edge{{'\\', '\\', b.bytes(escaped...)}}
	for _, r := range [][2]rune{{0x20, '"' - 1}, {'"' + 1, '\\' - 1}, {'\\' + 1, unicode.MaxRune}} {
		edges = x.ranges(edges, r[0], r[1], ret)
	}
	b.char = b.bytes(edges...)
	return b.char
}

// freeString reads a string of least to most characters; most -1: no limit.
func (b *builder) freeString(least, most int, next int32) int32 {
	return b.byte('"', b.repeat(b.character(), least, most, b.byte('"', next)))
}

// value is the rule of any JSON value.
func (b *builder) value() int32 {
	if b.anything != 0 {
		return b.anything
	}
	b.anything = b.add(node{kind: kSplit})
	number, err := anyNumber(true)
	if err != nil {
		b.fail(err)
		return ret
	}
	alts := []int32{b.anyObject(), b.anyArray(), b.freeString(0, -1, ret), b.automaton(number, raw, ret), b.literals([]string{"true", "false", "null"}, ret)}
	b.nodes[b.anything].alts = alts
	return b.anything
}

// anyArray is the rule of any array.
func (b *builder) anyArray() int32 {
	return b.array(nil, b.value(), 0, -1, ret)
}

// anyObject is the rule of any object.
func (b *builder) anyObject() int32 {
	key := func(next int32) int32 { return b.freeString(0, -1, next) }
	return b.object(nil, []extra{{key, b.value()}}, 0, -1, ret)
}

// array reads an array: first are the rules of its first items, rest that of the others
// (-1: there are none).
func (b *builder) array(first []int32, rest int32, least, most int, next int32) int32 {
	end := b.space(b.byte(']', next))
	if most < 0 && rest < 0 {
		most = len(first)
	}
	more := func(n int) bool { return most < 0 || n < most } // behind n items
	at := end
	if rest >= 0 && more(len(first)) {
		item := b.byte(',', b.space(b.call(rest, ret)))
		n := max(len(first), 1)
		hi := -1
		if most >= 0 {
			hi = most - n
		}
		at = b.repeat(item, max(least-n, 0), hi, end)
		if len(first) == 0 {
			at = b.call(rest, at)
			if least <= 0 {
				at = b.split(at, end)
			}
			return b.byte('[', b.space(at))
		}
	} else if least > len(first) {
		at = b.split() // never
	}
	for i := len(first) - 1; i >= 0; i-- {
		if !more(i) {
			at = end
			continue
		}
		at = b.call(first[i], at)
		if i > 0 {
			at = b.byte(',', b.space(at))
		}
		if i >= least {
			at = b.split(at, end)
		}
	}
	return b.byte('[', b.space(at))
}

// property is one that an object may have: its rule reads the value.
type property struct {
	name     string
	value    int32
	required bool
}

// extra is what else an object may hold: names that key reads, with values of a rule.
type extra struct {
	key   func(next int32) int32
	value int32
}

// object reads an object of properties in their order and then of others. least and most
// count the properties and hold only where none is listed; most -1: no limit.
func (b *builder) object(list []property, extras []extra, least, most int, next int32) int32 {
	end := b.space(b.byte('}', next))
	colon := func(rule, next int32) int32 { return b.byte(':', b.space(b.call(rule, next))) }
	if len(list) == 0 {
		return b.byte('{', b.space(b.others(extras, least, most, colon, end)))
	}
	// after[i] is where some property has been written and i and those behind it have not;
	// name[i] where the name of one of those must come.
	name, after := int32(-1), end
	if len(extras) > 0 {
		name = b.add(node{kind: kSplit})
		after = b.split(b.byte(',', b.space(name)), end)
		var alts []int32
		for _, e := range extras {
			alts = append(alts, e.key(colon(e.value, after)))
		}
		if b.err != nil {
			return ret
		}
		b.nodes[name].alts = alts
	}
	optional := true // all from i on
	for i := len(list) - 1; i >= 0; i-- {
		p := list[i]
		optional = optional && !p.required
		this := b.text(quote(p.name), colon(p.value, after))
		if p.required || name < 0 {
			name = this
		} else {
			name = b.split(this, name)
		}
		if i == 0 {
			break
		}
		after = b.byte(',', b.space(name))
		if optional {
			after = b.split(after, end)
		}
	}
	if optional {
		name = b.split(name, end)
	}
	return b.byte('{', b.space(name))
}

// others reads the properties of an object that lists none.
func (b *builder) others(extras []extra, least, most int, colon func(rule, next int32) int32, end int32) int32 {
	var alts []int32
	for _, e := range extras {
		alts = append(alts, e.key(colon(e.value, ret)))
	}
	if len(alts) == 0 || most == 0 {
		if least > 0 {
			return b.split() // never
		}
		return end
	}
	one := b.split(alts...)
	hi := -1
	if most > 0 {
		hi = most - 1
	}
	at := b.call(one, b.repeat(b.byte(',', b.space(b.call(one, ret))), max(least-1, 0), hi, end))
	if least <= 0 {
		at = b.split(at, end)
	}
	return at
}
