package recipe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// read makes a recipe from YAML by the table of keys: defaults first, then the values in
// the document. Each value is checked by itself; conflicts between values are found later,
// by check.
func read(data []byte) (*Recipe, error) {
	if err := checkText(data); err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, errors.New("is empty, expected at least name, bits and solve")
	} else if err != nil {
		return nil, syntaxError(err)
	}
	if err := dec.Decode(&second); err == nil {
		return nil, fmt.Errorf("line %d: a second YAML document begins (---), expected one; make a file of each", second.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxError(err)
	}
	r := &Recipe{}
	for i := range keys {
		k := &keys[i]
		if k.Default == "" || k.Default == leftOut || sections[k.section()].Optional {
			continue // in an optional section, an absent key keeps the zero value, which means its default
		}
		if err := k.set(r.field(k.Path), &yaml.Node{Kind: yaml.ScalarNode, Value: k.Default}); err != nil {
			return nil, fmt.Errorf("default of %w", err)
		}
	}
	return r, r.readSection("", doc.Content[0])
}

// at returns an error with the line and column of a node.
func at(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("[%d:%d] %w", n.Line, n.Column, fmt.Errorf(format, args...))
}

// found quotes a value for an error.
func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.ScalarNode:
		return strconv.Quote(fmt.Sprintf("%.60s", n.Value))
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "keys with values"
	}
	return "another kind of value"
}

// resolve follows an alias (*name) to the node that it refers to, and refuses tags that
// YAML itself does not define.
func resolve(n *yaml.Node) (*yaml.Node, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Tag != "" && !strings.HasPrefix(n.ShortTag(), "!!") {
		return nil, at(n, "tag %s is not known here; leave it out", strconv.Quote(n.Tag))
	}
	return n, nil
}

