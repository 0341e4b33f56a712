package jinja

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

var errFormat = errors.New("the format is not supported")

// percent is Python's "…" % values, for %s %r %d %i %f %x and %%, with a width and a
// precision.
func (r *renderer) percent(t Text, values Value) (Value, error) {
	list := []Value{values}
	if l, ok := values.(*List); ok && l.Tuple {
		list = l.Items
	}
	names, _ := values.(*Dict)
	var b builder
	used := 0
	s := t.s
	for at := 0; at < len(s); {
		k := strings.IndexByte(s[at:], '%')
		if k < 0 {
			b.write(t.slice(at, len(s)))
			break
		}
		b.write(t.slice(at, at+k))
		at += k + 1
		var v Value
		named := false
		if at < len(s) && s[at] == '(' && names != nil {
			end := strings.IndexByte(s[at:], ')')
			if end < 0 {
				return nil, errFormat
			}
			found, ok := names.Get(s[at+1 : at+end])
			if !ok {
				return nil, fmt.Errorf("the format names %q, which is not given", clip(s[at+1:at+end]))
			}
			v, named, at = found, true, at+end+1
		}
		from := at
		for at < len(s) && strings.IndexByte("-+ #0123456789.", s[at]) >= 0 {
			at++
		}
		if at == len(s) {
			return nil, errFormat
		}
		flags, verb := s[from:at], s[at]
		at++
		if verb == '%' {
			b.add("%", false)
			continue
		}
		if !named {
			if used >= len(list) {
				return nil, fmt.Errorf("the format wants more than %s", plural.Of(len(list), "value"))
			}
			v = list[used]
			used++
		}
		out, err := r.formatted(v, flags, verb)
		if err != nil {
			return nil, err
		}
		b.write(out)
		if err := r.room(&b, len(out.s)); err != nil {
			return nil, err
		}
	}
	if used < len(list) && names == nil {
		return nil, fmt.Errorf("the format uses %d of %s", used, plural.Of(len(list), "value"))
	}
	return b.text(), r.made(b.len())
}

// formatted writes one value by flags such as "-08.2" and a verb.
func (r *renderer) formatted(v Value, flags string, verb byte) (Text, error) {
	digits := strings.TrimLeft(flags, "-+ #0")
	width, precision, _ := strings.Cut(digits, ".")
	for _, n := range []string{width, precision} {
		if v, err := strconv.Atoi(n); n != "" && (err != nil || v > 1000) {
			return Text{}, errFormat
		}
	}
	switch verb {
	case 's', 'r':
		var t Text
		var err error
		if t, err = r.str(v); verb == 'r' && err == nil {
			var b builder
			err = r.repr(&b, v)
			t = b.text()
		}
		if err != nil {
			return t, err
		}
		if n, e := strconv.Atoi(precision); e == nil {
			if runes := t.runes(); n < len(runes) {
				var b builder
				for _, c := range runes[:n] {
					b.write(c)
				}
				t = b.text()
			}
		}
		n, _ := strconv.Atoi(width)
		blanks := Template(strings.Repeat(" ", max(0, n-len([]rune(t.s)))))
		if strings.Contains(flags, "-") {
			return concat(t, blanks), nil
		}
		return concat(blanks, t), nil
	case 'd', 'i', 'x', 'X', 'o':
		n, ok := integer(v)
		if f, isFloat := v.(float64); isFloat && math.Abs(f) < 1<<62 && verb != 'x' {
			n, ok = int64(f), true
		}
		if !ok {
			return Text{}, fmt.Errorf("%%%c needs a number, found a %s", verb, describe(v))
		}
		if verb == 'i' {
			verb = 'd'
		}
		return Template(fmt.Sprintf("%"+flags+string(verb), n)), nil
	case 'f', 'F', 'e', 'g':
		f, ok := number(v)
		if !ok {
			return Text{}, fmt.Errorf("%%%c needs a number, found a %s", verb, describe(v))
		}
		return Template(fmt.Sprintf("%"+flags+string(verb), f)), nil
	}
	return Text{}, errFormat
}

// formatMethod is str.format, for the fields {} {0} {name} with a
// simple specification such as :>8, :02d and :.2f.
func formatMethod(r *renderer, t Text, a *args) (Value, error) {
	var b builder
	fields := fieldArgs{args: a}
	s := t.s
	for at := 0; at < len(s); {
		k := strings.IndexAny(s[at:], "{}")
		if k < 0 {
			b.write(t.slice(at, len(s)))
			break
		}
		b.write(t.slice(at, at+k))
		at += k
		if at+1 < len(s) && s[at+1] == s[at] {
			b.write(t.slice(at, at+1))
			at += 2
			continue
		}
		end := strings.IndexByte(s[at:], '}')
		if s[at] == '}' || end < 0 {
			return nil, errFormat
		}
		field := s[at+1 : at+end]
		at += end + 1
		field, spec, _ := strings.Cut(field, ":")
		field, conv, _ := strings.Cut(field, "!")
		v, err := fields.value(field)
		if err != nil {
			return nil, err
		}
		flags, verb, err := parseSpec(v, conv, spec)
		if err != nil {
			return nil, err
		}
		out, err := r.formatted(v, flags, verb)
		if err != nil {
			return nil, err
		}
		b.write(out)
		if err := r.room(&b, len(out.s)); err != nil {
			return nil, err
		}
	}
	return b.text(), nil
}

// fieldArgs finds the arguments that the fields of a format stand for.
type fieldArgs struct {
	*args
	next int // the argument of the next {}; −1: fields have numbers
}

// value returns the argument for a field's name: "" is the next one, a number is its index.
func (f *fieldArgs) value(field string) (Value, error) {
	n, err := strconv.Atoi(field)
	if field != "" && err != nil {
		v, ok := f.named(field)
		if !ok {
			return nil, fmt.Errorf("the format names %q, which is not given", clip(field))
		}
		return v, nil
	}
	if field == "" && f.next < 0 || field != "" && f.next > 0 {
		return nil, fmt.Errorf("the format has fields with numbers and fields without")
	}
	if field == "" {
		n = f.next
		f.next++
	} else {
		f.next = -1
	}
	if n < 0 || n >= len(f.list) {
		return nil, fmt.Errorf("the format wants argument %d of %d", n+1, len(f.list))
	}
	return f.list[n], nil
}

// parseSpec translates what follows a field's name, !conv and :spec, into the flags and the verb with which
// % would write the value.
func parseSpec(v Value, conv, spec string) (flags string, verb byte, err error) {
	switch conv {
	case "", "s":
		verb = 's'
	case "r":
		verb = 'r'
	default:
		return "", 0, errFormat
	}
	if spec == "" {
		return "", verb, nil
	}
	if c := spec[len(spec)-1]; strings.IndexByte("dfxXoegs", c) >= 0 {
		spec, verb = spec[:len(spec)-1], c
	} else if _, ok := integer(v); ok && verb == 's' {
		verb = 'd'
	}
	switch {
	case strings.HasPrefix(spec, "<"):
		spec = "-" + spec[1:]
	case strings.HasPrefix(spec, ">"):
		spec = spec[1:]
	case verb == 's' && spec != "":
		spec = "-" + spec
	}
	if strings.Trim(spec, "-+ #0123456789.") != "" {
		return "", 0, errFormat
	}
	return spec, verb, nil
}
