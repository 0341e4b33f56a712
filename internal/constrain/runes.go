package constrain

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/plural"
)

// runeDFA is a deterministic automaton over characters. State 0 begins.
type runeDFA struct {
	cuts   []rune    // class i is the characters from cuts[i] to cuts[i+1]-1; cuts[0] is 0, the last is MaxRune+1
	next   [][]int32 // by state and class; -1: none
	accept []bool
}

// errUnsupported says that an expression is sound but beyond what is done here.
var errUnsupported = errors.New("is not supported")

// budget bounds the work on all expressions and references of a schema.
type budget struct{ steps int }

func (w *budget) spend(n int) error {
	if w.steps += n; w.steps > MaxWork {
		return &Error{"", "the regular expressions and references of the schema take too much work; simpler ones are needed"}
	}
	return nil
}

// parsePattern makes an automaton of a regular expression in the syntax of ECMA 262 as
// far as Go has it. whole: the expression must match the whole text, not a part of it.
// errUnsupported is wrapped by errors about what is sound but not done.
func parsePattern(pattern string, whole bool, w *budget) (*runeDFA, error) {
	if len(pattern) > MaxPatternBytes {
		return nil, fmt.Errorf("has %s, the limit is %d; more %w", plural.Of(len(pattern), "byte"), MaxPatternBytes, errUnsupported)
	}
	re, err := syntax.Parse(fromECMA(pattern), syntax.Perl)
	var e *syntax.Error
	if errors.As(err, &e) {
		switch e.Code {
		case syntax.ErrInvalidPerlOp, syntax.ErrInvalidEscape, syntax.ErrInvalidRepeatSize, syntax.ErrLarge, syntax.ErrInvalidCharRange:
			return nil, fmt.Errorf("has %s, which %w", e.Expr, errUnsupported)
		}
		return nil, fmt.Errorf("is no regular expression: %s: %s", e.Code, e.Expr)
	}
	if err != nil {
		return nil, fmt.Errorf("is no regular expression: %v", err)
	}
	if n := size(re); n > MaxPatternSize {
		return nil, fmt.Errorf("is too large: written out it has more than %s, which %w", plural.Of(MaxPatternSize, "part"), errUnsupported)
	}
	dot(re)
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil, fmt.Errorf("is no regular expression: %v", err)
	}
	return determinize(prog, whole, w)
}

// size is about how many instructions an expression becomes.
func size(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)/64
	for _, s := range re.Sub {
		n = min(n+size(s), MaxPatternSize+1)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return min(n, MaxPatternSize+1)
}

// dot makes of "." what it is in ECMA 262: not \r, U+2028 and U+2029 either.
func dot(re *syntax.Regexp) {
	if re.Op == syntax.OpAnyCharNotNL {
		re.Op, re.Rune = syntax.OpCharClass, []rune{0, '\n' - 1, '\n' + 1, '\r' - 1, '\r' + 1, 0x2027, 0x202a, unicode.MaxRune}
	}
	for _, s := range re.Sub {
		dot(s)
	}
}

// determinize makes an automaton by following all ways through a program at once.
func determinize(prog *syntax.Prog, whole bool, w *budget) (*runeDFA, error) {
	d := &runeDFA{cuts: programCuts(prog)}
	p := &paths{prog: prog, mark: make([]int, len(prog.Inst))}
	states := &stateSets{ids: map[string]int32{}}
	set, err := p.closure([]uint32{uint32(prog.Start)}, true)
	if err != nil {
		return nil, err
	}
	if _, err := states.id(set); err != nil {
		return nil, err
	}
	for i := 0; i < len(states.sets); i++ { // more are added as they are reached
		set := states.sets[i]
		matched, atEnd, err := p.matches(set)
		if err != nil {
			return nil, err
		}
		row := make([]int32, len(d.cuts)-1)
		d.next, d.accept = append(d.next, row), append(d.accept, matched || atEnd)
		if err := w.spend(len(row) * (len(set) + 1)); err != nil {
			return nil, err
		}
		for c := range row {
			if matched && !whole { // found: whatever follows
				row[c] = int32(i)
				continue
			}
			var to []uint32
			for _, pc := range set {
				if in := &prog.Inst[pc]; in.Op >= syntax.InstRune && in.MatchRune(d.cuts[c]) {
					to = append(to, in.Out)
				}
			}
			if !whole {
				to = append(to, uint32(prog.Start))
			}
			if row[c] = -1; len(to) == 0 {
				continue
			}
			next, err := p.closure(to, false)
			if err != nil {
				return nil, err
			}
			if err := w.spend(len(next)); err != nil {
				return nil, err
			}
			if len(next) > 0 {
				if row[c], err = states.id(next); err != nil {
					return nil, err
				}
			}
		}
	}
	return d, nil
}

