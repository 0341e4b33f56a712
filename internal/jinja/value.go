package jinja

import (
	"fmt"
	"math"
	"strings"
)

// Value is what a template computes with: nil (None), bool, int64, float64, [Text],
// *[List], *[Dict], and, only inside a rendering, undefined values, functions,
// namespaces and loops.
type Value any

// List is a list or, with Tuple, a tuple.
type List struct {
	Items []Value
	Tuple bool
}

// Dict is a mapping in order of insertion. Its keys are texts and numbers.
type Dict struct {
	keys, values []Value
	index        map[any]int
}

// namespace is what namespace() makes: the one value whose attributes may be set.
type namespace struct{ Dict }

// generator is what select, map and their like give: it can be gone through once, is
// true even where there is nothing in it, and has no length.
type generator struct{ items []Value }

// undefined is what a name, an attribute or an item that is not there evaluates to.
type undefined struct{ what string }

// function is anything that can be called.
type function struct {
	name string
	call func(r *renderer, a *args) (Value, error)
}

func list(items ...Value) *List { return &List{Items: items} }

// textKey is a text's place in the index of a dict.
type textKey string

// keyOf is a key's place in the index: 1, 1.0 and True are one key, as in Python.
func keyOf(v Value) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case Text:
		return textKey(v.s), nil
	}
	if f, ok := number(v); ok {
		return f, nil
	}
	return nil, fmt.Errorf("a %s can't be the key of a dict", typeName(v))
}

// Len is the number of entries.
func (d *Dict) Len() int { return len(d.keys) }

// At gives entry i.
func (d *Dict) At(i int) (key, value Value) { return d.keys[i], d.values[i] }

// Set sets an entry; a new one comes last.
func (d *Dict) Set(key, value Value) error {
	k, err := keyOf(key)
	if err != nil {
		return err
	}
	if i, ok := d.index[k]; ok {
		d.values[i] = value
		return nil
	}
	if d.index == nil {
		d.index = make(map[any]int)
	}
	d.index[k] = len(d.keys)
	d.keys, d.values = append(d.keys, key), append(d.values, value)
	return nil
}

// Put is Set with a name of the program's own as the key.
func (d *Dict) Put(key string, value Value) { d.Set(Template(key), value) }

// Get gives an entry's value.
func (d *Dict) Get(key string) (Value, bool) {
	i, ok := d.index[textKey(key)]
	if !ok {
		return nil, false
	}
	return d.values[i], true
}

func (d *Dict) get(key Value) (Value, bool) {
	k, err := keyOf(key)
	if err != nil {
		return nil, false
	}
	i, ok := d.index[k]
	if !ok {
		return nil, false
	}
	return d.values[i], true
}

// Without is a copy that lacks a key.
func (d *Dict) Without(key string) *Dict {
	out := &Dict{}
	for i, k := range d.keys {
		if t, ok := k.(Text); !ok || t.s != key {
			out.Set(k, d.values[i])
		}
	}
	return out
}

// Copy is a copy whose entries can be set without changing the original.
func (d *Dict) Copy() *Dict {
	out := &Dict{}
	for i, k := range d.keys {
		out.Set(k, d.values[i])
	}
	return out
}

func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case Text:
		return "string"
	case *List:
		if v.Tuple {
			return "tuple"
		}
		return "list"
	case *Dict:
		return "dict"
	case *namespace:
		return "namespace"
	case *function:
		return "function"
	case *generator:
		return "generator"
	case undefined:
		return "undefined value"
	}
	return "loop"
}

// truthy is Python's bool().
func truthy(v Value) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case Text:
		return v.s != ""
	case *List:
		return len(v.Items) > 0
	case *Dict:
		return v.Len() > 0
	}
	return true
}

