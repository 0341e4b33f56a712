package constrain

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// compiler turns schemas into rules. Schemas that hold at once for one value are a set:
// what $ref and allOf add to a schema is added to its set, and each set is one rule.
type compiler struct {
	*builder
	work     budget
	ids      int32
	rules    map[string]int32 // by set
	warned   map[string]bool
	warnings []string
}

func newCompiler() *compiler {
	return &compiler{builder: newBuilder(), rules: map[string]int32{}, warned: map[string]bool{}}
}

// maxWarnings bounds the warnings of a schema.
const maxWarnings = 32

// warn notes what is not enforced.
func (c *compiler) warn(v *value, format string, args ...any) {
	text := errorAt(v, format, args...).Error()
	if c.warned[text] || len(c.warnings) >= maxWarnings {
		return
	}
	c.warned[text] = true
	c.warnings = append(c.warnings, text)
}

// element is a schema in a set.
type element struct {
	schema   *value
	taken    uint8 // choices that are made already: an alternative of them is in the set
	followed bool  // what its reference and its allOf mean is in the set
	via      *link // how it came into the set; nil: it was there first
}

// link is a schema that led to another one.
type link struct {
	schema *value
	choice bool // to an alternative of its choice, not by a reference or allOf
	up     *link
}

// to is the element that an element leads to.
func (e element) to(schema *value, choice bool) element {
	return element{schema: schema, via: &link{e.schema, choice, e.via}}
}

// loop says whether an element leads back to its own schema, and whether a choice lies on the way.
func (c *compiler) loop(e element) (loops, choice bool, err error) {
	for l := e.via; l != nil; l = l.up {
		if err := c.work.spend(1); err != nil {
			return false, false, err
		}
		choice = choice || l.choice
		if l.schema == e.schema {
			return true, choice, nil
		}
	}
	return false, false, nil
}

// Choices of a schema.
const (
	tookAny uint8 = 1 << iota
	tookOne
)

var choices = []struct {
	name string
	bit  uint8
}{{"anyOf", tookAny}, {"oneOf", tookOne}}

// flatten adds what references and allOf mean to a set. Its order is that in which the
// schemas are met. never: no value fits, or the set is part of what it means itself.
func (c *compiler) flatten(set []element) (out []element, never bool, err error) {
	at := map[*value]int{}
	list := slices.Clone(set)
	for i := 0; i < len(list); i++ {
		e := list[i]
		switch e.schema.kind {
		case 't':
			continue
		case 'f':
			return nil, true, nil
		case 'o':
		default:
			return nil, false, errorAt(e.schema, "found %s, expected a schema: an object, true or false", kindName(e.schema))
		}
		if k, there := at[e.schema]; there {
			loops, choice, err := c.loop(e)
			switch {
			case err != nil:
				return nil, false, err
			case loops && choice:
				return nil, true, nil // an alternative that leads back to the choice
			case loops:
				c.warn(e.schema, "leads back to itself by $ref and allOf alone, which restricts nothing")
			}
			out[k].taken |= e.taken
			continue
		}
		at[e.schema] = len(out)
		out = append(out, e)
		if e.followed {
			continue
		}
		out[len(out)-1].followed = true
		if ref := e.schema.get("$ref"); ref != nil {
			to, err := e.schema.resolve(ref)
			if err != nil {
				return nil, false, err
			}
			list = append(list, e.to(to, false))
		}
		if all := e.schema.get("allOf"); all != nil {
			if all.kind != 'a' || len(all.items) == 0 {
				return nil, false, errorAt(all, "expected a list of schemas")
			}
			for _, s := range all.items {
				list = append(list, e.to(s, false))
			}
		}
		if len(list) > 64*MaxAlternatives {
			return nil, false, errorAt(e.schema, "more than %s hold at once", plural.Of(64*MaxAlternatives, "schema"))
		}
	}
	// Schemas that say nothing else than what they refer to are not needed any more.
	return slices.DeleteFunc(out, func(e element) bool { return !says(e) }), false, nil
}

// says whether an element restricts anything besides what flatten has added.
func says(e element) bool {
	for _, m := range e.schema.members {
		switch m.key {
		case "$ref", "allOf":
			continue
		case "anyOf":
			if e.taken&tookAny != 0 {
				continue
			}
		case "oneOf":
			if e.taken&tookOne != 0 {
				continue
			}
		}
		if !annotations[m.key] && !strings.HasPrefix(m.key, "x-") {
			return true
		}
	}
	return false
}

