package tokenizer

import (
	"cmp"
	"slices"
)

// Span is the range of bytes of a text from From up to, but not including, To.
type Span struct{ From, To int }

// EncodeMarked encodes a text of which some spans, user, are from an untrusted source; they
// must be in order and not overlap. A special token, or another added token for which
// control is true, is recognised only if none of its bytes is in such a span; elsewhere its
// text is encoded like any other. Nothing is added before or after. If the spans touch no
// such token, the ids are those of [Tokenizer.Encode] without BOS and EOS.
func (t *Tokenizer) EncodeMarked(text string, user []Span, control func(token string) bool) ([]int, error) {
	return t.encodeGuarded(text, false, &guard{user: user, control: control})
}

// guard tells where added tokens must not be recognised.
type guard struct {
	all     bool // nowhere may a special token be
	user    []Span
	control func(token string) bool
}

// refusesAt reports whether the token must not be recognised at bytes from to to, because
// some of them are the user's.
func (g *guard) refusesAt(tok *addedToken, from, to int) bool {
	if g == nil || g.all || len(g.user) == 0 {
		return false
	}
	first := g.after(from)
	if first == len(g.user) || g.user[first].From >= to {
		return false
	}
	return tok.Special || g.control != nil && g.control(tok.Content)
}

// after is the index of the first span that ends after byte from.
func (g *guard) after(from int) int {
	i, _ := slices.BinarySearchFunc(g.user, from, func(s Span, from int) int { return cmp.Compare(s.To, from+1) })
	return i
}

// part is the guard for the bytes from from up to to, with offsets relative to from.
func (g *guard) part(from, to int) *guard {
	if g == nil || g.all || len(g.user) == 0 {
		return g
	}
	out := &guard{control: g.control}
	for _, s := range g.user[g.after(from):] {
		if s.From >= to {
			break
		}
		out.user = append(out.user, Span{max(s.From, from) - from, min(s.To, to) - from})
	}
	return out
}

// normalized is the guard for a text after normalization from before to after. It is exact
// if the pieces between the borders of the spans can be normalized one by one; otherwise
// the whole text counts as the user's.
func (g *guard) normalized(before, after string, normalize func(s string, first bool) (string, error)) (*guard, error) {
	if g == nil || g.all || len(g.user) == 0 || before == after {
		return g, nil
	}
	whole := &guard{control: g.control, user: []Span{{0, len(after)}}}
	out := &guard{control: g.control}
	at, length := 0, 0
	next := func(to int, user bool) (bool, error) {
		if at >= to {
			return true, nil
		}
		s, err := normalize(before[at:to], at == 0)
		if err != nil {
			return false, err
		}
		if len(after)-length < len(s) || after[length:length+len(s)] != s {
			return false, nil
		}
		if user && s != "" {
			out.user = append(out.user, Span{length, length + len(s)})
		}
		at, length = to, length+len(s)
		return true, nil
	}
	for _, u := range g.user {
		for _, stretch := range []struct {
			to   int
			user bool
		}{{u.From, false}, {u.To, true}} {
			if ok, err := next(stretch.to, stretch.user); !ok || err != nil {
				return whole, err
			}
		}
	}
	if ok, err := next(len(before), false); !ok || err != nil {
		return whole, err
	}
	if length != len(after) {
		return whole, nil
	}
	return out, nil
}
