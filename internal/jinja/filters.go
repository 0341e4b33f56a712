package jinja

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

type filterFunc func(r *renderer, v Value, a *args) (Value, error)

// filters are the functions that can follow "|". Those on lists are in filters_list.go.
var filters map[string]filterFunc

func init() {
	filters = map[string]filterFunc{
		"tojson":     filterToJSON,
		"string":     func(r *renderer, v Value, a *args) (Value, error) { return r.str(v) },
		"safe":       filterSafe,
		"default":    filterDefault,
		"d":          filterDefault,
		"length":     filterLength,
		"count":      filterLength,
		"trim":       filterTrim,
		"upper":      textMethod("upper"),
		"lower":      textMethod("lower"),
		"title":      textMethod("title"),
		"capitalize": textMethod("capitalize"),
		"replace":    filterReplace,
		"indent":     filterIndent,
		"escape":     filterEscape,
		"e":          filterEscape,
		"int":        filterInt,
		"float":      filterFloat,
		"abs":        filterAbs,
		"round":      filterRound,
		"format":     filterFormat,
		"attr":       filterAttr,
		"wordcount": func(r *renderer, v Value, _ *args) (Value, error) {
			t, err := r.str(v)
			return int64(len(strings.Fields(t.s))), err
		},
	}
	addListFilters()
}

// textMethod returns a filter that calls the string method of that name.
func textMethod(name string) filterFunc {
	return func(r *renderer, v Value, a *args) (Value, error) {
		t, err := r.str(v)
		if err != nil {
			return nil, err
		}
		return textMethods[name](r, t, a)
	}
}

func filterDefault(_ *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("default_value", "boolean")
	if err != nil {
		return nil, err
	}
	_, gone := v.(undefined)
	if gone || truthy(or(p[1], false)) && !truthy(v) {
		return or(p[0], Text{}), nil
	}
	return v, nil
}

func filterLength(r *renderer, v Value, a *args) (Value, error) {
	switch v := v.(type) {
	case *List:
		return int64(len(v.Items)), nil
	case *Dict:
		return int64(v.Len()), nil
	case undefined:
		return int64(0), nil
	case Text:
		return int64(utf8.RuneCountInString(v.s)), nil
	}
	return nil, fmt.Errorf("a %s has no length", typeName(v))
}

func filterTrim(r *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("chars")
	if err != nil {
		return nil, err
	}
	t, err := r.str(v)
	if err != nil {
		return nil, err
	}
	return strip(r, t, or(p[0], nil), true, true)
}

func filterReplace(r *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("old", "new", "count")
	if err != nil {
		return nil, err
	}
	t, err := r.str(v)
	if err != nil {
		return nil, err
	}
	old, err := r.str(or(p[0], nil))
	if err != nil {
		return nil, err
	}
	with, err := r.str(or(p[1], nil))
	if err != nil {
		return nil, err
	}
	n := -1
	if c := or(p[2], nil); c != nil {
		if n, err = wantInt(c, "count"); err != nil {
			return nil, err
		}
	}
	return r.replace(t, old, with, n)
}

// replace is Python's str.replace.
func (r *renderer) replace(t, old, with Text, n int) (Value, error) {
	count := strings.Count(t.s, old.s)
	if n >= 0 {
		count = min(count, n)
	}
	if count == 0 {
		return t, r.step(1 + len(t.s)/1024)
	}
	if len(with.s) > 0 && count > r.limits.Output/len(with.s) {
		return nil, r.made(math.MaxInt)
	}
	if err := r.made(len(t.s) + count*len(with.s)); err != nil {
		return nil, err
	}
	if err := r.step(count * (1 + len(with.user))); err != nil {
		return nil, err
	}
	var b builder
	at := 0
	for range count {
		k := strings.Index(t.s[at:], old.s)
		if old.s == "" { // before each character
			if at > 0 || b.len() > 0 {
				size := len([]rune(t.s[at:])[:1])
				for size < len(t.s)-at && t.s[at+size]&0xc0 == 0x80 {
					size++
				}
				b.write(t.slice(at, at+size))
				at += size
			}
			b.write(with)
			continue
		}
		b.write(t.slice(at, at+k))
		b.write(with)
		at += k + len(old.s)
	}
	b.write(t.slice(at, len(t.s)))
	return b.text(), nil
}

