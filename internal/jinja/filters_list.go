package jinja

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

func addListFilters() {
	for n, f := range map[string]filterFunc{
		"items": filterItems, "dictsort": filterDictsort, "list": filterList, "join": filterJoin,
		"first": filterFirst, "last": filterLast, "reverse": filterReverse, "sort": filterSort, "unique": filterUnique,
		"min": filterLeast(false), "max": filterLeast(true), "sum": filterSum, "map": filterMap, "batch": filterBatch,
		"select": selection(true, false), "reject": selection(false, false),
		"selectattr": selection(true, true), "rejectattr": selection(false, true), "groupby": filterGroupBy,
	} {
		filters[n] = f
	}
}

// counted returns the items of v and counts each as a step.
func (r *renderer) counted(v Value) ([]Value, error) {
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	return items, r.step(len(items))
}

// some is like counted, but false values such as none have no items.
func (r *renderer) some(v Value) ([]Value, error) {
	if !truthy(v) {
		return nil, nil
	}
	return r.counted(v)
}

func pair(k, v Value) Value { return &List{Items: []Value{k, v}, Tuple: true} }

func filterItems(r *renderer, v Value, _ *args) (Value, error) {
	switch d := v.(type) {
	case undefined:
		return &generator{}, nil
	case *Dict:
		l, err := r.pairs(d)
		return &generator{l.Items}, err
	}
	return nil, fmt.Errorf("a %s has no items", typeName(v))
}

// pairs returns the entries of a dict as tuples.
func (r *renderer) pairs(d *Dict) (*List, error) {
	l := &List{}
	if err := r.step(2 * d.Len()); err != nil {
		return l, err
	}
	for i := range d.Len() {
		l.Items = append(l.Items, pair(d.At(i)))
	}
	return l, nil
}

func filterDictsort(r *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("case_sensitive", "by", "reverse")
	if err != nil {
		return nil, err
	}
	d, ok := v.(*Dict)
	if !ok {
		return nil, fmt.Errorf("a %s has no items", typeName(v))
	}
	l, err := r.pairs(d)
	if err != nil {
		return nil, err
	}
	at := 0
	if t, _ := or(p[1], Template("key")).(Text); t.s == "value" {
		at = 1
	} else if t.s != "key" {
		return nil, fmt.Errorf("by is neither key nor value")
	}
	items, err := r.sortValues(l.Items, truthy(or(p[2], false)), func(v Value) (Value, error) {
		return folded(v.(*List).Items[at], truthy(or(p[0], false))), nil
	})
	return list(items...), err
}

func filterList(r *renderer, v Value, _ *args) (Value, error) {
	items, err := r.counted(v)
	return list(slices.Clone(items)...), err
}

func filterJoin(r *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("d", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := r.counted(v)
	if err != nil {
		return nil, err
	}
	sep, err := r.str(or(p[0], Text{}))
	if err != nil {
		return nil, err
	}
	if path := or(p[1], nil); path != nil {
		found := make([]Value, len(items))
		for i, it := range items {
			if found[i], err = r.lookup(it, path); err != nil {
				return nil, err
			}
		}
		items = found
	}
	return r.join(sep, items, false)
}

// join joins items with sep. With strict, items that are no strings are an error, as in
// str.join.
func (r *renderer) join(sep Text, items []Value, strict bool) (Value, error) {
	var b builder
	for i, it := range items {
		if _, ok := it.(Text); strict && !ok {
			return nil, fmt.Errorf("item %d is a %s, expected a string", i, typeName(it))
		}
		t, err := r.str(it)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.write(sep)
		}
		b.write(t)
		if err := r.room(&b, len(t.s)+len(sep.s)); err != nil {
			return nil, err
		}
		if err := r.step(len(t.user) + len(sep.user)); err != nil {
			return nil, err
		}
	}
	return b.text(), nil
}

