package jinja

import (
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/plural"
)

// args are the arguments of a call.
type args struct {
	list   []Value
	names  []Text // texts with provenance, because **dict can bring names from the conversation
	values []Value
}

// arguments evaluates the arguments of a call.
func (r *renderer) arguments(x *arguments, s *scope) (*args, error) {
	a := &args{}
	for _, n := range x.names {
		a.names = append(a.names, Template(n))
	}
	var err error
	if a.list, err = r.evalAll(x.list, s); err != nil {
		return nil, err
	}
	if x.star != nil {
		v, err := r.eval(x.star, s)
		if err != nil {
			return nil, err
		}
		items, err := r.items(v)
		if err != nil {
			return nil, err
		}
		if err := r.step(len(items)); err != nil {
			return nil, err
		}
		a.list = append(a.list, items...)
	}
	if a.values, err = r.evalAll(x.values, s); err != nil {
		return nil, err
	}
	if x.stars != nil {
		v, err := r.eval(x.stars, s)
		if err != nil {
			return nil, err
		}
		d, ok := v.(*Dict)
		if !ok {
			return nil, fmt.Errorf("** needs a dict, found a %s", typeName(v))
		}
		if err := r.step(d.Len()); err != nil {
			return nil, err
		}
		for i, k := range d.keys {
			t, ok := k.(Text)
			if !ok {
				return nil, fmt.Errorf("the name of an argument is a %s", typeName(k))
			}
			a.names, a.values = append(a.names, t), append(a.values, d.values[i])
		}
	}
	return a, nil
}

// named returns the argument with the given name.
func (a *args) named(n string) (Value, bool) {
	if i := slices.IndexFunc(a.names, func(t Text) bool { return t.s == n }); i >= 0 {
		return a.values[i], true
	}
	return nil, false
}

// bind puts the arguments in the order of the parameters' names. Those that are not
// given are missing{}.
func (a *args) bind(params ...string) ([]Value, error) {
	if len(a.list) > len(params) {
		return nil, fmt.Errorf("takes at most %s, found %d", plural.Of(len(params), "argument"), len(a.list))
	}
	out := make([]Value, len(params))
	for i := range out {
		out[i] = missing{}
	}
	copy(out, a.list)
	for i, n := range a.names {
		k := slices.Index(params, n.s)
		if k < 0 {
			return nil, fmt.Errorf("has no parameter %q", clip(n.s))
		}
		if k < len(a.list) {
			return nil, fmt.Errorf("the parameter %q is given twice", n.s)
		}
		out[k] = a.values[i]
	}
	return out, nil
}

// missing marks an argument that is not given.
type missing struct{}

// or returns v, or otherwise if v is missing.
func or(v, otherwise Value) Value {
	if _, ok := v.(missing); ok {
		return otherwise
	}
	return v
}

func wantText(v Value, what string) (Text, error) {
	t, ok := v.(Text)
	if !ok {
		if _, ok := v.(missing); ok {
			return t, fmt.Errorf("%s is missing", what)
		}
		return t, fmt.Errorf("%s is a %s, expected a string", what, typeName(v))
	}
	return t, nil
}

func wantInt(v Value, what string) (int, error) {
	n, ok := integer(v)
	if !ok {
		return 0, fmt.Errorf("%s is a %s, expected an integer", what, describe(v))
	}
	return int(n), nil
}
