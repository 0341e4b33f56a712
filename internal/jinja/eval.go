package jinja

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// scope holds the names that a block has set; those it has not are looked for outside.
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

// lineError says in which line of the template something went wrong.
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
		l, err := r.eval(x.first, s)
		if err != nil {
			return nil, err
		}
		for i, op := range x.ops {
			right, err := r.eval(x.rest[i], s)
			if err != nil {
				return nil, err
			}
			ok, err := r.compare(op, l, right)
			if !ok || err != nil {
				return false, err
			}
			l = right
		}
		return true, nil
	case *condition:
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
		a, err := r.arguments(&x.args, s)
		if err != nil {
			return nil, err
		}
		f := tests[x.name]
		if f == nil {
			return nil, fmt.Errorf("unknown test %q", clip(x.name))
		}
		ok, err := f(r, v, a)
		return ok, err
	}
	return nil, fmt.Errorf("a slice stands outside of a subscript")
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

// apply is a filter by its name. As in Jinja, an unknown one matters only where it is
// used.
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

// attr is of.name: an attribute, else an item.
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

// item is of[key]: an item, else an attribute.
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

// slice is of[from:to:step].
func (r *renderer) slice(of Value, x *sliceExpr, s *scope) (Value, error) {
	bound := [3]*int64{}
	for i, e := range []expr{x.from, x.to, x.step} {
		if e == nil {
			continue
		}
		v, err := r.eval(e, s)
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		n, ok := integer(v)
		if !ok {
			return nil, fmt.Errorf("a slice's bound is a %s, expected an integer", typeName(v))
		}
		bound[i] = &n
	}
	if u, ok := of.(undefined); ok {
		return nil, fmt.Errorf("%s is undefined", u.what)
	}
	items, err := r.items(of)
	if _, isDict := of.(*Dict); isDict || err != nil {
		return nil, fmt.Errorf("a %s can't be sliced", typeName(of))
	}
	n, step := int64(len(items)), int64(1)
	if bound[2] != nil {
		step = *bound[2]
	}
	if step == 0 {
		return nil, errors.New("a slice's step is 0")
	}
	low, high := int64(0), n
	if step < 0 {
		low, high = -1, n-1
	}
	place := func(b *int64, otherwise int64) int64 {
		if b == nil {
			return otherwise
		}
		v := *b
		if v < 0 {
			v += n
		}
		return min(max(v, low), high)
	}
	from, to := place(bound[0], low), place(bound[1], high)
	if step < 0 {
		from, to = place(bound[0], high), place(bound[1], low)
	}
	if t, ok := of.(Text); ok && step == 1 {
		var a, b int
		for i, c := range items {
			size := len(c.(Text).s)
			if int64(i) < from {
				a += size
			}
			if int64(i) < to {
				b += size
			}
		}
		return t.slice(a, max(a, b)), nil
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

func (r *renderer) unary(x *unary, s *scope) (Value, error) {
	v, err := r.eval(x.x, s)
	if err != nil {
		return nil, err
	}
	if x.op == "not" {
		return !truthy(v), nil
	}
	if i, ok := integer(v); ok {
		if x.op == "-" {
			if i == math.MinInt64 {
				return nil, errOverflow
			}
			return -i, nil
		}
		return i, nil
	}
	if f, ok := v.(float64); ok {
		if x.op == "-" {
			return -f, nil
		}
		return f, nil
	}
	return nil, fmt.Errorf("%s needs a number, found a %s", x.op, describe(v))
}

var errOverflow = errors.New("an integer does not fit 64 bits")

// describe names a value's type, or says what is undefined.
func describe(v Value) string {
	if u, ok := v.(undefined); ok {
		return "value that is undefined: " + u.what
	}
	return typeName(v)
}

func (r *renderer) binary(x *binary, s *scope) (Value, error) {
	l, err := r.eval(x.l, s)
	if err != nil {
		return nil, err
	}
	switch {
	case x.op == "and" && !truthy(l), x.op == "or" && truthy(l):
		return l, nil
	}
	right, err := r.eval(x.r, s)
	if err != nil {
		return nil, err
	}
	switch x.op {
	case "and", "or":
		return right, nil
	case "~":
		a, err := r.str(l)
		if err != nil {
			return nil, err
		}
		b, err := r.str(right)
		if err != nil {
			return nil, err
		}
		return r.concat(a, b)
	}
	return r.arithmetic(x.op, l, right)
}

func (r *renderer) concat(a, b Text) (Value, error) {
	if err := r.made(len(a.s) + len(b.s)); err != nil {
		return nil, err
	}
	return concat(a, b), r.step(len(a.user) + len(b.user))
}

// plus joins two texts; where one is HTML the other is escaped.
func (r *renderer) plus(a, b Text) (Value, error) {
	if !a.safe && !b.safe {
		return r.concat(a, b)
	}
	a, err := r.escape(a)
	if err != nil {
		return nil, err
	}
	if b, err = r.escape(b); err != nil {
		return nil, err
	}
	v, err := r.concat(a, b)
	if err != nil {
		return nil, err
	}
	t := v.(Text)
	t.safe = true
	return t, nil
}

func (r *renderer) arithmetic(op string, l, right Value) (Value, error) {
	switch a := l.(type) {
	case Text:
		switch b := right.(type) {
		case Text:
			if op == "+" {
				return r.plus(a, b)
			}
		case int64, bool:
			if op == "*" {
				n, _ := integer(b)
				return r.repeat(a, n)
			}
		}
		if op == "%" {
			return r.percent(a, right)
		}
	case *List:
		if b, ok := right.(*List); ok && op == "+" && a.Tuple == b.Tuple {
			if err := r.step(len(a.Items) + len(b.Items)); err != nil {
				return nil, err
			}
			return &List{Items: slices.Concat(a.Items, b.Items), Tuple: a.Tuple}, nil
		}
		if n, ok := integer(right); ok && op == "*" {
			return r.repeatList(a, n)
		}
	}
	if i, ok := integer(l); ok && op == "*" {
		switch b := right.(type) {
		case Text:
			return r.repeat(b, i)
		case *List:
			return r.repeatList(b, i)
		}
	}
	if a, ok := integer(l); ok {
		if b, ok := integer(right); ok {
			return intArithmetic(op, a, b)
		}
	}
	a, ok := number(l)
	b, ok2 := number(right)
	if !ok || !ok2 {
		return nil, fmt.Errorf("%s can't be done on a %s and a %s", op, describe(l), describe(right))
	}
	if b == 0 && strings.Contains("//%", op) {
		return nil, errors.New("division by zero")
	}
	switch op {
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "*":
		return a * b, nil
	case "/":
		return a / b, nil
	case "//":
		return math.Floor(a / b), nil
	case "%":
		return floatMod(a, b), nil
	}
	return math.Pow(a, b), nil
}

func intArithmetic(op string, a, b int64) (Value, error) {
	if b == 0 && strings.Contains("//%", op) {
		return nil, errors.New("division by zero")
	}
	var v int64
	over := false
	switch op {
	case "+":
		v = a + b
		over = (v > a) != (b > 0) && b != 0
	case "-":
		v = a - b
		over = (v < a) != (b > 0) && b != 0
	case "*":
		v = a * b
		over = a != 0 && (v/a != b || a == -1 && b == math.MinInt64)
	case "/":
		return float64(a) / float64(b), nil
	case "//":
		if over = a == math.MinInt64 && b == -1; !over {
			v = floorDiv(a, b)
		}
	case "%":
		v = mod(a, b)
	case "**":
		if b < 0 {
			return math.Pow(float64(a), float64(b)), nil
		}
		f := math.Pow(float64(a), float64(b))
		if math.Abs(f) > 1<<53 {
			return nil, errOverflow
		}
		v = int64(f)
	}
	if over {
		return nil, errOverflow
	}
	return v, nil
}

// repeat is a text n times over.
func (r *renderer) repeat(t Text, n int64) (Value, error) {
	if n <= 0 || t.s == "" {
		return Text{}, nil
	}
	if n > int64(r.limits.Output)/int64(len(t.s)) {
		return nil, r.made(math.MaxInt)
	}
	if err := r.made(len(t.s) * int(n)); err != nil {
		return nil, err
	}
	if len(t.user) == 0 {
		return Template(strings.Repeat(t.s, int(n))), nil
	}
	if err := r.step(len(t.user) * int(n)); err != nil {
		return nil, err
	}
	var b builder
	for range n {
		b.write(t)
	}
	return b.text(), nil
}

func (r *renderer) repeatList(l *List, n int64) (Value, error) {
	if n <= 0 || len(l.Items) == 0 {
		return &List{Tuple: l.Tuple}, nil
	}
	if n > int64(r.limits.Steps)/int64(len(l.Items)) {
		return nil, r.step(math.MaxInt)
	}
	if err := r.step(len(l.Items) * int(n)); err != nil {
		return nil, err
	}
	return &List{Items: slices.Repeat(l.Items, int(n)), Tuple: l.Tuple}, nil
}

func (r *renderer) compare(op string, a, b Value) (bool, error) {
	switch op {
	case "==":
		return r.equal(a, b)
	case "!=":
		same, err := r.equal(a, b)
		return !same, err
	case "in":
		return r.contains(b, a)
	case "not in":
		ok, err := r.contains(b, a)
		return !ok, err
	case "<":
		return r.less(a, b)
	case ">":
		return r.less(b, a)
	}
	if op == "<=" {
		a, b = b, a
	}
	// a >= b
	less, err := r.less(b, a)
	if less || err != nil {
		return less, err
	}
	return r.equal(a, b)
}