func filterFirst(r *renderer, v Value, _ *args) (Value, error) {
	items, err := r.items(v)
	if err != nil || len(items) == 0 {
		return undefined{"the first item of nothing"}, err
	}
	if g, ok := v.(*generator); ok {
		g.items = items[1:]
	}
	return items[0], nil
}

func filterLast(r *renderer, v Value, _ *args) (Value, error) {
	items, err := r.items(v)
	if err != nil || len(items) == 0 {
		return undefined{"the last item of nothing"}, err
	}
	return items[len(items)-1], nil
}

func filterReverse(r *renderer, v Value, _ *args) (Value, error) {
	items, err := r.counted(v)
	if err != nil {
		return nil, err
	}
	items = slices.Clone(items)
	slices.Reverse(items)
	if _, ok := v.(Text); ok {
		return r.join(Text{}, items, true)
	}
	return &generator{items}, nil
}

func filterSort(r *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("reverse", "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := r.counted(v)
	if err != nil {
		return nil, err
	}
	items, err = r.sortValues(items, truthy(or(p[0], false)), func(v Value) (Value, error) {
		var err error
		if path := or(p[2], nil); path != nil {
			v, err = r.lookup(v, path)
		}
		return folded(v, truthy(or(p[1], false))), err
	})
	return list(items...), err
}

func filterUnique(r *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := r.counted(v)
	if err != nil {
		return nil, err
	}
	seen, out := &Dict{}, &generator{}
	for _, it := range items {
		k := it
		if path := or(p[1], nil); path != nil {
			if k, err = r.lookup(it, path); err != nil {
				return nil, err
			}
		}
		k = folded(k, truthy(or(p[0], false)))
		if _, ok := seen.get(k); ok {
			continue
		}
		if err := seen.Set(k, true); err != nil {
			return nil, err
		}
		out.items = append(out.items, it)
	}
	return out, nil
}

func filterLeast(most bool) filterFunc {
	return func(r *renderer, v Value, a *args) (Value, error) {
		p, err := a.bind("case_sensitive", "attribute")
		if err != nil {
			return nil, err
		}
		items, err := r.counted(v)
		if err != nil || len(items) == 0 {
			return undefined{"the least or most of nothing"}, err
		}
		items, err = r.sortValues(items, most, func(v Value) (Value, error) {
			var err error
			if path := or(p[1], nil); path != nil {
				v, err = r.lookup(v, path)
			}
			return folded(v, truthy(or(p[0], false))), err
		})
		if err != nil {
			return nil, err
		}
		return items[0], nil
	}
}

func filterSum(r *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("attribute", "start")
	if err != nil {
		return nil, err
	}
	items, err := r.counted(v)
	if err != nil {
		return nil, err
	}
	sum := or(p[1], int64(0))
	for _, it := range items {
		if path := or(p[0], nil); path != nil {
			if it, err = r.lookup(it, path); err != nil {
				return nil, err
			}
		}
		if sum, err = r.arithmetic("+", sum, it); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

func filterMap(r *renderer, v Value, a *args) (Value, error) {
	items, err := r.some(v)
	if err != nil {
		return nil, err
	}
	out := &generator{}
	if path, ok := a.named("attribute"); ok {
		otherwise, has := a.named("default")
		for _, it := range items {
			x, err := r.lookup(it, path)
			if err != nil {
				return nil, err
			}
			if _, gone := x.(undefined); gone && has {
				x = otherwise
			}
			out.items = append(out.items, x)
		}
		return out, nil
	}
	if len(a.list) == 0 {
		return nil, fmt.Errorf("needs an attribute or the name of a filter")
	}
	n, err := wantText(a.list[0], "the filter")
	if err != nil {
		return nil, err
	}
	rest := &args{list: a.list[1:], names: a.names, values: a.values}
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	for _, it := range items {
		x, err := r.apply(n.s, it, rest)
		if err != nil {
			return nil, err
		}
		out.items = append(out.items, x)
	}
	return out, nil
}

// selection is select, reject, selectattr and rejectattr.
func selection(keep, byAttribute bool) filterFunc {
	return func(r *renderer, v Value, a *args) (Value, error) {
		items, err := r.some(v)
		if err != nil {
			return nil, err
		}
		rest := a.list
		var path Value
		if byAttribute {
			if len(rest) == 0 {
				return nil, fmt.Errorf("needs an attribute")
			}
			path, rest = rest[0], rest[1:]
		}
		test := func(_ *renderer, v Value, _ *args) (bool, error) { return truthy(v), nil }
		if len(rest) > 0 {
			n, err := wantText(rest[0], "the test")
			if err != nil {
				return nil, err
			}
			s, ok := map[string]string{"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}[n.s]
			if !ok {
				s = n.s
			}
			if test = tests[s]; test == nil {
				return nil, fmt.Errorf("unknown test %q", clip(s))
			}
			rest = rest[1:]
		}
		out := &generator{}
		for _, it := range items {
			x := it
			if byAttribute {
				if x, err = r.lookup(it, path); err != nil {
					return nil, err
				}
			}
			ok, err := test(r, x, &args{list: rest})
			if err != nil {
				return nil, err
			}
			if ok == keep {
				out.items = append(out.items, it)
			}
		}
		return out, nil
	}
}

func filterBatch(r *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("linecount", "fill_with")
	if err != nil {
		return nil, err
	}
	n, err := wantInt(p[0], "linecount")
	if err != nil || n < 1 || n > r.limits.Steps {
		return nil, fmt.Errorf("linecount is not a number from 1")
	}
	items, err := r.some(v)
	if err != nil {
		return nil, err
	}
	out := &generator{}
	for c := range slices.Chunk(items, n) {
		c = slices.Clone(c)
		if fill := or(p[1], nil); fill != nil {
			if err := r.step(n - len(c)); err != nil {
				return nil, err
			}
			for len(c) < n {
				c = append(c, fill)
			}
		}
		out.items = append(out.items, list(c...))
	}
	return out, nil
}

func filterGroupBy(r *renderer, v Value, a *args) (Value, error) {
	p, err := a.bind("attribute", "default", "case_sensitive")
	if err != nil {
		return nil, err
	}
	items, err := r.counted(v)
	if err != nil {
		return nil, err
	}
	raw := func(v Value) (Value, error) {
		x, err := r.lookup(v, p[0])
		if _, gone := x.(undefined); gone && err == nil {
			x = or(p[1], x)
		}
		return x, err
	}
	key := func(v Value) (Value, error) {
		x, err := raw(v)
		return folded(x, truthy(or(p[2], false))), err
	}
	if items, err = r.sortValues(items, false, key); err != nil {
		return nil, err
	}
	out := list()
	var group *List
	var last Value
	for i, it := range items {
		k, err := key(it)
		if err != nil {
			return nil, err
		}
		same := i > 0
		if same {
			if same, err = r.equal(k, last); err != nil {
				return nil, err
			}
		}
		if !same {
			name, err := raw(it)
			if err != nil {
				return nil, err
			}
			group, last = list(), k
			out.Items = append(out.Items, pair(name, group))
		}
		group.Items = append(group.Items, it)
	}
	return out, nil
}

// splitLines cuts a text at its line ends, which are kept if keep is set.
func splitLines(t Text, keep bool) []Text {
	var out []Text
	for at := 0; at < len(t.s); {
		k := strings.IndexAny(t.s[at:], "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029")
		if k < 0 {
			return append(out, t.slice(at, len(t.s)))
		}
		_, size := utf8.DecodeRuneInString(t.s[at+k:])
		end := at + k + size
		if t.s[end-1] == '\r' && end < len(t.s) && t.s[end] == '\n' {
			end++
		}
		if keep {
			out = append(out, t.slice(at, end))
		} else {
			out = append(out, t.slice(at, at+k))
		}
		at = end
	}
	return out
}