// number gives a bool, int or float as a float.
func number(v Value) (f float64, ok bool) {
	switch v := v.(type) {
	case bool:
		return float64(b2i(v)), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// integer gives a bool or int.
func integer(v Value) (int64, bool) {
	switch v := v.(type) {
	case bool:
		return int64(b2i(v)), true
	case int64:
		return v, true
	}
	return 0, false
}

// equal is Python's ==. It counts what it compares.
func (r *renderer) equal(a, b Value) (bool, error) {
	if err := r.enter(); err != nil {
		return false, err
	}
	defer r.leave()
	if err := r.step(1); err != nil {
		return false, err
	}
	switch x := a.(type) {
	case nil:
		return b == nil, nil
	case undefined:
		_, ok := b.(undefined)
		return ok, nil
	case Text:
		y, ok := b.(Text)
		if ok && len(x.s) == len(y.s) {
			if err := r.step(len(x.s) / 1024); err != nil {
				return false, err
			}
			return x.s == y.s, nil
		}
		return false, nil
	case *List:
		y, ok := b.(*List)
		if !ok {
			return false, nil
		}
		return r.equalLists(x, y)
	case *Dict:
		y, ok := b.(*Dict)
		if !ok {
			return false, nil
		}
		return r.equalDicts(x, y)
	}
	if i, ok := integer(a); ok {
		if j, ok := integer(b); ok {
			return i == j, nil
		}
	}
	if f, ok := number(a); ok {
		g, ok := number(b)
		return ok && f == g, nil
	}
	switch a.(type) {
	case *namespace, *function, *loop, *generator:
		return a == b, nil
	}
	return false, nil
}

func (r *renderer) equalLists(x, y *List) (bool, error) {
	if x.Tuple != y.Tuple || len(x.Items) != len(y.Items) {
		return false, nil
	}
	for i := range x.Items {
		if same, err := r.equal(x.Items[i], y.Items[i]); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// equalDicts reports whether two dicts have the same keys with equal values, in any order.
func (r *renderer) equalDicts(x, y *Dict) (bool, error) {
	if x.Len() != y.Len() {
		return false, nil
	}
	for i, k := range x.keys {
		v, ok := y.get(k)
		if !ok {
			return false, nil
		}
		if same, err := r.equal(x.values[i], v); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// less is Python's <.
func (r *renderer) less(a, b Value) (bool, error) {
	if err := r.enter(); err != nil {
		return false, err
	}
	defer r.leave()
	if err := r.step(1); err != nil {
		return false, err
	}
	if i, ok := integer(a); ok {
		if j, ok := integer(b); ok {
			return i < j, nil
		}
	}
	if f, ok := number(a); ok {
		if g, ok := number(b); ok {
			return f < g, nil
		}
	}
	switch x := a.(type) {
	case Text:
		if y, ok := b.(Text); ok {
			return x.s < y.s, r.step(min(len(x.s), len(y.s)) / 1024)
		}
	case *List:
		if y, ok := b.(*List); ok && x.Tuple == y.Tuple {
			for i := 0; i < len(x.Items) && i < len(y.Items); i++ {
				same, err := r.equal(x.Items[i], y.Items[i])
				if err != nil {
					return false, err
				}
				if !same {
					return r.less(x.Items[i], y.Items[i])
				}
			}
			return len(x.Items) < len(y.Items), nil
		}
	}
	return false, fmt.Errorf("a %s and a %s can't be ordered", typeName(a), typeName(b))
}

// contains is Python's "x in of".
func (r *renderer) contains(of, x Value) (bool, error) {
	switch of := of.(type) {
	case Text:
		t, ok := x.(Text)
		if !ok {
			return false, fmt.Errorf("a %s can't be in a string", typeName(x))
		}
		return strings.Contains(of.s, t.s), r.step(1 + len(of.s)/1024)
	case *Dict:
		_, ok := of.get(x)
		return ok, nil
	case undefined:
		return false, nil
	case *List, *generator:
		items, err := r.items(of)
		if err != nil {
			return false, err
		}
		for _, item := range items {
			if same, err := r.equal(item, x); same || err != nil {
				return same, err
			}
		}
		return false, nil
	}
	return false, fmt.Errorf("nothing can be in a %s", typeName(of))
}

// items are what a loop over v goes through.
func (r *renderer) items(v Value) ([]Value, error) {
	switch v := v.(type) {
	case *List:
		return v.Items, nil
	case *Dict:
		return v.keys, nil
	case undefined:
		return nil, nil
	case *generator:
		items := v.items
		v.items = nil
		return items, nil
	case Text:
		if err := r.made(len(v.s)); err != nil {
			return nil, err
		}
		if err := r.step(len(v.s)); err != nil {
			return nil, err
		}
		runes := v.runes()
		out := make([]Value, len(runes))
		for i, t := range runes {
			out[i] = t
		}
		return out, nil
	}
	return nil, fmt.Errorf("a %s can't be gone through", typeName(v))
}

// floorDiv and mod are Python's, which round down.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

func mod(a, b int64) int64 {
	m := a % b
	if m != 0 && (m < 0) != (b < 0) {
		m += b
	}
	return m
}

func floatMod(a, b float64) float64 {
	m := math.Mod(a, b)
	if m != 0 && (m < 0) != (b < 0) {
		m += b
	}
	return m
}
