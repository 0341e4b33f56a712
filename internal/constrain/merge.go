package constrain

import (
	"math/big"
	"strings"
)

// spec is what the schemas of a set without choices ask for together.
type spec struct {
	set       []element
	at        *value // where it is, for messages
	types     typeSet
	hints     typeSet  // types that the keywords speak of
	constants []*value // nil: no enum or const

	minLength, maxLength int // of strings, in characters; -1: no limit; likewise:
	minItems, maxItems   int
	minProps, maxProps   int
	patterns, formats    []*value
	low, high            *bound
	multiples            []*value
}

// keywordTypes are the types that keywords speak of.
var keywordTypes = map[string]typeSet{"properties": objectType, "required": objectType, "additionalProperties": objectType, "minProperties": objectType, "maxProperties": objectType,
	"patternProperties": objectType, "propertyNames": objectType, "dependentRequired": objectType, "dependentSchemas": objectType, "dependencies": objectType, "unevaluatedProperties": objectType,
	"items": arrayType, "prefixItems": arrayType, "additionalItems": arrayType, "minItems": arrayType, "maxItems": arrayType, "uniqueItems": arrayType, "contains": arrayType,
	"minContains": arrayType, "maxContains": arrayType, "unevaluatedItems": arrayType,
	"minLength": stringType, "maxLength": stringType, "pattern": stringType, "format": stringType,
	"minimum": integerType | realType, "maximum": integerType | realType, "exclusiveMinimum": integerType | realType, "exclusiveMaximum": integerType | realType,
	"multipleOf": integerType | realType}

// merge reads the keywords of a set; nil: no value fits.
func (c *compiler) merge(set []element) *spec {
	s := &spec{set: set, types: allTypes, maxLength: -1, maxItems: -1, maxProps: -1}
	for _, e := range set {
		if s.at == nil {
			s.at = e.schema
		}
		for _, m := range e.schema.members {
			s.hints |= keywordTypes[m.key]
			c.keyword(s, e.schema, m.key, m.value)
			if c.err != nil {
				return nil
			}
		}
		if types := e.schema.get("type"); types != nil {
			t, err := typesOf(types)
			if err != nil {
				c.fail(err)
				return nil
			}
			if n := e.schema.get("nullable"); n != nil && n.kind == 't' {
				t |= nullType
			}
			s.types &= t
		}
	}
	if s.types == allTypes && s.hints != 0 {
		s.types = s.hints
	}
	if s.types == 0 || s.constants != nil && len(s.constants) == 0 {
		return nil
	}
	return s
}

// keyword adds one keyword of a schema.
func (c *compiler) keyword(s *spec, schema *value, key string, v *value) {
	longest := func(p *int) {
		if n := c.count(v); *p < 0 || n < *p {
			*p = n
		}
	}
	switch key {
	case "enum", "const":
		c.constant(s, schema, key, v)
	case "minLength":
		s.minLength = max(s.minLength, c.count(v))
	case "maxLength":
		longest(&s.maxLength)
	case "minItems":
		s.minItems = max(s.minItems, c.count(v))
	case "maxItems":
		longest(&s.maxItems)
	case "minProperties":
		s.minProps = max(s.minProps, c.count(v))
	case "maxProperties":
		longest(&s.maxProps)
	case "pattern", "format":
		if v.kind != 's' {
			c.fail(errorAt(v, "expected a text"))
		} else if key == "pattern" {
			s.patterns = append(s.patterns, v)
		} else {
			s.formats = append(s.formats, v)
		}
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
		c.bound(s, schema, key, v)
	case "multipleOf":
		s.multiples = append(s.multiples, v)
	case "uniqueItems", "unevaluatedProperties", "unevaluatedItems":
		if v.kind != 'f' && key == "uniqueItems" || v.kind != 't' && key != "uniqueItems" {
			c.unsupported(schema, key)
		}
	case "properties", "required", "additionalProperties", "patternProperties", "propertyNames", "items", "prefixItems", "additionalItems", "type", "nullable", "$ref", "allOf", "anyOf", "oneOf":
		// objectOf, arrayOf, merge and flatten read them.
	default:
		if !annotations[key] && !strings.HasPrefix(key, "x-") {
			c.unsupported(schema, shortKey(key))
		}
	}
}

// shortKey is a keyword that may be anything.
func shortKey(key string) string {
	if len(key) > 40 {
		return shorten(key[:40])
	}
	return key
}

func (c *compiler) constant(s *spec, schema *value, key string, v *value) {
	list := []*value{v}
	if key == "enum" {
		if v.kind != 'a' || len(v.items) == 0 {
			c.fail(errorAt(v, "expected a list of values"))
			return
		}
		list = v.items
		if n := schema.get("nullable"); n != nil && n.kind == 't' {
			list = append(list[:len(list):len(list)], &value{kind: 'n'})
		}
	}
	if s.constants == nil {
		s.constants = append([]*value{}, list...)
		return
	}
	there := map[string]bool{}
	for _, x := range list {
		there[x.json()] = true
	}
	kept := []*value{}
	for _, x := range s.constants {
		if there[x.json()] {
			kept = append(kept, x)
		}
	}
	s.constants = kept
}

// bound narrows the range of numbers.
func (c *compiler) bound(s *spec, schema *value, key string, v *value) {
	exclusive := strings.HasPrefix(key, "exclusive")
	if exclusive && (v.kind == 't' || v.kind == 'f') { // draft 4: it says how minimum is meant
		return
	}
	r, ok := rational(v)
	if !ok {
		c.fail(errorAt(v, "found %.40s, expected a number with an exponent up to 300", v.json()))
		return
	}
	upper := strings.HasSuffix(key, "aximum")
	old := "exclusiveMinimum"
	if upper {
		old = "exclusiveMaximum"
	}
	if o := schema.get(old); o != nil && o.kind == 't' {
		exclusive = true
	}
	b := &bound{r, exclusive}
	side := &s.low
	if upper {
		side = &s.high
	}
	if *side == nil {
		*side = b
		return
	}
	order := b.at.Cmp((*side).at)
	if upper {
		order = -order
	}
	if order > 0 || order == 0 && exclusive {
		*side = b
	}
}

// rational is the value of a number that is not absurdly long.
func rational(v *value) (*big.Rat, bool) {
	if v.kind != '0' || len(v.text) > 400 {
		return nil, false
	}
	if i := strings.IndexAny(v.text, "eE"); i >= 0 {
		digits := strings.TrimLeft(v.text[i+1:], "+-0")
		if len(digits) > 3 || len(digits) == 3 && digits > "300" {
			return nil, false
		}
	}
	return new(big.Rat).SetString(v.text)
}
