package jinja

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

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

// plus joins two texts. If one is marked as HTML, the other is escaped.
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

// arithmetic evaluates an arithmetic operator. + also joins texts and lists, * repeats them, and % formats a text.
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
	return floatArithmetic(op, a, b)
}

func floatArithmetic(op string, a, b float64) (Value, error) {
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

// repeat returns a text repeated n times.
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