// filterIndent puts spaces before each line, except the first and empty ones.
func filterIndent(r *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("width", "first", "blank")
	if err != nil {
		return nil, err
	}
	t, err := r.str(v)
	if err != nil {
		return nil, err
	}
	var blanks Text
	switch w := or(p[0], int64(4)).(type) {
	case Text:
		blanks = w
	default:
		n, err := wantInt(w, "width")
		if err != nil {
			return nil, err
		}
		if err := r.made(max(n, 0)); err != nil {
			return nil, err
		}
		blanks = Template(strings.Repeat(" ", max(n, 0)))
	}
	lines := splitLines(concat(t, Template("\n")), false)
	if err := r.made(len(t.s) + min(len(lines)*len(blanks.s), math.MaxInt32)); err != nil {
		return nil, err
	}
	if err := r.step(len(lines) * (1 + len(blanks.user))); err != nil {
		return nil, err
	}
	var b builder
	for i, line := range lines {
		if i > 0 {
			b.add("\n", false)
		}
		if i == 0 && truthy(or(p[1], false)) || i > 0 && (line.s != "" || truthy(or(p[2], false))) {
			b.write(blanks)
		}
		b.write(line)
	}
	return b.text(), nil
}

// filterSafe marks a text as HTML. Chat templates print without escaping, but as in Python's
// markupsafe, + escapes what it joins to such a text, and some templates rely on that.
func filterSafe(r *renderer, v Value, a *args) (Value, error) {
	t, err := r.str(v)
	t.safe = true
	return t, err
}

func filterEscape(r *renderer, v Value, a *args) (Value, error) {
	t, err := r.str(v)
	if err != nil {
		return nil, err
	}
	return r.escape(t)
}

