package jinja

import (
	"fmt"
	"slices"
	"strings"
)

// testFunc is a test that can follow "is": v is the value before it, a are the arguments.
type testFunc func(r *renderer, v Value, a *args) (bool, error)

// tests are all of them, by name.
var tests map[string]testFunc

func init() { // and not above, because the test "test" looks names up in it
	tests = map[string]testFunc{
		"defined":     property(func(v Value) bool { _, u := v.(undefined); return !u }),
		"undefined":   typeIs("undefined value"),
		"none":        typeIs("None"),
		"string":      typeIs("string"),
		"number":      typeIs("int", "float", "bool"),
		"integer":     typeIs("int"),
		"float":       typeIs("float"),
		"boolean":     typeIs("bool"),
		"mapping":     typeIs("dict"),
		"sequence":    typeIs("string", "list", "tuple", "dict", "undefined value"),
		"iterable":    typeIs("string", "list", "tuple", "dict", "undefined value", "generator"),
		"callable":    typeIs("function"),
		"true":        property(func(v Value) bool { return v == true }),
		"false":       property(func(v Value) bool { return v == false }),
		"odd":         property(remainderOf2(1)),
		"even":        property(remainderOf2(0)),
		"escaped":     property(func(Value) bool { return false }),
		"lower":       property(func(v Value) bool { t, ok := v.(Text); return ok && isCase(t.s, strings.ToLower, strings.ToUpper) }),
		"upper":       property(func(v Value) bool { t, ok := v.(Text); return ok && isCase(t.s, strings.ToUpper, strings.ToLower) }),
		"filter":      property(func(v Value) bool { t, ok := v.(Text); return ok && filters[t.s] != nil }),
		"test":        property(func(v Value) bool { t, ok := v.(Text); return ok && tests[t.s] != nil }),
		"sameas":      testSameAs,
		"divisibleby": testDivisible,
	}
	for op, names := range map[string][]string{"==": {"eq", "equalto"}, "!=": {"ne"}, "<": {"lt", "lessthan"}, "<=": {"le"}, ">": {"gt", "greaterthan"}, ">=": {"ge"}, "in": {"in"}} {
		for _, n := range names {
			tests[n] = comparison(op)
		}
	}
}

// property returns a test without arguments.
func property(f func(v Value) bool) testFunc {
	return func(_ *renderer, v Value, a *args) (bool, error) {
		if len(a.list)+len(a.names) > 0 {
			return false, fmt.Errorf("the test takes no argument")
		}
		return f(v), nil
	}
}

// typeIs returns a test of the value's type.
func typeIs(names ...string) testFunc {
	return property(func(v Value) bool { return slices.Contains(names, typeName(v)) })
}

// remainderOf2 reports whether an integer divided by 2 leaves the remainder rem.
func remainderOf2(rem int64) func(v Value) bool {
	return func(v Value) bool { n, ok := integer(v); return ok && mod(n, 2) == rem }
}

// comparison returns a test that compares the value with its argument.
func comparison(op string) testFunc {
	return func(r *renderer, v Value, a *args) (bool, error) {
		p, err := a.bind("other")
		if err != nil {
			return false, err
		}
		return r.compare(op, v, or(p[0], nil))
	}
}

// testSameAs is "is sameas": equal, and of the same type.
func testSameAs(r *renderer, v Value, a *args) (bool, error) {
	p, err := a.bind("other")
	if err != nil || typeName(v) != typeName(or(p[0], nil)) {
		return false, err
	}
	return r.equal(v, p[0])
}

// testDivisible is "is divisibleby".
func testDivisible(_ *renderer, v Value, a *args) (bool, error) {
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
}

// isCase reports whether a text with letters has all of them in one case.
func isCase(s string, same, other func(string) string) bool { return s == same(s) && s != other(s) }
