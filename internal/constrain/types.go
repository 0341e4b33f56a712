package constrain

import (
	"errors"
	"unicode/utf8"
)

// constants gives the nodes that read the values of enum and const that fit the rest.
func (c *compiler) constants(s *spec) []int32 {
	if s.hints&(objectType|arrayType) != 0 {
		c.warn(s.at, "keywords about the parts of objects and arrays are not enforced beside enum and const")
	}
	var texts []string
	var alts []int32
	for _, v := range s.constants {
		fits, err := c.fits(s, v)
		if err != nil {
			c.fail(err)
			return nil
		}
		switch {
		case !fits:
		case v.kind == 'a' || v.kind == 'o':
			alts = append(alts, c.constantOf(v, ret))
		default:
			texts = append(texts, v.json())
		}
	}
	if texts != nil {
		alts = append(alts, c.literals(texts, ret))
	}
	return alts
}

// constantOf reads one value. The depth of schemas bounds the recursion.
func (c *compiler) constantOf(v *value, next int32) int32 {
	rule := func(v *value) int32 { return c.constantOf(v, ret) }
	switch v.kind {
	case 'a':
		var items []int32
		for _, i := range v.items {
			items = append(items, rule(i))
		}
		return c.array(items, -1, len(items), len(items), next)
	case 'o':
		var list []property
		for _, m := range v.members {
			list = append(list, property{m.key, rule(m.value), true})
		}
		return c.object(list, nil, 0, -1, next)
	}
	return c.text(v.json(), next)
}

// fits says whether a constant fits the type and the keywords about strings and numbers.
func (c *compiler) fits(s *spec, v *value) (bool, error) {
	switch v.kind {
	case 'n':
		return s.types&nullType != 0, nil
	case 't', 'f':
		return s.types&booleanType != 0, nil
	case 'a':
		return s.types&arrayType != 0, nil
	case 'o':
		return s.types&objectType != 0, nil
	case '0':
		r, ok := rational(v)
		if !ok {
			return false, errorAt(v, "found the number %.40s, expected one with an exponent up to 300", v.text)
		}
		kind := realType
		if r.IsInt() {
			kind = integerType
		}
		for _, m := range s.multiples {
			if n, ok := rational(m); ok && n.Sign() > 0 && !n.Quo(r, n).IsInt() {
				return false, nil
			}
		}
		below := s.low != nil && (r.Cmp(s.low.at) < 0 || r.Cmp(s.low.at) == 0 && s.low.exclusive)
		above := s.high != nil && (r.Cmp(s.high.at) > 0 || r.Cmp(s.high.at) == 0 && s.high.exclusive)
		return s.types&kind != 0 && !below && !above, nil
	}
	n := utf8.RuneCountInString(v.text)
	if s.types&stringType == 0 || n < s.minLength || s.maxLength >= 0 && n > s.maxLength {
		return false, nil
	}
	d := c.restrictions(s)
	return d == nil || d.matches(v.text), nil
}

// matches says whether the automaton accepts a text.
func (d *runeDFA) matches(s string) bool {
	at := int32(0)
	for _, r := range s {
		class := 0
		for d.cuts[class+1] <= r {
			class++
		}
		if at = d.next[at][class]; at < 0 {
			return false
		}
	}
	return d.accept[at]
}

// restrictions is the automaton of all patterns and formats; nil: there are none that
// can be enforced.
func (c *compiler) restrictions(s *spec) *runeDFA {
	var d *runeDFA
	add := func(v *value, pattern string, whole bool) {
		e, err := parsePattern(pattern, whole, &c.work)
		if err == nil && d != nil {
			e, err = d.both(e, &c.work)
		}
		switch {
		case errors.Is(err, errUnsupported):
			c.warn(v, "%s: %v; it is not enforced", shorten(pattern), err)
		case err != nil:
			var known *Error
			if !errors.As(err, &known) {
				err = errorAt(v, "%s %v", shorten(pattern), err)
			}
			c.fail(err)
		default:
			d = e
		}
	}
	for _, p := range s.patterns {
		add(p, p.text, false)
	}
	for _, f := range s.formats {
		if pattern, ok := formats[f.text]; ok {
			add(f, pattern, true)
		} else if !freeFormats[f.text] {
			c.warn(f, "the format %s is not enforced", shorten(f.text))
		}
	}
	return d
}

// freeFormats speak of numbers, or say nothing about the text.
var freeFormats = map[string]bool{"int32": true, "int64": true, "float": true, "double": true, "password": true}

