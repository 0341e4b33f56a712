package jinja

import "fmt"

// loop is the value of "loop" inside a for.
type loop struct {
	items []Value
	i     int // index0
	depth int
	last  Value // of changed()
	asked bool  // changed() was called before
	again func(a *args) (Value, error)
}

func (l *loop) attr(n string) (Value, error) {
	i, count := int64(l.i), int64(len(l.items))
	switch n {
	case "index":
		return i + 1, nil
	case "index0":
		return i, nil
	case "revindex":
		return count - i, nil
	case "revindex0":
		return count - i - 1, nil
	case "first":
		return i == 0, nil
	case "last":
		return i == count-1, nil
	case "length":
		return count, nil
	case "depth":
		return int64(l.depth + 1), nil
	case "depth0":
		return int64(l.depth), nil
	case "previtem":
		if l.i == 0 {
			return undefined{"there is no previous item"}, nil
		}
		return l.items[l.i-1], nil
	case "nextitem":
		if l.i+1 >= len(l.items) {
			return undefined{"there is no next item"}, nil
		}
		return l.items[l.i+1], nil
	case "cycle":
		return &function{"loop.cycle", func(_ *renderer, a *args) (Value, error) {
			if len(a.list) == 0 {
				return nil, fmt.Errorf("no items to cycle through")
			}
			return a.list[l.i%len(a.list)], nil
		}}, nil
	case "changed":
		return &function{"loop.changed", func(r *renderer, a *args) (Value, error) {
			now := &List{Items: a.list, Tuple: true}
			if l.asked {
				same, err := r.equal(l.last, now)
				if same || err != nil {
					return false, err
				}
			}
			l.asked, l.last = true, now
			return true, nil
		}}, nil
	}
	return undefined{fmt.Sprintf("loop.%s", clip(n))}, nil
}

// loop runs a for statement over a value.
func (r *renderer) loop(n *forNode, over Value, s *scope, depth int) error {
	items, err := r.items(over)
	if err != nil {
		return err
	}
	if n.filter != nil {
		if items, err = r.selected(n, items, s); err != nil {
			return err
		}
	}
	if len(items) == 0 {
		return r.run(n.otherwise, s)
	}
	l := &loop{items: items, depth: depth}
	if n.recursive {
		l.again = func(a *args) (Value, error) {
			v, err := a.bind("iterable")
			if err != nil {
				return nil, err
			}
			before := r.out
			r.out = &output{}
			defer func() { r.out = before }()
			if err := r.loop(n, v[0], s, depth+1); err != nil {
				return nil, err
			}
			return r.out.text(), nil
		}
	}
	for i, item := range items {
		if err := r.step(1); err != nil {
			return err
		}
		l.i = i
		inner := &scope{outer: s}
		inner.set("loop", l)
		if err := r.assign(n.targets, item, inner); err != nil {
			return err
		}
		switch err := r.run(n.body, inner); err {
		case nil, errContinue:
		case errBreak:
			return nil
		default:
			return err
		}
	}
	return nil
}

// selected returns the items for which the condition of "for … in … if condition" is true.
func (r *renderer) selected(n *forNode, items []Value, s *scope) ([]Value, error) {
	var kept []Value
	for _, item := range items {
		inner := &scope{outer: s}
		if err := r.assign(n.targets, item, inner); err != nil {
			return nil, err
		}
		v, err := r.eval(n.filter, inner)
		if err != nil {
			return nil, err
		}
		if truthy(v) {
			kept = append(kept, item)
		}
	}
	return kept, nil
}
