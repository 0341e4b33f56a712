package constrain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// value is a JSON value whose objects keep their order.
type value struct {
	kind    byte   // n(ull), t(rue), f(alse), 0 (a number), s(tring), a(rray), o(bject)
	text    string // of a string, or a number as it is written
	items   []*value
	members []member
	root    *value // of the document: what "#" refers to
	up      *value // what it is part of; nil: the root
	key     string // its name or index in up
	id      int32  // of a schema in use; 0: none yet
}

type member struct {
	key   string
	value *value
}

// get is the member of an object; nil: none.
func (v *value) get(key string) *value {
	for _, m := range v.members {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// path is the place of the value in its document, as a JSON pointer.
func (v *value) path() string {
	var parts []string
	for ; v.up != nil; v = v.up {
		parts = append(parts, strings.NewReplacer("~", "~0", "/", "~1").Replace(v.key))
	}
	var b strings.Builder
	b.WriteByte('#')
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteString("/" + parts[i])
	}
	if b.Len() > 300 {
		return b.String()[:300] + "…"
	}
	return b.String()
}

// decode reads a JSON document, without recursion.
func decode(data []byte) (*value, error) {
	if len(data) > MaxSchemaBytes {
		return nil, &Error{"", fmt.Sprintf("the schema has %s, the limit is %d", plural.Of(len(data), "byte"), MaxSchemaBytes)}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var b valueBuilder
	for {
		t, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && b.root == nil:
			return nil, &Error{"", "the schema is empty"}
		case errors.Is(err, io.EOF):
			return nil, &Error{"", "the schema ends too early"}
		case err != nil:
			return nil, &Error{"", "the schema is no JSON: " + err.Error()}
		}
		whole, err := b.token(t)
		if err != nil {
			return nil, err
		}
		if whole {
			break
		}
	}
	if d.More() {
		return nil, &Error{"", "there is more after the schema"}
	}
	return b.root, nil
}

// valueBuilder makes a tree of values from the tokens of a JSON document.
type valueBuilder struct {
	root *value
	open []openValue // arrays and objects that have begun and not ended
}

type openValue struct {
	*value
	names map[string]bool // of an object's members so far
	next  *string         // name of the member whose value comes next; nil: a name comes next
}

// token takes the next token, and reports whether the document is complete.
func (b *valueBuilder) token(t json.Token) (whole bool, err error) {
	var top *openValue
	if len(b.open) > 0 {
		top = &b.open[len(b.open)-1]
	}
	if t == json.Delim('}') || t == json.Delim(']') {
		b.open = b.open[:len(b.open)-1]
		return len(b.open) == 0, nil
	}
	if name, ok := t.(string); ok && top != nil && top.kind == 'o' && top.next == nil {
		if top.names[name] {
			return false, errorAt(top.value, "the name %.60q stands there twice", name)
		}
		top.names[name] = true
		top.next = &name
		return false, nil
	}
	v := newValue(t)
	if v.root = b.root; b.root == nil {
		b.root, v.root = v, v
	}
	if top != nil {
		top.add(v)
	}
	if v.kind == 'a' || v.kind == 'o' {
		if b.open = append(b.open, openValue{value: v, names: map[string]bool{}}); len(b.open) > MaxSchemaDepth {
			return false, &Error{"", fmt.Sprintf("the schema is nested more than %d deep", MaxSchemaDepth)}
		}
	}
	return len(b.open) == 0, nil
}

// add appends an item to an array, or the value of the named member to an object.
func (o *openValue) add(v *value) {
	v.up = o.value
	if o.kind == 'o' {
		v.key = *o.next
		o.members = append(o.members, member{v.key, v})
		o.next = nil
		return
	}
	v.key = strconv.Itoa(len(o.items))
	o.items = append(o.items, v)
}

func newValue(t json.Token) *value {
	switch t := t.(type) {
	case bool:
		if t {
			return &value{kind: 't'}
		}
		return &value{kind: 'f'}
	case string:
		return &value{kind: 's', text: t}
	case json.Number:
		return &value{kind: '0', text: t.String()}
	case json.Delim:
		if t == '{' {
			return &value{kind: 'o'}
		}
		return &value{kind: 'a'}
	}
	return &value{kind: 'n'}
}

// resolve finds what a reference refers to.
func (v *value) resolve(ref *value) (*value, error) {
	if ref.kind != 's' {
		return nil, errorAt(ref, "expected a text such as %q", "#/$defs/name")
	}
	pointer, ok := strings.CutPrefix(ref.text, "#")
	if !ok || pointer != "" && pointer[0] != '/' {
		return nil, errorAt(ref, "found the reference %.80q, expected one into the schema itself, such as %q", ref.text, "#/$defs/name")
	}
	pointer, err := url.PathUnescape(pointer)
	if err != nil {
		return nil, errorAt(ref, "the reference %.80q: %v", ref.text, err)
	}
	at := v.root
	for _, part := range strings.Split(pointer, "/")[1:] {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		next := at.get(part)
		if n, err := strconv.Atoi(part); err == nil && at.kind == 'a' && n >= 0 && n < len(at.items) {
			next = at.items[n]
		}
		if next == nil {
			return nil, errorAt(ref, "the reference %.80q leads nowhere: there is no %.60q", ref.text, part)
		}
		at = next
	}
	return at, nil
}

// json is the value's text without blanks.
func (v *value) json() string {
	switch v.kind {
	case 'n':
		return "null"
	case 't':
		return "true"
	case 'f':
		return "false"
	case '0':
		return v.text
	case 's':
		return quote(v.text)
	}
	var b strings.Builder
	open, shut := byte('['), byte(']')
	if v.kind == 'o' {
		open, shut = '{', '}'
	}
	b.WriteByte(open)
	for i, item := range v.items {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(item.json())
	}
	for i, m := range v.members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quote(m.key) + ":" + m.value.json())
	}
	b.WriteByte(shut)
	return b.String()
}

// quote is a JSON string with the fewest escapes.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if e := escape(r); e != "" {
			b.WriteString(e)
		} else {
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// escape is how a character must be written in a JSON string; "": as it is.
func escape(r rune) string {
	switch r {
	case '"':
		return `\"`
	case '\\':
		return `\\`
	case '\b':
		return `\b`
	case '\f':
		return `\f`
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	if r < 0x20 {
		return fmt.Sprintf(`\u%04x`, r)
	}
	return ""
}
