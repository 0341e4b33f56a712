package jinja

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/specquant/specquant/internal/plural"
)

// Program is a parsed chat template. It does not change and may be rendered by any
// number of goroutines at once.
type Program struct {
	nodes []node
}

// Parse reads a template. It is an error if it is not Jinja, is over 1 MiB, or uses
// what the package leaves out.
func Parse(source string) (*Program, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("the chat template has %s, the limit is %d", plural.Of(len(source), "byte"), maxSource)
	}
	tokens, err := lex(source)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	nodes, err := p.body()
	if err != nil {
		return nil, err
	}
	return &Program{nodes}, nil
}

// RaisedError is the error of a template that calls raise_exception.
type RaisedError struct{ Msg string }

func (e *RaisedError) Error() string { return "the chat template refuses the conversation: " + e.Msg }

// Input is what a template is rendered with.
type Input struct {
	Vars   *Dict     // variables of the template
	Now    time.Time // for strftime_now
	Bytes  int       // size of the conversation, with which the default limits grow
	Limits Limits
}

// Render runs the template. It returns an error, never a partial prompt, if the template raises
// one ([RaisedError]), fails, exceeds a limit ([ErrLimit]), or the context ends.
func (p *Program) Render(ctx context.Context, in Input) (Text, error) {
	r := &renderer{now: in.Now}
	r.budget = budget{ctx: ctx, limits: in.Limits.withDefaults(in.Bytes), start: time.Now()}
	if err := r.clock(); err != nil {
		return Text{}, err
	}
	top := &scope{outer: &scope{names: globals()}}
	if in.Vars != nil {
		for i := range in.Vars.Len() {
			k, v := in.Vars.At(i)
			if t, ok := k.(Text); ok {
				top.set(t.s, v)
			}
		}
	}
	if err := r.run(p.nodes, top); err != nil {
		if errors.Is(err, errBreak) || errors.Is(err, errContinue) {
			err = errors.New("break or continue outside of a loop")
		}
		return Text{}, err
	}
	return r.out.text(), nil
}

// renderer is the state of one rendering.
type renderer struct {
	budget
	out *output
	now time.Time
}

// output collects text: of the prompt, or of a macro or a block.
type output struct {
	builder
}

var (
	errBreak    = errors.New("break")
	errContinue = errors.New("continue")
)

func (r *renderer) run(nodes []node, s *scope) error {
	if r.out == nil {
		r.out = &output{}
	}
	if err := r.enter(); err != nil {
		return err
	}
	defer r.leave()
	for _, n := range nodes {
		if err := r.step(1); err != nil {
			return err
		}
		if err := r.statement(n, s); err != nil {
			return err
		}
	}
	return nil
}

// print writes text to the output.
func (r *renderer) print(t Text) error {
	if r.out.len()+len(t.s) > r.limits.Output {
		return fmt.Errorf("%w: a prompt of more than %s", ErrLimit, plural.Of(r.limits.Output, "byte"))
	}
	if err := r.made(len(t.s)); err != nil {
		return err
	}
	r.out.write(t)
	return r.step(len(t.user))
}

// captured runs nodes and returns their output.
func (r *renderer) captured(nodes []node, s *scope) (Text, error) {
	before := r.out
	r.out = &output{}
	defer func() { r.out = before }()
	if err := r.run(nodes, s); err != nil {
		return Text{}, err
	}
	return r.out.text(), nil
}

// statement runs a statement by its kind.
func (r *renderer) statement(n node, s *scope) error {
	switch n := n.(type) {
	case textNode:
		return r.print(Template(n.text))
	case printNode:
		v, err := r.eval(n.x, s)
		if err != nil {
			return err
		}
		t, err := r.str(v)
		if err != nil {
			return atLine(n.pos(), err)
		}
		return r.print(t)
	case ifNode:
		return r.choose(&n, s)
	case forNode:
		v, err := r.eval(n.over, s)
		if err != nil {
			return err
		}
		return atLineIf(n.pos(), r.loop(&n, v, s, 0))
	case setNode:
		v, err := r.eval(n.value, s)
		if err != nil {
			return err
		}
		return atLineIf(n.pos(), r.assign(n.targets, v, s))
	case setBlock:
		v, err := r.filtered(n.body, n.filters, s)
		if err != nil {
			return err
		}
		return atLineIf(n.pos(), r.assign(n.targets, v, s))
	case filterBlock:
		v, err := r.filtered(n.body, n.filters, s)
		if err != nil {
			return err
		}
		t, err := r.str(v)
		if err != nil {
			return err
		}
		return r.print(t)
	case *macroNode:
		s.set(n.name, r.macro(n, s))
		return nil
	case callBlock:
		return r.callWithBody(&n, s)
	case withNode:
		return r.with(&n, s)
	case scopeNode:
		return r.run(n.body, &scope{outer: s})
	case breakNode:
		return errBreak
	case nextNode:
		return errContinue
	}
	return fmt.Errorf("unknown statement %T", n)
}