// stateSets numbers the automaton's states, each of which is a set of instructions.
type stateSets struct {
	ids  map[string]int32 // by the set's bytes
	sets [][]uint32
}

// id returns the number of a set, a new one if it was not met before.
func (s *stateSets) id(set []uint32) (int32, error) {
	key := make([]byte, 0, 4*len(set))
	for _, pc := range set {
		key = binary.LittleEndian.AppendUint32(key, pc)
	}
	if id, ok := s.ids[string(key)]; ok {
		return id, nil
	}
	if len(s.sets) >= MaxStates {
		return 0, fmt.Errorf("needs more than %s, which %w", plural.Of(MaxStates, "state"), errUnsupported)
	}
	id := int32(len(s.sets))
	s.ids[string(key)], s.sets = id, append(s.sets, set)
	return id, nil
}

// paths finds what can be reached in a program without reading.
type paths struct {
	prog  *syntax.Prog
	mark  []int // the round in which an instruction was seen last
	round int
	list  []uint32
}

// closure gives the instructions that read, match, or wait for the end of the text.
func (p *paths) closure(from []uint32, begin bool) ([]uint32, error) {
	p.round++
	p.list = p.list[:0]
	for i := len(from) - 1; i >= 0; i-- {
		p.list = append(p.list, from[i])
	}
	var out []uint32
	for len(p.list) > 0 {
		pc := p.list[len(p.list)-1]
		p.list = p.list[:len(p.list)-1]
		if p.mark[pc] == p.round {
			continue
		}
		p.mark[pc] = p.round
		in := &p.prog.Inst[pc]
		switch in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			p.list = append(p.list, in.Arg, in.Out)
		case syntax.InstCapture, syntax.InstNop:
			p.list = append(p.list, in.Out)
		case syntax.InstEmptyWidth:
			switch syntax.EmptyOp(in.Arg) {
			case syntax.EmptyBeginText:
				if begin {
					p.list = append(p.list, in.Out)
				}
			case syntax.EmptyEndText:
				out = append(out, pc)
			default:
				return nil, fmt.Errorf(`has \b, \B or multi-line mode, which %w`, errUnsupported)
			}
		case syntax.InstFail:
		default:
			out = append(out, pc)
		}
	}
	slices.Sort(out)
	return out, nil
}

// matches says whether a set matches here, whatever follows, and whether it does if the
// text ends here.
func (p *paths) matches(set []uint32) (now, atEnd bool, err error) {
	p.round++
	list := slices.Clone(set)
	for len(list) > 0 {
		pc := list[len(list)-1]
		list = list[:len(list)-1]
		if p.mark[pc] == p.round {
			continue
		}
		p.mark[pc] = p.round
		in := &p.prog.Inst[pc]
		switch in.Op {
		case syntax.InstMatch:
			atEnd = true
		case syntax.InstAlt, syntax.InstAltMatch:
			list = append(list, in.Arg, in.Out)
		case syntax.InstCapture, syntax.InstNop:
			list = append(list, in.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(in.Arg) == syntax.EmptyEndText {
				list = append(list, in.Out)
			}
		}
	}
	for _, pc := range set {
		now = now || p.prog.Inst[pc].Op == syntax.InstMatch
	}
	return now, atEnd, nil
}

// programCuts are the characters at which some instruction changes its mind.
func programCuts(prog *syntax.Prog) []rune {
	cuts := map[rune]bool{0: true, unicode.MaxRune + 1: true}
	span := func(lo, hi rune) { cuts[lo], cuts[hi+1] = true, true }
	for _, in := range prog.Inst {
		switch in.Op {
		case syntax.InstRune, syntax.InstRune1:
			if len(in.Rune) == 1 {
				r := in.Rune[0]
				span(r, r)
				if syntax.Flags(in.Arg)&syntax.FoldCase != 0 {
					for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
						span(f, f)
					}
				}
				continue
			}
			for i := 0; i+1 < len(in.Rune); i += 2 {
				span(in.Rune[i], in.Rune[i+1])
			}
		case syntax.InstRuneAnyNotNL:
			span('\n', '\n')
		}
	}
	return slices.Sorted(maps.Keys(cuts))
}

// state adds a state.
func (d *runeDFA) state(accept bool) int32 {
	row := make([]int32, len(d.cuts)-1)
	for i := range row {
		row[i] = -1
	}
	d.next, d.accept = append(d.next, row), append(d.accept, accept)
	return int32(len(d.next) - 1)
}