// isNull reports whether a value is absent: nothing after the colon, or null.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// readSection fills in the keys of a section; "" is the whole document.
func (r *Recipe) readSection(section string, n *yaml.Node) error {
	n, err := resolve(n)
	if err != nil {
		return err
	}
	if n.Kind != yaml.MappingNode {
		what := "a mapping is expected, key: value"
		if section != "" {
			what = section + ": " + what
		}
		return at(n, "%s; found %s", what, found(n))
	}
	seen := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if line, twice := seen[name.Value]; twice {
			return at(name, "key %q already defined in line %d", name.Value, line)
		}
		seen[name.Value] = name.Line
		path := name.Value
		if section != "" {
			path = section + "." + path
		}
		value, err := resolve(value)
		if err != nil {
			return err
		}
		k := byPath[path]
		s := sections[path]
		switch {
		case name.Kind != yaml.ScalarNode || strings.Contains(name.Value, ".") || k == nil && (s == nil || path == ""):
			return at(name, "unknown key %q; expected one of %s", name.Value, strings.Join(keysOf(section), ", "))
		case isNull(value):
		case k != nil:
			err = k.set(r.field(path), value)
		default:
			r.field(path) // creates the section, even if it is empty
			err = r.readSection(path, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keysOf lists the key names that a section may have.
func keysOf(section string) []string {
	names := map[string]bool{}
	for _, k := range keys {
		if k.section() == section {
			names[k.name()] = true
		}
	}
	for name := range sections {
		if name == "" {
			continue
		}
		parent, last, nested := strings.Cut(name, ".")
		if !nested {
			parent, last = "", name
		}
		if parent == section {
			names[last] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// field returns the field of the recipe at a path, found by the yaml tags. Sections on the
// way that are nil are created.
func (r *Recipe) field(path string) reflect.Value {
	v := reflect.ValueOf(r).Elem()
	for name := range strings.SplitSeq(path, ".") {
		i := slices.IndexFunc(reflect.VisibleFields(v.Type()), func(f reflect.StructField) bool { return f.Tag.Get("yaml") == name })
		if i < 0 {
			panic("recipe: no field for the key " + path)
		}
		v = v.Field(i)
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
	}
	return v
}

// set converts a value to the key's type and stores it in its field.
func (k *Key) set(field reflect.Value, n *yaml.Node) error {
	wrong := func(n *yaml.Node, kind string) error {
		return at(n, "%s: found %s, expected %s", k.Path, found(n), kind)
	}
	switch k.Kind {
	case Text, Word:
		if n.Kind != yaml.ScalarNode {
			return wrong(n, "a word")
		}
		if k.Kind == Word && !slices.Contains(k.Values, n.Value) {
			return wrong(n, "one of "+strings.Join(k.Values, ", "))
		}
		field.SetString(n.Value)
	case Flag:
		b, err := strconv.ParseBool(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil || n.Value != "true" && n.Value != "false" {
			return wrong(n, "true or false")
		}
		field.SetBool(b)
	case Number:
		f, ok := number(n)
		if !ok {
			return wrong(n, "a number")
		}
		if !(f >= k.Min && f <= k.Max) {
			return at(n, "%s: found %v, expected %v to %v", k.Path, f, k.Min, k.Max)
		}
		field.SetFloat(f)
	case Whole:
		i, err := k.whole(n)
		if err != nil {
			return err
		}
		if field.Kind() == reflect.Uint64 {
			field.SetUint(i)
		} else {
			field.SetInt(int64(i))
		}
	case Strengths:
		grid, err := k.strengths(n)
		if err != nil {
			return err
		}
		field.Set(reflect.ValueOf(grid))
	case WordList, WholeList, LayerList:
		return k.setList(field, n)
	}
	return nil
}

// strengths reads one strength of smoothing or a list of them, each a number or "off".
func (k *Key) strengths(n *yaml.Node) (AlphaGrid, error) {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	var grid AlphaGrid
	for _, item := range items {
		item, err := resolve(item)
		if err != nil {
			return nil, err
		}
		f, ok := number(item)
		switch {
		case item.Kind == yaml.ScalarNode && item.Value == "off":
			grid = append(grid, Off)
		case ok && f >= k.Min && f <= k.Max: // Off, which is −1, cannot be written as a number
			grid = append(grid, Alpha(f))
		case ok:
			return nil, at(item, "%s: %v is neither off nor a number from %v to %v", k.Path, f, k.Min, k.Max)
		default:
			return nil, at(item, "%s: found %s, expected off or a number from %v to %v", k.Path, found(item), k.Min, k.Max)
		}
	}
	return grid, nil
}

// setList does the same as set for a list.
func (k *Key) setList(field reflect.Value, n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return at(n, "%s: found %s, expected a list", k.Path, found(n))
	}
	for _, item := range n.Content {
		item, err := resolve(item)
		if err != nil {
			return err
		}
		var value any
		switch k.Kind {
		case WordList:
			if item.Kind != yaml.ScalarNode || !slices.Contains(k.Values, item.Value) {
				return at(item, "%s: found %s, expected some of %s", k.Path, found(item), strings.Join(k.Values, ", "))
			}
			value = item.Value
		case WholeList:
			i, err := k.whole(item)
			if err != nil {
				return err
			}
			value = int(i)
		case LayerList:
			if value, err = k.layer(item); err != nil {
				return err
			}
		}
		field.Set(reflect.Append(field, reflect.ValueOf(value)))
	}
	return nil
}

// layer reads one element of weights.layers.
func (k *Key) layer(n *yaml.Node) (l LayerBits, err error) {
	if n.Kind != yaml.MappingNode {
		return l, at(n, "%s: found %s, expected {match: PATTERN, bits: N}", k.Path, found(n))
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if seen[name.Value] {
			return l, at(name, "key %q already defined", name.Value)
		}
		seen[name.Value] = true
		if value, err = resolve(value); err != nil {
			return l, err
		}
		switch name.Value {
		case "match":
			if value.Kind != yaml.ScalarNode {
				return l, at(value, "%s: found %s, expected a pattern", k.Path, found(value))
			}
			l.Match = value.Value
		case "bits":
			bits, err := k.whole(value)
			if err != nil {
				return l, err
			}
			l.Bits = int(bits)
		default:
			return l, at(name, "%s: unknown key %q; expected match and bits", k.Path, name.Value)
		}
	}
	if !seen["match"] || !seen["bits"] {
		return l, at(n, "%s: match or bits is missing, expected {match: PATTERN, bits: N}", k.Path)
	}
	return l, nil
}

// whole reads a whole number within the key's limits.
func (k *Key) whole(n *yaml.Node) (uint64, error) {
	expected := "a whole number"
	switch {
	case k.Values != nil:
		expected += ": one of " + strings.Join(k.Values, ", ")
	case k.Max < maxSeed:
		expected += fmt.Sprintf(", %.0f to %.0f", k.Min, k.Max)
	default:
		expected += " that is not negative"
	}
	wrong := at(n, "%s: found %s, expected %s", k.Path, found(n), expected)
	if n.Kind != yaml.ScalarNode {
		return 0, wrong
	}
	i, err := strconv.ParseUint(strings.TrimPrefix(n.Value, "+"), 10, 64)
	if err != nil {
		return 0, wrong
	}
	if k.Values != nil && !slices.Contains(k.Values, strconv.FormatUint(i, 10)) || k.Values == nil && (float64(i) < k.Min || float64(i) > k.Max) {
		return 0, wrong
	}
	return i, nil
}

// number reads a number; ok is false if the value is not one.
func number(n *yaml.Node) (f float64, ok bool) {
	if n.Kind != yaml.ScalarNode || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		return 0, false
	}
	if tag := n.ShortTag(); tag != "!!int" && tag != "!!float" {
		return 0, false
	}
	return f, n.Decode(&f) == nil
}

// checkText refuses a file that is not text before any of it is quoted in an error and so
// sent to a terminal.
func checkText(data []byte) error {
	for at := 0; at < len(data); {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return fmt.Errorf("is not a text file: byte %d is 0x%02x; expected YAML in UTF-8", at, data[at])
		}
		at += size
	}
	return nil
}
