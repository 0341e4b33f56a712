package constrain

import (
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/plural"
)

// maxProperties bounds the properties of one object.
const maxProperties = 2048

// objectOf reads an object.
func (c *compiler) objectOf(s *spec) int32 {
	names, required := c.names(s)
	if c.err != nil {
		return ret
	}
	if len(names) > maxProperties {
		c.fail(errorAt(s.at, "the object has %s, the limit is %d", plural.Of(len(names), "property"), maxProperties))
		return ret
	}
	var list []property
	for _, name := range names {
		set, allowed := c.property(s, name)
		switch {
		case !allowed && required[name]:
			return c.split() // no object fits
		case allowed:
			list = append(list, property{name, c.rule(set...), required[name]})
		}
	}
	extras := c.extras(s, names)
	if len(list) > 0 && (s.minProps > len(required) || s.maxProps >= 0 && (s.maxProps < len(list) || len(extras) > 0)) {
		c.warn(s.at, "minProperties and maxProperties are not enforced where properties are listed")
	}
	return c.object(list, extras, s.minProps, s.maxProps, ret)
}

// names are those of the properties that are listed or required, in order.
func (c *compiler) names(s *spec) (names []string, required map[string]bool) {
	required = map[string]bool{}
	there := map[string]bool{}
	add := func(name string) {
		if !there[name] {
			there[name] = true
			names = append(names, name)
		}
	}
	for _, e := range s.set {
		if p := e.schema.get("properties"); p != nil {
			if p.kind != 'o' {
				c.fail(errorAt(p, "found %s, expected an object of schemas", kindName(p)))
				return nil, nil
			}
			for _, m := range p.members {
				add(m.key)
			}
		}
	}
	for _, e := range s.set {
		list := e.schema.get("required")
		if list == nil || list.kind == 't' || list.kind == 'f' { // draft 3
			continue
		}
		if list.kind != 'a' {
			c.fail(errorAt(list, "found %s, expected a list of names", kindName(list)))
			return nil, nil
		}
		for _, i := range list.items {
			if i.kind != 's' {
				c.fail(errorAt(i, "found %s, expected a name", kindName(i)))
				return nil, nil
			}
			add(i.text)
			required[i.text] = true
		}
	}
	return names, required
}

// property is the schemas of a property; false: there must be none of that name.
func (c *compiler) property(s *spec, name string) (set []element, allowed bool) {
	for _, e := range s.set {
		var mine []*value
		if p := e.schema.get("properties"); p != nil {
			if v := p.get(name); v != nil {
				mine = append(mine, v)
			}
		}
		if p := e.schema.get("patternProperties"); p != nil {
			for _, m := range p.members {
				if d := c.namePattern(m.value, m.key); d != nil && d.matches(name) {
					mine = append(mine, m.value)
				}
			}
		}
		if v := e.schema.get("additionalProperties"); v != nil && mine == nil {
			mine = append(mine, v)
		}
		for _, v := range mine {
			if v.kind == 'f' {
				return nil, false
			}
			set = append(set, element{schema: v})
		}
		if v := e.schema.get("propertyNames"); v != nil && v.kind == 'f' {
			return nil, false
		}
	}
	return set, true
}

// namePattern is the automaton of a pattern of names; nil after an error or a warning.
func (c *compiler) namePattern(at *value, pattern string) *runeDFA {
	s := &spec{patterns: []*value{{kind: 's', text: pattern, up: at.up, key: at.key, root: at.root}}}
	return c.restrictions(s)
}

// extras are the properties that an object may have besides those that are listed.
func (c *compiler) extras(s *spec, names []string) []extra {
	said := false // some schema says what further properties are
	var rest []element
	open := true
	var patterns []member
	for _, e := range s.set {
		if v := e.schema.get("additionalProperties"); v != nil {
			said = true
			if open = open && v.kind != 'f'; open {
				rest = append(rest, element{schema: v})
			}
		}
		if p := e.schema.get("patternProperties"); p != nil {
			if p.kind != 'o' {
				c.fail(errorAt(p, "found %s, expected an object of schemas", kindName(p)))
				return nil
			}
			patterns = append(patterns, p.members...)
		}
	}
	if len(patterns) > 0 {
		return c.patterned(s, names, patterns)
	}
	if !open || !said && len(names) > 0 {
		return nil
	}
	key := c.keys(s, names)
	if key == nil {
		return nil
	}
	return []extra{{key, c.rule(rest...)}}
}