func kindName(v *value) string {
	switch v.kind {
	case 'n':
		return "null"
	case 't', 'f':
		return "true or false"
	case '0':
		return "a number"
	case 's':
		return "a text"
	case 'a':
		return "a list"
	}
	return "an object"
}

// rule is the rule of the values that fit all schemas of a set.
func (c *compiler) rule(set ...element) int32 {
	if c.err != nil {
		return ret
	}
	flat, never, err := c.flatten(set)
	switch {
	case err != nil:
		c.fail(err)
		return ret
	case never:
		return c.split()
	case len(flat) == 0:
		return c.value()
	}
	key := c.key(flat)
	if r, ok := c.rules[key]; ok {
		return r
	}
	r := c.add(node{kind: kSplit})
	c.rules[key] = r
	alts := c.alternatives(flat)
	if c.err == nil {
		c.nodes[r].alts = alts
	}
	return r
}

// key names a set.
func (c *compiler) key(set []element) string {
	key := make([]byte, 0, 5*len(set))
	for _, e := range set {
		if e.schema.id == 0 {
			c.ids++
			e.schema.id = c.ids
		}
		key = binary.LittleEndian.AppendUint32(key, uint32(e.schema.id))
		key = append(key, e.taken)
	}
	return string(key)
}

// alternatives are the nodes at which a value of a set may begin.
func (c *compiler) alternatives(set []element) []int32 {
	// A schema that is a choice and nothing else has the rules of its alternatives.
	if len(set) == 1 && set[0].taken == 0 {
		if list := onlyChoice(set[0].schema); list != nil {
			c.exclusive(set[0].schema)
			var alts []int32
			for _, s := range c.list(list) {
				alts = append(alts, c.call(c.rule(element{schema: s}), ret))
			}
			return alts
		}
	}
	sets, err := c.expand(set, 0)
	if err != nil {
		c.fail(err)
		return nil
	}
	var alts []int32
	for _, s := range sets {
		alts = append(alts, c.plain(s)...)
		if c.err != nil {
			return nil
		}
	}
	return alts
}

// onlyChoice is the list of alternatives of a schema that says nothing else.
func onlyChoice(v *value) (list *value) {
	for _, m := range v.members {
		switch {
		case (m.key == "anyOf" || m.key == "oneOf") && list == nil:
			list = m.value
		case annotations[m.key] || strings.HasPrefix(m.key, "x-"):
		default:
			return nil
		}
	}
	return list
}

// list are the schemas of anyOf or oneOf.
func (c *compiler) list(v *value) []*value {
	if v.kind != 'a' || len(v.items) == 0 {
		c.fail(errorAt(v, "expected a list of schemas"))
		return nil
	}
	return v.items
}

// expand makes the choices of a set: each result is a set without any.
func (c *compiler) expand(set []element, depth int) (out [][]element, err error) {
	flat, never, err := c.flatten(set)
	if never || err != nil {
		return nil, err
	}
	if depth > MaxSchemaDepth {
		return nil, errorAt(flat[0].schema, "choices are nested more than %d deep", MaxSchemaDepth)
	}
	for i, e := range flat {
		for _, ch := range choices {
			list := e.schema.get(ch.name)
			if list == nil || e.taken&ch.bit != 0 {
				continue
			}
			c.exclusive(e.schema)
			for _, s := range c.list(list) {
				next := slices.Clone(flat)
				next[i].taken |= ch.bit
				// Behind the schema itself, whose properties come first.
				more, err := c.expand(slices.Insert(next, i+1, e.to(s, true)), depth+1)
				if err != nil {
					return nil, err
				}
				if out = append(out, more...); len(out) > MaxAlternatives {
					return nil, errorAt(e.schema, "anyOf, oneOf and allOf can be combined in more than %s", plural.Of(MaxAlternatives, "way"))
				}
			}
			return out, c.err
		}
	}
	return [][]element{flat}, nil
}

// exclusive warns where a value could fit two alternatives of oneOf.
func (c *compiler) exclusive(v *value) {
	list := v.get("oneOf")
	if list == nil || list.kind != 'a' || len(list.items) > MaxAlternatives {
		return
	}
	types := make([]typeSet, len(list.items))
	for i, s := range list.items {
		types[i] = allTypes
		if s.kind == 'o' {
			if t := s.get("type"); t != nil {
				if types[i], _ = typesOf(t); types[i]&(integerType|realType) != 0 {
					types[i] |= integerType | realType
				}
			}
		}
	}
	for i := range types {
		for j := range i {
			if types[i]&types[j] != 0 && !differ(list.items[i], list.items[j]) {
				c.warn(v, "oneOf is taken for anyOf: a value may fit several of the alternatives")
				return
			}
		}
	}
}

