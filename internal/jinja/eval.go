package jinja

import (
	"errors"
	"fmt"
)

// scope holds the names that a block has set. Other names are looked up in the enclosing scope.
type scope struct {
	names map[string]Value
	outer *scope
}

func (s *scope) get(n string) (Value, bool) {
	for ; s != nil; s = s.outer {
		if v, ok := s.names[n]; ok {
			return v, true
		}
	}
	return nil, false
}

func (s *scope) set(n string, v Value) {
	if s.names == nil {
		s.names = make(map[string]Value)
	}
	s.names[n] = v
}

func (r *renderer) eval(x expr, s *scope) (Value, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	if err := r.step(1); err != nil {
		return nil, err
	}
	v, err := r.evalNode(x, s)
	if err != nil {
		return nil, atLine(x.pos(), err)
	}
	return v, nil
}

// lineError is an error with the line of the template in which it occurred.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("chat template, line %d: %v", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

func atLine(line int, err error) error {
	var le *lineError
	var raised *RaisedError
	if errors.As(err, &le) || errors.As(err, &raised) {
		return err
	}
	return &lineError{line, err}
}

// evalNode evaluates an expression by its kind.
func (r *renderer) evalNode(x expr, s *scope) (Value, error) {
	switch x := x.(type) {
	case *constant:
		return x.value, nil
	case *name:
		if v, ok := s.get(x.name); ok {
			return v, nil
		}
		return undefined{x.name}, nil
	case *listExpr:
		items, err := r.evalAll(x.items, s)
		return &List{Items: items, Tuple: x.tuple}, err
	case *dictExpr:
		return r.dict(x, s)
	case *attribute:
		of, err := r.eval(x.of, s)
		if err != nil {
			return nil, err
		}
		return r.attr(of, x.name)
	case *subscript:
		of, err := r.eval(x.of, s)
		if err != nil {
			return nil, err
		}
		if sl, ok := x.key.(*sliceExpr); ok {
			return r.slice(of, sl, s)
		}
		key, err := r.eval(x.key, s)
		if err != nil {
			return nil, err
		}
		return r.item(of, key)
	case *unary:
		return r.unary(x, s)
	case *binary:
		return r.binary(x, s)
	case *compare:
		return r.compareAll(x, s)
	case *condition:
		return r.condition(x, s)
	case *callExpr:
		callee, err := r.eval(x.callee, s)
		if err != nil {
			return nil, err
		}
		a, err := r.arguments(&x.args, s)
		if err != nil {
			return nil, err
		}
		return r.call(callee, a)
	case *filterExpr:
		v, err := r.eval(x.x, s)
		if err != nil {
			return nil, err
		}
		return r.filter(x, v, s)
	case *testExpr:
		v, err := r.eval(x.x, s)
		if err != nil {
			return nil, err
		}
		return r.test(x, v, s)
	}
	return nil, fmt.Errorf("a slice is used outside of a subscript")
}