// patterned are the properties whose names fit a pattern. Only names that fit one pattern
// alone are written, and none that fits no pattern.
func (c *compiler) patterned(s *spec, names []string, patterns []member) (extras []extra) {
	free := except(names)
	for i, p := range patterns {
		if p.value.kind == 'f' {
			continue
		}
		d := c.namePattern(p.value, p.key)
		if d == nil {
			continue
		}
		d, err := d.both(free, &c.work)
		for k, q := range patterns {
			if k == i || err != nil {
				continue
			}
			var e *runeDFA
			if e = c.namePattern(q.value, q.key); e == nil {
				continue
			}
			d, err = d.product(e.cuts, e.complement(), func(s int32) bool { return s == int32(len(e.next)) || !e.accept[s] }, &c.work)
		}
		if err != nil {
			c.named(p.value, err)
			continue
		}
		extras = append(extras, extra{func(next int32) int32 {
			return c.byte('"', c.automaton(d, quoted, c.byte('"', next)))
		}, c.rule(element{schema: p.value})})
	}
	return extras
}

// complement steps through what an automaton does not accept: the state behind its last
// one is where it has no way.
func (d *runeDFA) complement() func(s int32, r rune) int32 {
	none := int32(len(d.next))
	return func(s int32, r rune) int32 {
		if s == none {
			return none
		}
		at, found := slices.BinarySearch(d.cuts, r)
		if !found {
			at--
		}
		if to := d.next[s][at]; to >= 0 {
			return to
		}
		return none
	}
}

// named reports what is wrong with an automaton of names.
func (c *compiler) named(at *value, err error) {
	if errors.Is(err, errUnsupported) {
		c.warn(at, "the names of properties: %v; none of them is written", err)
		return
	}
	c.fail(err)
}

// keys reads a name that is not listed; nil: there is none that can be.
func (c *compiler) keys(s *spec, names []string) func(next int32) int32 {
	var rules []element
	for _, e := range s.set {
		if v := e.schema.get("propertyNames"); v != nil {
			rules = append(rules, element{schema: v})
		}
	}
	if len(names) == 0 && rules == nil {
		return func(next int32) int32 { return c.freeString(0, -1, next) }
	}
	size := 0
	for _, n := range names {
		size += utf8.RuneCountInString(n)
	}
	if size > MaxStates {
		c.warn(s.at, "properties beside those listed are not written: the names have more than %s", plural.Of(MaxStates, "character"))
		return nil
	}
	d := except(names)
	if rules != nil {
		var ok bool
		if d, ok = c.propertyNames(d, s.at, rules); !ok {
			return nil
		}
	}
	return func(next int32) int32 { return c.byte('"', c.automaton(d, quoted, c.byte('"', next))) }
}

// propertyNames narrows names by the keyword of that name.
func (c *compiler) propertyNames(d *runeDFA, at *value, rules []element) (*runeDFA, bool) {
	flat, never, err := c.flatten(rules)
	if err != nil {
		c.fail(err)
	}
	if never || err != nil {
		return nil, false
	}
	s := c.merge(flat)
	if s == nil || s.types&stringType == 0 {
		return nil, false
	}
	for _, e := range flat {
		if e.schema.get("anyOf") != nil || e.schema.get("oneOf") != nil {
			c.warn(e.schema, "anyOf and oneOf are not enforced in propertyNames")
		}
	}
	e := c.restrictions(s)
	if s.constants != nil {
		var texts []string
		for _, v := range s.constants {
			if fits, err := c.fits(s, v); fits && err == nil && v.kind == 's' {
				texts = append(texts, v.text)
			}
		}
		e = except(texts)
		for i := range e.accept {
			e.accept[i] = !e.accept[i]
		}
	}
	if e != nil {
		d, err = d.both(e, &c.work)
	}
	if err == nil && (s.minLength > 0 || s.maxLength >= 0) {
		d, err = d.lengths(s.minLength, s.maxLength, &c.work)
	}
	if err != nil {
		c.named(at, err)
		return nil, false
	}
	return d, true
}