// choose runs the body of the first test of an if that is true, or else the last one.
func (r *renderer) choose(n *ifNode, s *scope) error {
	for i, test := range n.tests {
		v, err := r.eval(test, s)
		if err != nil {
			return err
		}
		if truthy(v) {
			return r.run(n.bodies[i], s)
		}
	}
	return r.run(n.otherwise, s)
}

// callWithBody runs {% call f(…) %}…{% endcall %}: the macro f gets the body as its caller().
func (r *renderer) callWithBody(n *callBlock, s *scope) error {
	callee, err := r.eval(n.call.callee, s)
	if err != nil {
		return err
	}
	a, err := r.arguments(&n.call.args, s)
	if err != nil {
		return err
	}
	a.names = append(slices.Clone(a.names), Template("caller"))
	a.values = append(a.values, r.macro(n.caller, s))
	v, err := r.call(callee, a)
	if err != nil {
		return atLine(n.pos(), err)
	}
	t, err := r.str(v)
	if err != nil {
		return err
	}
	return r.print(t)
}

// with runs the body of a with, which has a scope of its own that holds the names that the with sets.
func (r *renderer) with(n *withNode, s *scope) error {
	inner := &scope{outer: s}
	for i, t := range n.targets {
		v, err := r.eval(n.values[i], s)
		if err != nil {
			return err
		}
		if err := r.assign(t, v, inner); err != nil {
			return atLine(n.pos(), err)
		}
	}
	return r.run(n.body, inner)
}

func atLineIf(line int, err error) error {
	if err == nil || err == errBreak || err == errContinue {
		return err
	}
	return atLine(line, err)
}

// filtered runs a body in a scope of its own and applies filters to its output.
func (r *renderer) filtered(body []node, list []filterExpr, s *scope) (Value, error) {
	t, err := r.captured(body, &scope{outer: s})
	if err != nil {
		return nil, err
	}
	var v Value = t
	for i := range list {
		var err error
		if v, err = r.filter(&list[i], v, s); err != nil {
			return nil, atLine(list[i].pos(), err)
		}
	}
	return v, nil
}

func (r *renderer) assign(t target, v Value, s *scope) error {
	switch {
	case t.parts != nil:
		items, err := r.items(v)
		if err != nil {
			return err
		}
		if len(items) != len(t.parts) {
			return fmt.Errorf("%s can't be assigned to %s", plural.Of(len(items), "value"), plural.Of(len(t.parts), "name"))
		}
		for i, part := range t.parts {
			if err := r.assign(part, items[i], s); err != nil {
				return err
			}
		}
	case t.attr != "":
		of, _ := s.get(t.name)
		ns, ok := of.(*namespace)
		if !ok {
			return fmt.Errorf("%s is no namespace; only a namespace's attributes can be set", t.name)
		}
		return ns.Set(Template(t.attr), v)
	default:
		s.set(t.name, v)
	}
	return nil
}

// macro returns a macro as a function.
func (r *renderer) macro(m *macroNode, s *scope) *function {
	return &function{m.name, func(r *renderer, a *args) (Value, error) {
		inner := &scope{outer: s}
		given := min(len(a.list), len(m.params))
		for i, v := range a.list[:given] {
			inner.set(m.params[i], v)
		}
		rest := &Dict{}
		for i, n := range a.names {
			k := slices.Index(m.params, n.s)
			switch {
			case k >= 0 && k < given:
				return nil, fmt.Errorf("the parameter %q is given twice", clip(n.s))
			case k >= 0, n.s == "caller":
				inner.set(n.s, a.values[i])
			default:
				rest.Set(n, a.values[i])
			}
		}
		inner.set("kwargs", rest)
		inner.set("varargs", &List{Items: a.list[given:], Tuple: true})
		for i, p := range m.params {
			if _, ok := inner.names[p]; ok {
				continue
			}
			d := i - (len(m.params) - len(m.defaults))
			if d < 0 {
				inner.set(p, undefined{fmt.Sprintf("parameter %q", p)})
				continue
			}
			v, err := r.eval(m.defaults[d], inner)
			if err != nil {
				return nil, err
			}
			inner.set(p, v)
		}
		return r.captured(m.body, inner)
	}}
}
