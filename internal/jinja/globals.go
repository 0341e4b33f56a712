package jinja

import (
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/plural"
)

// maxRange is the most numbers that range may return: MAX_RANGE of Jinja's sandbox.
const maxRange = 100_000

// globals are the functions that every template can call.
func globals() map[string]Value {
	out := make(map[string]Value)
	for n, f := range map[string]func(*renderer, *args) (Value, error){
		"range":           globalRange,
		"dict":            globalDict,
		"namespace":       globalNamespace,
		"raise_exception": raise,
		"strftime_now":    strftimeNow,
		"joiner":          joiner,
		"cycler":          cycler,
	} {
		out[n] = &function{n, f}
	}
	return out
}

func raise(r *renderer, a *args) (Value, error) {
	p, err := a.bind("message")
	if err != nil {
		return nil, err
	}
	t, err := r.str(or(p[0], Template("(no reason given)")))
	if err != nil {
		return nil, err
	}
	return nil, &RaisedError{t.s}
}

func globalRange(r *renderer, a *args) (Value, error) {
	n := [3]int{0, 0, 1}
	if len(a.list) == 0 || len(a.list) > 3 || len(a.names) > 0 {
		return nil, fmt.Errorf("takes one to three numbers")
	}
	for i, v := range a.list {
		var err error
		if n[i], err = wantInt(v, "a bound"); err != nil {
			return nil, err
		}
	}
	from, to, step := n[0], n[1], n[2]
	if len(a.list) == 1 {
		from, to = 0, from
	}
	if step == 0 {
		return nil, fmt.Errorf("the step is 0")
	}
	count := math.Ceil((float64(to) - float64(from)) / float64(step))
	if count > maxRange {
		return nil, fmt.Errorf("%w: range of more than %s", ErrLimit, plural.Of(maxRange, "number"))
	}
	l := &List{}
	if count <= 0 {
		return l, nil
	}
	if err := r.step(int(count)); err != nil {
		return nil, err
	}
	for i := range int(count) {
		l.Items = append(l.Items, int64(from+i*step))
	}
	return l, nil
}

// entries fills a dict from the arguments of a call, as Python's dict() does.
func entries(r *renderer, a *args, into *Dict) error {
	if len(a.list) > 1 {
		return fmt.Errorf("takes at most one argument without a name")
	}
	if len(a.list) == 1 {
		if d, ok := a.list[0].(*Dict); ok {
			if err := r.step(d.Len()); err != nil {
				return err
			}
			for i := range d.Len() {
				into.Set(d.At(i))
			}
		} else {
			items, err := r.items(a.list[0])
			if err != nil {
				return err
			}
			for _, it := range items {
				pair, ok := it.(*List)
				if !ok || len(pair.Items) != 2 {
					return fmt.Errorf("takes a dict or a list of pairs")
				}
				if err := r.step(1); err != nil {
					return err
				}
				if err := into.Set(pair.Items[0], pair.Items[1]); err != nil {
					return err
				}
			}
		}
	}
	for i, n := range a.names {
		into.Set(n, a.values[i])
	}
	return nil
}

func globalDict(r *renderer, a *args) (Value, error) {
	d := &Dict{}
	return d, entries(r, a, d)
}

func globalNamespace(r *renderer, a *args) (Value, error) {
	ns := &namespace{}
	return ns, entries(r, a, &ns.Dict)
}

// joiner returns a function that returns "" the first time and the separator from then on.
func joiner(_ *renderer, a *args) (Value, error) {
	p, err := a.bind("sep")
	if err != nil {
		return nil, err
	}
	sep, used := or(p[0], Template(", ")), false
	return &function{"joiner", func(*renderer, *args) (Value, error) {
		if !used {
			used = true
			return Text{}, nil
		}
		return sep, nil
	}}, nil
}

// cycler returns an object whose next() returns its items in turn.
func cycler(_ *renderer, a *args) (Value, error) {
	if len(a.list) == 0 {
		return nil, fmt.Errorf("no items to cycle through")
	}
	ns, i := &namespace{}, 0
	ns.Put("current", a.list[0])
	ns.Put("next", &function{"cycler.next", func(*renderer, *args) (Value, error) {
		v := a.list[i]
		i = (i + 1) % len(a.list)
		ns.Put("current", a.list[i])
		return v, nil
	}})
	ns.Put("reset", &function{"cycler.reset", func(*renderer, *args) (Value, error) {
		i = 0
		ns.Put("current", a.list[0])
		return nil, nil
	}})
	return ns, nil
}