// dict evaluates {key: value, …}.
func (r *renderer) dict(x *dictExpr, s *scope) (Value, error) {
	d := &Dict{}
	for i := range x.keys {
		k, err := r.eval(x.keys[i], s)
		if err != nil {
			return nil, err
		}
		v, err := r.eval(x.values[i], s)
		if err != nil {
			return nil, err
		}
		if err := d.Set(k, v); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// compareAll evaluates a chain such as a < b <= c. It stops at the first comparison that is false.
func (r *renderer) compareAll(x *compare, s *scope) (Value, error) {
	left, err := r.eval(x.first, s)
	if err != nil {
		return nil, err
	}
	for i, op := range x.ops {
		right, err := r.eval(x.rest[i], s)
		if err != nil {
			return nil, err
		}
		ok, err := r.compare(op, left, right)
		if !ok || err != nil {
			return false, err
		}
		left = right
	}
	return true, nil
}

// condition evaluates "a if test else b".
func (r *renderer) condition(x *condition, s *scope) (Value, error) {
	test, err := r.eval(x.test, s)
	switch {
	case err != nil:
		return nil, err
	case truthy(test):
		return r.eval(x.then, s)
	case x.otherwise == nil:
		return undefined{"the inline if-expression without an else"}, nil
	}
	return r.eval(x.otherwise, s)
}

// test evaluates "v is name(arguments)".
func (r *renderer) test(x *testExpr, v Value, s *scope) (Value, error) {
	a, err := r.arguments(&x.args, s)
	if err != nil {
		return nil, err
	}
	f := tests[x.name]
	if f == nil {
		return nil, fmt.Errorf("unknown test %q", clip(x.name))
	}
	return f(r, v, a)
}

func (r *renderer) evalAll(xs []expr, s *scope) ([]Value, error) {
	out := make([]Value, len(xs))
	for i, x := range xs {
		var err error
		if out[i], err = r.eval(x, s); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *renderer) filter(x *filterExpr, v Value, s *scope) (Value, error) {
	a, err := r.arguments(&x.args, s)
	if err != nil {
		return nil, err
	}
	return r.apply(x.name, v, a)
}

// apply applies the filter of the given name. As in Jinja, an unknown filter is an error only
// when it is used.
func (r *renderer) apply(name string, v Value, a *args) (Value, error) {
	f := filters[name]
	if f == nil {
		return nil, fmt.Errorf("unknown filter %q", clip(name))
	}
	if t, ok := v.(Text); ok { // that it goes through
		if err := r.made(len(t.s)); err != nil {
			return nil, err
		}
	}
	out, err := f(r, v, a)
	if err != nil {
		return nil, fmt.Errorf("filter %s: %w", name, err)
	}
	return out, nil
}

func (r *renderer) call(callee Value, a *args) (Value, error) {
	f, ok := callee.(*function)
	if !ok {
		if l, ok := callee.(*loop); ok && l.again != nil {
			return l.again(a)
		}
		if u, ok := callee.(undefined); ok {
			return nil, fmt.Errorf("%s is undefined and can't be called", u.what)
		}
		return nil, fmt.Errorf("a %s can't be called", typeName(callee))
	}
	v, err := f.call(r, a)
	if err != nil {
		var raised *RaisedError
		var le *lineError
		if errors.As(err, &raised) || errors.As(err, &le) {
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return v, nil
}

// attr evaluates of.name: an attribute, or an item if there is none.
func (r *renderer) attr(of Value, n string) (Value, error) {
	switch of := of.(type) {
	case undefined:
		return nil, fmt.Errorf("%s is undefined", of.what)
	case *namespace:
		if v, ok := of.Get(n); ok {
			return v, nil
		}
	case *loop:
		return of.attr(n)
	case *Dict:
		if m := method(of, n); m != nil {
			return m, nil
		}
		if v, ok := of.Get(n); ok {
			return v, nil
		}
	default:
		if m := method(of, n); m != nil {
			return m, nil
		}
	}
	return undefined{fmt.Sprintf("the attribute %q of a %s", clip(n), typeName(of))}, nil
}

// item evaluates of[key]: an item, or an attribute if there is none.
func (r *renderer) item(of, key Value) (Value, error) {
	if u, ok := of.(undefined); ok {
		return nil, fmt.Errorf("%s is undefined", u.what)
	}
	if d, ok := of.(*Dict); ok {
		if v, ok := d.get(key); ok {
			return v, nil
		}
	}
	if i, ok := integer(key); ok {
		switch of := of.(type) {
		case *List:
			if i < 0 {
				i += int64(len(of.Items))
			}
			if i >= 0 && i < int64(len(of.Items)) {
				return of.Items[i], nil
			}
		case Text:
			items, err := r.items(of)
			if err != nil {
				return nil, err
			}
			if i < 0 {
				i += int64(len(items))
			}
			if i >= 0 && i < int64(len(items)) {
				return items[i], nil
			}
		}
	}
	if t, ok := key.(Text); ok {
		return r.attr(of, t.s)
	}
	return undefined{"an item of a " + typeName(of)}, nil
}

// slice evaluates of[from:to:step].
func (r *renderer) slice(of Value, x *sliceExpr, s *scope) (Value, error) {
	written, err := r.sliceParts(x, s)
	if err != nil {
		return nil, err
	}
	if u, ok := of.(undefined); ok {
		return nil, fmt.Errorf("%s is undefined", u.what)
	}
	items, err := r.items(of)
	if _, isDict := of.(*Dict); isDict || err != nil {
		return nil, fmt.Errorf("a %s can't be sliced", typeName(of))
	}
	n := int64(len(items))
	from, to, step, err := sliceRange(written, n)
	if err != nil {
		return nil, err
	}
	if t, ok := of.(Text); ok && step == 1 {
		return sliceText(t, items, from, to), nil
	}
	var out []Value
	for i := from; step > 0 && i < to || step < 0 && i > to; {
		out = append(out, items[i])
		if step > n || step < -n {
			break
		}
		i += step
	}
	if err := r.step(len(out)); err != nil {
		return nil, err
	}
	if _, ok := of.(Text); ok {
		var b builder
		for _, c := range out {
			b.write(c.(Text))
		}
		return b.text(), nil
	}
	return &List{Items: out, Tuple: of.(*List).Tuple}, nil
}

// sliceParts evaluates the bounds and the step of a slice; nil: not written, or None.
func (r *renderer) sliceParts(x *sliceExpr, s *scope) (parts [3]*int64, err error) {
	for i, e := range []expr{x.from, x.to, x.step} {
		if e == nil {
			continue
		}
		v, err := r.eval(e, s)
		if err != nil {
			return parts, err
		}
		if v == nil {
			continue
		}
		n, ok := integer(v)
		if !ok {
			return parts, fmt.Errorf("a slice's bound is a %s, expected an integer", typeName(v))
		}
		parts[i] = &n
	}
	return parts, nil
}

// sliceRange returns the first index, the one before which a slice of n items ends (after which, with
// a negative step) and the step. As in Python, a negative bound counts from the end, and bounds
// outside of the items are moved to their ends.
func sliceRange(parts [3]*int64, n int64) (from, to, step int64, err error) {
	if step = 1; parts[2] != nil {
		step = *parts[2]
	}
	if step == 0 {
		return 0, 0, 0, errors.New("a slice's step is 0")
	}
	low, high := int64(0), n
	if step < 0 {
		low, high = -1, n-1
	}
	place := func(bound *int64, otherwise int64) int64 {
		if bound == nil {
			return otherwise
		}
		v := *bound
		if v < 0 {
			v += n
		}
		return min(max(v, low), high)
	}
	if step < 0 {
		return place(parts[0], high), place(parts[1], low), step, nil
	}
	return place(parts[0], low), place(parts[1], high), step, nil
}

// sliceText returns the characters from … to − 1 of a text. chars are all of them.
func sliceText(t Text, chars []Value, from, to int64) Text {
	var begin, end int // in bytes
	for i, c := range chars {
		size := len(c.(Text).s)
		if int64(i) < from {
			begin += size
		}
		if int64(i) < to {
			end += size
		}
	}
	return t.slice(begin, max(begin, end))
}

// describe returns the name of a value's type, or which name is undefined.
func describe(v Value) string {
	if u, ok := v.(undefined); ok {
		return "value that is undefined: " + u.what
	}
	return typeName(v)
}
