package jinja

import (
	"fmt"
	"strings"
)

// tests are the functions that can follow "is".
var tests map[string]func(r *renderer, v Value, a *args) (bool, error)

func init() {
	simple := func(f func(v Value) bool) func(*renderer, Value, *args) (bool, error) {
		return func(_ *renderer, v Value, a *args) (bool, error) {
			if len(a.list)+len(a.names) > 0 {
				return false, fmt.Errorf("the test takes no argument")
			}
			return f(v), nil
		}
	}
	comparison := func(op string) func(*renderer, Value, *args) (bool, error) {
		return func(r *renderer, v Value, a *args) (bool, error) {
			p, err := a.bind("other")
			if err != nil {
				return false, err
			}
			return r.compare(op, v, or(p[0], nil))
		}
	}
	kind := func(names ...string) func(*renderer, Value, *args) (bool, error) {
		return simple(func(v Value) bool {
			for _, n := range names {
				if typeName(v) == n {
					return true
				}
			}
			return false
		})
	}
	divides := func(rem int64) func(v Value) bool {
		return func(v Value) bool { n, ok := integer(v); return ok && mod(n, 2) == rem }
	}
	tests = map[string]func(*renderer, Value, *args) (bool, error){
		"defined":   simple(func(v Value) bool { _, u := v.(undefined); return !u }),
		"undefined": kind("undefined value"),
		"none":      kind("None"),
		"string":    kind("string"),
		"number":    kind("int", "float", "bool"),
		"integer":   kind("int"),
		"float":     kind("float"),
		"boolean":   kind("bool"),
		"mapping":   kind("dict"),
		"sequence":  kind("string", "list", "tuple", "dict", "undefined value"),
		"iterable":  kind("string", "list", "tuple", "dict", "undefined value", "generator"),
		"callable":  kind("function"),
		"true":      simple(func(v Value) bool { return v == true }),
		"false":     simple(func(v Value) bool { return v == false }),
		"odd":       simple(divides(1)),
		"even":      simple(divides(0)),
		"escaped":   simple(func(Value) bool { return false }),
		"lower":     simple(func(v Value) bool { t, ok := v.(Text); return ok && isCase(t.s, strings.ToLower, strings.ToUpper) }),
		"upper":     simple(func(v Value) bool { t, ok := v.(Text); return ok && isCase(t.s, strings.ToUpper, strings.ToLower) }),
		"filter":    simple(func(v Value) bool { t, ok := v.(Text); return ok && filters[t.s] != nil }),
		"test":      simple(func(v Value) bool { t, ok := v.(Text); return ok && tests[t.s] != nil }),
		"sameas": func(r *renderer, v Value, a *args) (bool, error) {
			p, err := a.bind("other")
			if err != nil || typeName(v) != typeName(or(p[0], nil)) {
				return false, err
			}
			return r.equal(v, p[0])
		},
		"divisibleby": func(_ *renderer, v Value, a *args) (bool, error) {
			p, err := a.bind("num")
			if err != nil {
				return false, err
			}
			n, ok := integer(v)
			d, ok2 := integer(p[0])
			if !ok || !ok2 || d == 0 {
				return false, fmt.Errorf("divisibleby needs integers, and not 0")
			}
			return n%d == 0, nil
		},
	}
	for op, names := range map[string][]string{"==": {"eq", "equalto"}, "!=": {"ne"}, "<": {"lt", "lessthan"}, "<=": {"le"}, ">": {"gt", "greaterthan"}, ">=": {"ge"}, "in": {"in"}} {
		for _, n := range names {
			tests[n] = comparison(op)
		}
	}
}

// isCase reports whether a text with letters has all of them in one case.
func isCase(s string, same, other func(string) string) bool { return s == same(s) && s != other(s) }