// stringOf reads a string.
func (c *compiler) stringOf(s *spec) []int32 {
	if s.maxLength >= 0 && s.minLength > s.maxLength {
		return nil
	}
	d := c.restrictions(s)
	if d == nil || c.err != nil {
		return []int32{c.freeString(s.minLength, s.maxLength, ret)}
	}
	if s.minLength > 0 || s.maxLength >= 0 {
		limited, err := d.lengths(s.minLength, s.maxLength, &c.work)
		switch {
		case errors.Is(err, errUnsupported):
			c.warn(s.at, "minLength and maxLength together with a pattern or format: %v; the lengths are not enforced", err)
		case err != nil:
			c.fail(err)
			return nil
		default:
			d = limited
		}
	}
	return []int32{c.byte('"', c.automaton(d, quoted, c.byte('"', ret)))}
}

// numberOf reads a number.
func (c *compiler) numberOf(s *spec) []int32 {
	real := s.types&realType != 0
	multiple := c.multiple(s, &real)
	if s.low == nil && s.high == nil && multiple == 0 {
		d, err := anyNumber(real)
		if err != nil {
			c.fail(err)
			return nil
		}
		return []int32{c.automaton(d, raw, ret)}
	}
	n, err := boundedNumbers(s.low, s.high, real, &c.work)
	var alts []int32
	for _, side := range []struct {
		d    *runeDFA
		sign bool
	}{{n.positive, false}, {n.negative, true}} {
		if side.d == nil || err != nil {
			continue
		}
		if d := side.d; multiple > 0 {
			if side.d, err = d.multiples(multiple, &c.work); err != nil {
				continue
			}
		}
		at := c.automaton(side.d, raw, ret)
		if side.sign {
			at = c.byte('-', at)
		}
		alts = append(alts, at)
	}
	if err != nil {
		c.fail(errorAt(s.at, "the range of numbers: %v", err))
		return nil
	}
	return alts
}

// maxMultiple bounds multipleOf, for integers.
const maxMultiple = 256

// multiple is what an integer must be a multiple of; 0: of nothing. Where an integer is
// asked for by multipleOf, real becomes false.
func (c *compiler) multiple(s *spec, real *bool) (n int32) {
	for _, v := range s.multiples {
		r, ok := rational(v)
		switch {
		case !ok || r.Sign() <= 0:
			c.fail(errorAt(v, "found %.40s, expected a number above 0", v.json()))
		case r.IsInt() && r.Num().IsInt64() && r.Num().Int64() <= maxMultiple && n == 0:
			n = int32(r.Num().Int64())
			*real = false
		default:
			c.warn(s.at, "multipleOf %.40s is not enforced: one integer up to %d can be", v.json(), maxMultiple)
		}
	}
	return n
}

// arrayOf reads an array.
func (c *compiler) arrayOf(s *spec) int32 {
	prefix := 0
	open := true // no schema says what further items are
	for _, e := range s.set {
		first, rest := c.itemsOf(e.schema)
		prefix = max(prefix, len(first))
		open = open && rest == nil
	}
	item := func(i int) (set []element, ok bool) {
		for _, e := range s.set {
			first, rest := c.itemsOf(e.schema)
			v := rest
			if i < len(first) {
				v = first[i]
			}
			if v == nil {
				continue
			}
			if v.kind == 'f' {
				return nil, false
			}
			set = append(set, element{schema: v})
		}
		return set, true
	}
	var first []int32
	most := s.maxItems
	for i := range prefix {
		set, ok := item(i)
		if !ok {
			if most < 0 || most > i {
				most = i
			}
			break
		}
		first = append(first, c.rule(set...))
	}
	rest := int32(-1)
	// Where nothing is said of further items, there are none, unless they are needed.
	if set, ok := item(prefix); ok && (!open || prefix == 0 || s.minItems > prefix) {
		rest = c.rule(set...)
	}
	if most >= 0 && s.minItems > most {
		return c.split()
	}
	return c.array(first, rest, s.minItems, most, ret)
}

// itemsOf are the schemas of an array's first items and of the others; nil: none.
func (c *compiler) itemsOf(v *value) (first []*value, rest *value) {
	rest = v.get("items")
	if p := v.get("prefixItems"); p != nil {
		if p.kind != 'a' {
			c.fail(errorAt(p, "expected a list of schemas"))
		}
		return p.items, rest
	}
	if rest != nil && rest.kind == 'a' { // before draft 2020-12
		return rest.items, v.get("additionalItems")
	}
	return nil, rest
}