// product makes an automaton of what both accept. step gives the second one's next
// state for a character (-1: none) and accept whether one accepts; it begins at 0.
func (d *runeDFA) product(cuts []rune, step func(state int32, r rune) int32, accept func(state int32) bool, w *budget) (*runeDFA, error) {
	out := &runeDFA{cuts: slices.Compact(slices.Sorted(slices.Values(slices.Concat(d.cuts, cuts))))}
	class := make([]int, len(out.cuts)-1) // of d, for each class of out
	for i := range class {
		at, found := slices.BinarySearch(d.cuts, out.cuts[i])
		if !found {
			at--
		}
		class[i] = at
	}
	type pair struct{ a, b int32 }
	ids := map[pair]int32{{0, 0}: 0}
	list := []pair{{0, 0}}
	for i := 0; i < len(list); i++ {
		p := list[i]
		out.state(d.accept[p.a] && accept(p.b))
		if err := w.spend(len(class)); err != nil {
			return nil, err
		}
		for c := range class {
			a := d.next[p.a][class[c]]
			if a < 0 {
				continue
			}
			b := step(p.b, out.cuts[c])
			if b < 0 {
				continue
			}
			id, ok := ids[pair{a, b}]
			if !ok {
				if id = int32(len(list)); id >= MaxStates {
					return nil, fmt.Errorf("needs more than %s, which %w", plural.Of(MaxStates, "state"), errUnsupported)
				}
				ids[pair{a, b}] = id
				list = append(list, pair{a, b})
			}
			out.next[i][c] = id
		}
	}
	return out, nil
}

// both accepts what d and e accept.
func (d *runeDFA) both(e *runeDFA, w *budget) (*runeDFA, error) {
	return d.product(e.cuts, func(s int32, r rune) int32 {
		at, found := slices.BinarySearch(e.cuts, r)
		if !found {
			at--
		}
		return e.next[s][at]
	}, func(s int32) bool { return e.accept[s] }, w)
}

// lengths accepts what d accepts and has from least to most characters; most -1: no
// limit.
func (d *runeDFA) lengths(least, most int, w *budget) (*runeDFA, error) {
	return d.product(nil, func(s int32, _ rune) int32 {
		if most >= 0 && int(s) >= most {
			return -1
		}
		if most < 0 {
			return min(s+1, int32(least))
		}
		return s + 1
	}, func(s int32) bool { return int(s) >= least }, w)
}

// except accepts all texts but those that are named.
func except(names []string) *runeDFA {
	cuts := []rune{0, unicode.MaxRune + 1}
	for _, n := range names {
		for _, r := range n {
			cuts = append(cuts, r, r+1)
		}
	}
	d := &runeDFA{cuts: slices.Compact(slices.Sorted(slices.Values(cuts)))}
	d.state(true)
	other := d.state(true)
	for c := range d.next[other] {
		d.next[0][c], d.next[other][c] = other, other
	}
	for _, n := range names {
		at := int32(0)
		for _, r := range n {
			c, _ := slices.BinarySearch(d.cuts, r)
			if d.next[at][c] == other {
				to := d.state(true)
				for k := range d.next[to] {
					d.next[to][k] = other
				}
				d.next[at][c] = to
			}
			at = d.next[at][c]
		}
		d.accept[at] = false
	}
	return d
}

// utf8Ranges gives the byte sequences of the characters from lo to hi, as ranges of each
// byte. Surrogates are left out: they are no characters.
func utf8Ranges(lo, hi rune, emit func(seq [][2]byte)) {
	type span struct{ lo, hi rune }
	list := []span{{lo, hi}}
next:
	for len(list) > 0 {
		s := list[len(list)-1]
		list = list[:len(list)-1]
		if s.lo > s.hi {
			continue
		}
		for _, edge := range []rune{0x7f, 0x7ff, 0xd7ff, 0xdfff, 0xffff} {
			if s.lo <= edge && edge < s.hi {
				list = append(list, span{edge + 1, s.hi}, span{s.lo, edge})
				continue next
			}
		}
		if s.lo >= 0xd800 && s.hi <= 0xdfff {
			continue
		}
		n := utf8.RuneLen(s.lo)
		for i := 1; i < n; i++ {
			m := rune(1)<<(6*i) - 1
			if s.lo&^m == s.hi&^m {
				continue
			}
			if s.lo&m != 0 {
				list = append(list, span{(s.lo | m) + 1, s.hi}, span{s.lo, s.lo | m})
				continue next
			}
			if s.hi&m != m {
				list = append(list, span{s.hi &^ m, s.hi}, span{s.lo, s.hi&^m - 1})
				continue next
			}
		}
		var a, b [utf8.UTFMax]byte
		utf8.EncodeRune(a[:], s.lo)
		utf8.EncodeRune(b[:], s.hi)
		seq := make([][2]byte, n)
		for i := range seq {
			seq[i] = [2]byte{a[i], b[i]}
		}
		emit(seq)
	}
}