// escape escapes a text for HTML, unless it is marked as HTML already.
func (r *renderer) escape(t Text) (Text, error) {
	if t.safe {
		return t, nil
	}
	if err := r.made(5 * len(t.s)); err != nil {
		return t, err
	}
	t = t.mapped(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;").Replace)
	t.safe = true
	return t, nil
}

func filterInt(r *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("default", "base")
	if err != nil {
		return nil, err
	}
	otherwise := or(p[0], int64(0))
	base, err := wantInt(or(p[1], int64(10)), "base")
	if err != nil || base != 0 && (base < 2 || base > 36) {
		return nil, fmt.Errorf("base is not 0 or 2 to 36")
	}
	switch v := v.(type) {
	case bool, int64:
		n, _ := integer(v)
		return n, nil
	case float64:
		if math.Abs(v) < 1<<62 {
			return int64(v), nil
		}
	case Text:
		s := strings.TrimSpace(v.s)
		if prefix := map[int]string{2: "0b", 8: "0o", 16: "0x"}[base]; prefix != "" {
			s = strings.TrimPrefix(strings.ToLower(s), prefix)
		}
		if n, err := strconv.ParseInt(s, base, 64); err == nil {
			return n, nil
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<62 {
			return int64(f), nil
		}
	}
	return otherwise, nil
}

func filterFloat(r *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("default")
	if err != nil {
		return nil, err
	}
	if f, ok := number(v); ok {
		return f, nil
	}
	if t, ok := v.(Text); ok {
		if f, err := strconv.ParseFloat(strings.TrimSpace(t.s), 64); err == nil {
			return f, nil
		}
	}
	return or(p[0], 0.0), nil
}

func filterAbs(_ *renderer, v Value, a *args) (Value, error) {
	if i, ok := integer(v); ok {
		return max(i, -i), nil
	}
	if f, ok := v.(float64); ok {
		return math.Abs(f), nil
	}
	return nil, fmt.Errorf("a %s has no absolute value", typeName(v))
}

func filterRound(_ *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("precision", "method")
	if err != nil {
		return nil, err
	}
	f, ok := number(v)
	if !ok {
		return nil, fmt.Errorf("a %s can't be rounded", typeName(v))
	}
	n, err := wantInt(or(p[0], int64(0)), "precision")
	if err != nil || n < -300 || n > 300 {
		return nil, fmt.Errorf("precision is not -300 to 300")
	}
	scale := math.Pow(10, float64(n))
	method := or(p[1], Template("common"))
	switch t, _ := method.(Text); t.s {
	case "common":
		return math.RoundToEven(f*scale) / scale, nil
	case "ceil":
		return math.Ceil(f*scale) / scale, nil
	case "floor":
		return math.Floor(f*scale) / scale, nil
	}
	return nil, fmt.Errorf("method is not common, ceil or floor")
}

// filterFormat is "%s is %d" | format(a, b).
func filterFormat(r *renderer, v Value, a *args) (Value, error) {
	t, err := r.str(v)
	if err != nil {
		return nil, err
	}
	if len(a.names) > 0 {
		d := &Dict{}
		for i, n := range a.names {
			d.Set(n, a.values[i])
		}
		return r.percent(t, d)
	}
	return r.percent(t, &List{Items: a.list, Tuple: true})
}

// filterAttr looks up an attribute. Only the template's own values have attributes.
func filterAttr(r *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("name")
	if err != nil {
		return nil, err
	}
	n, err := wantText(p[0], "name")
	if err != nil {
		return nil, err
	}
	if d, ok := v.(*Dict); ok { // attr takes no items
		if m := method(d, n.s); m != nil {
			return m, nil
		}
		return undefined{"the attribute of a dict"}, nil
	}
	return r.attr(v, n.s)
}

// lookup returns an item or attribute by a dotted path, as in map(attribute=…).
func (r *renderer) lookup(v Value, path Value) (Value, error) {
	switch p := path.(type) {
	case int64:
		return r.item(v, p)
	case Text:
		var err error
		for _, part := range strings.Split(p.s, ".") {
			if _, gone := v.(undefined); gone {
				return v, nil
			}
			var key Value = Template(part)
			if n, e := strconv.ParseInt(part, 10, 64); e == nil {
				key = n
			}
			if v, err = r.item(v, key); err != nil {
				return nil, err
			}
		}
		return v, nil
	}
	return nil, fmt.Errorf("an attribute's name is a %s", typeName(path))
}

// sortValues sorts items by key. The sort is stable.
func (r *renderer) sortValues(items []Value, reverse bool, key func(Value) (Value, error)) ([]Value, error) {
	type entry struct{ item, key Value }
	entries := make([]entry, len(items))
	for i, it := range items {
		k, err := key(it)
		if err != nil {
			return nil, err
		}
		entries[i] = entry{it, k}
	}
	var failed error
	slices.SortStableFunc(entries, func(a, b entry) int {
		if failed != nil {
			return 0
		}
		x, y := a.key, b.key
		if reverse {
			x, y = y, x
		}
		less, err := r.less(x, y)
		if err == nil && less {
			return -1
		}
		if err == nil {
			less, err = r.less(y, x)
		}
		if failed = err; err == nil && less {
			return 1
		}
		return 0
	})
	out := make([]Value, len(items))
	for i, e := range entries {
		out[i] = e.item
	}
	return out, failed
}

// folded returns a text in lower case unless caseSensitive is set.
func folded(v Value, caseSensitive bool) Value {
	if t, ok := v.(Text); ok && !caseSensitive {
		return Template(strings.ToLower(t.s))
	}
	return v
}
