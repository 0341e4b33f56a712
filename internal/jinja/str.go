package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// str is Python's str(): the text with which a value is printed.
func (r *renderer) str(v Value) (Text, error) {
	switch v := v.(type) {
	case Text:
		return v, nil
	case undefined:
		return Text{}, nil
	}
	var b builder
	err := r.repr(&b, v)
	return b.text(), err
}

// put adds text that comes from the template to b.
func (r *renderer) put(b *builder, s string) error {
	b.add(s, false)
	return r.room(b, len(s))
}

// room counts n bytes that have just been added.
func (r *renderer) room(b *builder, n int) error {
	if b.len() > r.limits.Output {
		return r.made(math.MaxInt)
	}
	return r.made(n)
}

// repr is Python's repr().
func (r *renderer) repr(b *builder, v Value) error {
	if err := r.enter(); err != nil {
		return err
	}
	defer r.leave()
	switch v := v.(type) {
	case nil:
		return r.put(b, "None")
	case bool:
		if v {
			return r.put(b, "True")
		}
		return r.put(b, "False")
	case int64:
		return r.put(b, strconv.FormatInt(v, 10))
	case float64:
		return r.put(b, floatText(v))
	case undefined:
		return r.put(b, "Undefined")
	case Text:
		return r.reprText(b, v)
	case *List:
		open, end := "[", "]"
		if v.Tuple {
			open, end = "(", ")"
			if len(v.Items) == 1 {
				end = ",)"
			}
		}
		return r.reprItems(b, open, end, len(v.Items), func(i int) error { return r.repr(b, v.Items[i]) })
	case *Dict:
		return r.reprItems(b, "{", "}", len(v.keys), func(i int) error {
			if err := r.repr(b, v.keys[i]); err != nil {
				return err
			}
			if err := r.put(b, ": "); err != nil {
				return err
			}
			return r.repr(b, v.values[i])
		})
	case *function:
		return r.put(b, "<function "+v.name+">")
	}
	return r.put(b, "<"+typeName(v)+">")
}

// reprItems writes n items with commas between them, in brackets.
func (r *renderer) reprItems(b *builder, open, end string, n int, item func(i int) error) error {
	if err := r.put(b, open); err != nil {
		return err
	}
	for i := range n {
		if i > 0 {
			if err := r.put(b, ", "); err != nil {
				return err
			}
		}
		if err := item(i); err != nil {
			return err
		}
	}
	return r.put(b, end)
}

// reprText writes a text in Python's quotes.
func (r *renderer) reprText(b *builder, t Text) error {
	quote := "'"
	if strings.Contains(t.s, "'") && !strings.Contains(t.s, `"`) {
		quote = `"`
	}
	if err := r.put(b, quote); err != nil {
		return err
	}
	from := b.len()
	t.stretches(func(part string, user bool) {
		var out strings.Builder
		for _, c := range part {
			switch {
			case c == '\\' || string(c) == quote:
				out.WriteByte('\\')
				out.WriteRune(c)
			case c == '\n':
				out.WriteString(`\n`)
			case c == '\t':
				out.WriteString(`\t`)
			case c == '\r':
				out.WriteString(`\r`)
			case c == ' ' || unicode.IsPrint(c):
				out.WriteRune(c)
			case c < 0x100:
				fmt.Fprintf(&out, `\x%02x`, c)
			case c < 0x10000:
				fmt.Fprintf(&out, `\u%04x`, c)
			default:
				fmt.Fprintf(&out, `\U%08x`, c)
			}
		}
		b.add(out.String(), user)
	})
	if err := r.room(b, b.len()-from); err != nil {
		return err
	}
	return r.put(b, quote)
}

// floatText is Python's repr of a float: the shortest digits that give it back.
func floatText(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		s := strconv.FormatFloat(f, 'e', -1, 64)
		return s
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.ContainsRune(s, '.') {
		s += ".0"
	}
	return s
}