// differ says whether two schemas of objects require a property of different constants,
// or are lists of different constants themselves.
func differ(a, b *value) bool {
	if disjoint(a, b) {
		return true
	}
	pa, pb := a.get("properties"), b.get("properties")
	if pa == nil || pb == nil {
		return false
	}
	for _, m := range pa.members {
		if o := pb.get(m.key); o != nil && disjoint(m.value, o) && requires(a, m.key) && requires(b, m.key) {
			return true
		}
	}
	return false
}

func requires(v *value, name string) bool {
	list := v.get("required")
	return list != nil && slices.ContainsFunc(list.items, func(i *value) bool { return i.kind == 's' && i.text == name })
}

// disjoint says whether both are lists of constants without a common one.
func disjoint(a, b *value) bool {
	x, y := constants(a), constants(b)
	if x == nil || y == nil || len(x)*len(y) > 1<<16 {
		return false
	}
	for _, v := range x {
		for _, w := range y {
			if v.json() == w.json() {
				return false
			}
		}
	}
	return true
}

// constants are the values that enum or const lists; nil: there is neither.
func constants(v *value) []*value {
	if k := v.get("const"); k != nil {
		return []*value{k}
	}
	if e := v.get("enum"); e != nil && e.kind == 'a' {
		return e.items
	}
	return nil
}

// typeSet is a set of the types of JSON.
type typeSet uint8

const (
	nullType typeSet = 1 << iota
	booleanType
	integerType
	realType // numbers that are no integers
	stringType
	arrayType
	objectType
	allTypes = 1<<7 - 1
)

var typeNames = map[string]typeSet{"null": nullType, "boolean": booleanType, "integer": integerType, "number": integerType | realType,
	"string": stringType, "array": arrayType, "object": objectType}

// typesOf reads the keyword type.
func typesOf(v *value) (typeSet, error) {
	list := v.items
	if v.kind == 's' {
		list = []*value{v}
	}
	var t typeSet
	for _, i := range list {
		bits, ok := typeNames[i.text]
		if !ok || i.kind != 's' {
			return 0, errorAt(i, "found %.60q, expected null, boolean, integer, number, string, array or object", i.json())
		}
		t |= bits
	}
	if t == 0 {
		return 0, errorAt(v, "expected the name of a type or a list of such")
	}
	return t, nil
}

// annotations are keywords that restrict nothing.
var annotations = map[string]bool{"title": true, "description": true, "default": true, "examples": true, "example": true, "$schema": true, "$id": true, "id": true, "$comment": true,
	"deprecated": true, "readOnly": true, "writeOnly": true, "$defs": true, "definitions": true, "$anchor": true, "$vocabulary": true, "contentMediaType": true, "contentEncoding": true,
	"contentSchema": true, "strict": true, "discriminator": true, "externalDocs": true, "xml": true, "propertyOrdering": true}

// count reads a keyword that is a number from 0.
func (c *compiler) count(v *value) int {
	if v.kind == '0' {
		if r, ok := rational(v); ok && r.IsInt() && r.Sign() >= 0 {
			if n := r.Num(); n.IsInt64() && n.Int64() < 1<<31-1 {
				return int(n.Int64())
			}
			return 1<<31 - 2
		}
	}
	c.fail(errorAt(v, "found %.40s, expected an integer from 0", v.json()))
	return 0
}

// plain gives the nodes at which a value of a set without choices may begin.
func (c *compiler) plain(set []element) []int32 {
	s := c.merge(set)
	if s == nil {
		return nil
	}
	if s.constants != nil {
		return c.constants(s)
	}
	var alts []int32
	if s.types&objectType != 0 {
		alts = append(alts, c.objectOf(s))
	}
	if s.types&arrayType != 0 {
		alts = append(alts, c.arrayOf(s))
	}
	if s.types&stringType != 0 {
		alts = append(alts, c.stringOf(s)...)
	}
	if s.types&(integerType|realType) != 0 {
		alts = append(alts, c.numberOf(s)...)
	}
	var words []string
	if s.types&booleanType != 0 {
		words = append(words, "true", "false")
	}
	if s.types&nullType != 0 {
		words = append(words, "null")
	}
	if words != nil {
		alts = append(alts, c.literals(words, ret))
	}
	return alts
}

// unsupported names a keyword that is not enforced.
func (c *compiler) unsupported(v *value, keyword string) {
	c.warn(v, "%s is not enforced", keyword)
}

// shorten is a text for a message.
func shorten(s string) string { return fmt.Sprintf("%.60q", s) }
