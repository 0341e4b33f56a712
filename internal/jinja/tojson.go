package jinja

import (
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
)

// jsonStyle is how tojson writes, as the parameters of Python's json.dumps.
type jsonStyle struct {
	ascii    bool
	indent   string // of one level; "" with lines false: on one line
	lines    bool
	item     string // between items, without the line break
	key      string // between key and value
	sortKeys bool
}

// filterToJSON is tojson as transformers sets it: json.dumps(x, ensure_ascii=False,
// indent=None, separators=None, sort_keys=False), with nothing escaped for HTML.
func filterToJSON(r *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("ensure_ascii", "indent", "separators", "sort_keys")
	if err != nil {
		return nil, err
	}
	st := jsonStyle{ascii: truthy(or(p[0], false)), sortKeys: truthy(or(p[3], false)), item: ", ", key: ": "}
	switch in := or(p[1], nil).(type) {
	case nil:
	case Text:
		st.lines, st.indent, st.item = true, in.s, ","
	default:
		n, err := wantInt(in, "indent")
		if err != nil {
			return nil, err
		}
		if n > 100 {
			return nil, fmt.Errorf("indent is %d, the limit is 100", n)
		}
		st.lines, st.indent, st.item = true, strings.Repeat(" ", max(n, 0)), ","
	}
	if s := or(p[2], nil); s != nil {
		l, ok := s.(*List)
		if !ok || len(l.Items) != 2 {
			return nil, fmt.Errorf("separators is a %s, expected two strings", typeName(s))
		}
		item, err := wantText(l.Items[0], "separators")
		if err != nil {
			return nil, err
		}
		key, err := wantText(l.Items[1], "separators")
		if err != nil {
			return nil, err
		}
		st.item, st.key = item.s, key.s
	}
	var b builder
	err = r.json(&b, v, st, 0)
	return b.text(), err
}

func (r *renderer) json(b *builder, v Value, st jsonStyle, depth int) error {
	if err := r.enter(); err != nil {
		return err
	}
	defer r.leave()
	switch v := v.(type) {
	case nil:
		return r.put(b, "null")
	case bool:
		return r.put(b, strconv.FormatBool(v))
	case int64:
		return r.put(b, strconv.FormatInt(v, 10))
	case float64:
		switch {
		case math.IsNaN(v):
			return r.put(b, "NaN")
		case math.IsInf(v, 1):
			return r.put(b, "Infinity")
		case math.IsInf(v, -1):
			return r.put(b, "-Infinity")
		}
		return r.put(b, floatText(v))
	case Text:
		return r.jsonText(b, v, st.ascii)
	case *List:
		return r.jsonItems(b, "[", "]", len(v.Items), st, depth, func(i int) error { return r.json(b, v.Items[i], st, depth+1) })
	case *Dict:
		return r.jsonDict(b, v, st, depth)
	}
	return fmt.Errorf("a %s can't be written as JSON", describe(v))
}

// jsonDict writes a dict at a depth of nesting.
func (r *renderer) jsonDict(b *builder, d *Dict, st jsonStyle, depth int) error {
	order := make([]int, d.Len())
	for i := range order {
		order[i] = i
	}
	if st.sortKeys {
		if err := r.step(4 * len(order)); err != nil {
			return err
		}
		sort.SliceStable(order, func(i, k int) bool {
			a, _ := d.keys[order[i]].(Text)
			b, _ := d.keys[order[k]].(Text)
			return a.s < b.s
		})
	}
	return r.jsonItems(b, "{", "}", len(order), st, depth, func(i int) error {
		key := d.keys[order[i]]
		t, ok := key.(Text)
		if !ok { // json.dumps writes None, bools and numbers as strings
			var k builder
			if err := r.json(&k, key, st, depth+1); err != nil {
				return err
			}
			t = k.text()
		}
		if err := r.jsonText(b, t, st.ascii); err != nil {
			return err
		}
		if err := r.put(b, st.key); err != nil {
			return err
		}
		return r.json(b, d.values[order[i]], st, depth+1)
	})
}

func (r *renderer) jsonItems(b *builder, open, end string, n int, st jsonStyle, depth int, item func(i int) error) error {
	if err := r.put(b, open); err != nil {
		return err
	}
	newline := func(depth int) error {
		if !st.lines || n == 0 {
			return nil
		}
		if err := r.made(len(st.indent) * depth); err != nil {
			return err
		}
		return r.put(b, "\n"+strings.Repeat(st.indent, depth))
	}
	for i := range n {
		if i > 0 {
			if err := r.put(b, st.item); err != nil {
				return err
			}
		}
		if err := newline(depth + 1); err != nil {
			return err
		}
		if err := item(i); err != nil {
			return err
		}
	}
	if err := newline(depth); err != nil {
		return err
	}
	return r.put(b, end)
}

// jsonText writes a string as json.dumps does.
func (r *renderer) jsonText(b *builder, t Text, ascii bool) error {
	if err := r.put(b, `"`); err != nil {
		return err
	}
	from := b.len()
	t.stretches(func(part string, user bool) {
		var out strings.Builder
		for _, c := range part {
			switch {
			case c == '"' || c == '\\':
				out.WriteByte('\\')
				out.WriteRune(c)
			case c == '\n':
				out.WriteString(`\n`)
			case c == '\r':
				out.WriteString(`\r`)
			case c == '\t':
				out.WriteString(`\t`)
			case c == '\b':
				out.WriteString(`\b`)
			case c == '\f':
				out.WriteString(`\f`)
			case c < 0x20 || ascii && c >= 0x7f && c < 0x10000:
				fmt.Fprintf(&out, `\u%04x`, c)
			case ascii && c >= 0x10000:
				c -= 0x10000
				fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
			default:
				out.WriteRune(c)
			}
		}
		b.add(out.String(), user)
	})
	if err := r.room(b, b.len()-from); err != nil {
		return err
	}
	return r.put(b, `"`)
}

// FromJSON reads JSON as a value, mappings in the order they are written in. wrap
// makes the texts, of keys and values: [User] or [Template].
func FromJSON(data []byte, wrap func(string) Text) (Value, error) {
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	v, err := fromJSON(dec, wrap, 0)
	if err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, fmt.Errorf("there is more after the JSON value")
	}
	return v, nil
}

func fromJSON(dec *json.Decoder, wrap func(string) Text, depth int) (Value, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("JSON nested more than %d deep", maxDepth)
	}
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case nil:
		return nil, nil
	case bool:
		return t, nil
	case string:
		return wrap(t), nil
	case json.Number:
		if i, err := t.Int64(); err == nil {
			return i, nil
		}
		return t.Float64()
	case json.Delim:
		if t == '[' {
			l := &List{}
			for dec.More() {
				v, err := fromJSON(dec, wrap, depth+1)
				if err != nil {
					return nil, err
				}
				l.Items = append(l.Items, v)
			}
			_, err := dec.Token()
			return l, err
		}
		d := &Dict{}
		for dec.More() {
			k, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := fromJSON(dec, wrap, depth+1)
			if err != nil {
				return nil, err
			}
			d.Set(wrap(k.(string)), v)
		}
		_, err := dec.Token()
		return d, err
	}
	return nil, fmt.Errorf("unexpected %v", t)
}
