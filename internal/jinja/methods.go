package jinja

import (
	"errors"
	"strings"
)

// method returns a method of a value, bound to it; nil if there is none of that name. Methods
// that would change the value in place return an error when called, as in Jinja's sandbox.
func method(of Value, n string) *function {
	switch of := of.(type) {
	case Text:
		if f := textMethods[n]; f != nil {
			return &function{n, func(r *renderer, a *args) (Value, error) {
				if err := r.made(len(of.s)); err != nil {
					return nil, err
				}
				return f(r, of, a)
			}}
		}
	case *Dict:
		if f := dictMethods[n]; f != nil {
			return &function{n, func(r *renderer, a *args) (Value, error) { return f(r, of, a) }}
		}
		if strings.Contains(" clear pop popitem setdefault update ", " "+n+" ") {
			return changing(n)
		}
	case *List:
		switch n {
		case "index", "count":
			return &function{n, func(r *renderer, a *args) (Value, error) { return listFind(r, of, n == "count", a) }}
		case "copy":
			return &function{n, func(r *renderer, a *args) (Value, error) { return filterList(r, of, a) }}
		}
		if !of.Tuple && strings.Contains(" append clear extend insert pop remove reverse sort ", " "+n+" ") {
			return changing(n)
		}
	}
	return nil
}

func changing(n string) *function {
	return &function{n, func(*renderer, *args) (Value, error) {
		return nil, errors.New("would change a value in place, which chat templates are not allowed to do")
	}}
}

func listFind(r *renderer, l *List, count bool, a *args) (Value, error) {
	p, err := a.bind("value")
	if err != nil {
		return nil, err
	}
	n := int64(0)
	for i, it := range l.Items {
		same, err := r.equal(it, p[0])
		if err != nil {
			return nil, err
		}
		if same && !count {
			return int64(i), nil
		}
		n += int64(b2i(same))
	}
	if !count {
		return nil, errors.New("the value is not in the list")
	}
	return n, nil
}

var dictMethods = map[string]func(r *renderer, d *Dict, a *args) (Value, error){
	"get": func(r *renderer, d *Dict, a *args) (Value, error) {
		p, err := a.bind("key", "default")
		if err != nil {
			return nil, err
		}
		if v, ok := d.get(p[0]); ok {
			return v, nil
		}
		return or(p[1], nil), nil
	},
	"items": func(r *renderer, d *Dict, a *args) (Value, error) { return r.pairs(d) },
	"keys":  func(r *renderer, d *Dict, a *args) (Value, error) { return filterList(r, d, a) },
	"values": func(r *renderer, d *Dict, a *args) (Value, error) {
		return list(append([]Value(nil), d.values...)...), r.step(d.Len())
	},
	"copy": func(r *renderer, d *Dict, a *args) (Value, error) { return d.Copy(), r.step(d.Len()) },
}
