package jinja

import (
	"slices"
	"strconv"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// expression reads one expression, with its condition.
func (p *parser) expression() (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	x, err := p.or()
	for err == nil && p.isName("if") {
		line := at(p.next().line)
		c := &condition{at: line, then: x}
		if c.test, err = p.or(); err != nil {
			return nil, err
		}
		if p.take("else") {
			if c.otherwise, err = p.expression(); err != nil {
				return nil, err
			}
		}
		x = c
	}
	return x, err
}

// tuple reads expressions separated by commas. explicit means that parentheses surround them,
// so that there may be none.
func (p *parser) tuple(explicit bool) (expr, error) { return p.tupleOf(explicit, p.expression) }

// tupleNoCond is tuple without conditional expressions, so that a following if is not part of
// it.
func (p *parser) tupleNoCond() (expr, error) { return p.tupleOf(false, p.or) }

func (p *parser) tupleOf(explicit bool, item func() (expr, error)) (expr, error) {
	l := &listExpr{at: at(p.peek().line), tuple: true}
	for {
		if p.isOp(")") || p.peek().kind == tokBlockEnd || p.peek().kind == tokPrintEnd || p.isName("in") || p.isName("recursive") {
			break
		}
		x, err := item()
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, x)
		if !p.take(",") {
			if len(l.items) == 1 {
				return x, nil
			}
			break
		}
	}
	if len(l.items) == 0 && !explicit {
		return nil, p.fail("expected an expression, found %v", p.peek())
	}
	return l, nil
}

func (p *parser) or() (expr, error)  { return p.left(p.and, "or") }
func (p *parser) and() (expr, error) { return p.left(p.not, "and") }

// left reads left-associative operators.
func (p *parser) left(operand func() (expr, error), ops ...string) (expr, error) {
	x, err := operand()
	for n := 0; err == nil; n++ {
		t := p.peek()
		if t.kind != tokOp && t.kind != tokName || !slices.Contains(ops, t.text) {
			return x, nil
		}
		if n > 10*maxDepth {
			return nil, p.fail("more than %s in a row", plural.Of(10*maxDepth, "operator"))
		}
		p.i++
		var r expr
		if r, err = operand(); err == nil {
			x = &binary{at(t.line), t.text, x, r}
		}
	}
	return nil, err
}

func (p *parser) not() (expr, error) {
	t := p.peek()
	if !p.take("not") {
		return p.comparison()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	x, err := p.not()
	return &unary{at(t.line), "not", x}, err
}

func (p *parser) comparison() (expr, error) {
	first, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := &compare{at: at(p.peek().line), first: first}
	for {
		op := ""
		switch t := p.peek(); {
		case t.kind == tokOp && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.text):
			op = t.text
			p.i++
		case p.isName("in"):
			op = "in"
			p.i++
		case p.isName("not") && p.tokens[p.i+1].kind == tokName && p.tokens[p.i+1].text == "in":
			op = "not in"
			p.i += 2
		}
		if op == "" {
			break
		}
		r, err := p.sum()
		if err != nil {
			return nil, err
		}
		c.ops, c.rest = append(c.ops, op), append(c.rest, r)
	}
	if len(c.ops) == 0 {
		return first, nil
	}
	return c, nil
}

func (p *parser) sum() (expr, error)     { return p.left(p.joined, "+", "-") }
func (p *parser) joined() (expr, error)  { return p.left(p.product, "~") }
func (p *parser) product() (expr, error) { return p.left(p.power, "*", "/", "//", "%") }
func (p *parser) power() (expr, error) {
	return p.left(func() (expr, error) { return p.signed(true) }, "**")
}

func (p *parser) signed(filters bool) (expr, error) {
	t := p.peek()
	var x expr
	var err error
	if p.isOp("-") || p.isOp("+") {
		p.i++
		if err := p.enter(); err != nil {
			return nil, err
		}
		x, err = p.signed(false)
		p.depth--
		x = &unary{at(t.line), t.text, x}
	} else if x, err = p.primary(); err == nil {
		x, err = p.postfix(x)
	}
	if err == nil && filters {
		x, err = p.filtered(x)
	}
	return x, err
}

// primary reads a name, a literal or an expression in parentheses.
func (p *parser) primary() (expr, error) {
	t := p.peek()
	line := at(t.line)
	switch t.kind {
	case tokName:
		p.i++
		switch t.text {
		case "true", "True":
			return &constant{line, true}, nil
		case "false", "False":
			return &constant{line, false}, nil
		case "none", "None":
			return &constant{line, nil}, nil
		}
		return &name{line, t.text}, nil
	case tokString:
		var b strings.Builder
		for p.peek().kind == tokString {
			b.WriteString(p.next().text)
		}
		return &constant{line, Template(b.String())}, nil
	case tokInt, tokFloat:
		v, err := parseNumber(t)
		if err != nil {
			return nil, p.fail("the number %s is out of range", clip(t.text))
		}
		p.i++
		return &constant{line, v}, nil
	}
	switch {
	case p.take("("):
		if err := p.enter(); err != nil {
			return nil, err
		}
		defer func() { p.depth-- }()
		x, err := p.tuple(true)
		if err != nil {
			return nil, err
		}
		return x, p.expect(")")
	case p.take("["):
		l := &listExpr{at: line}
		return l, p.items("]", func() error {
			x, err := p.expression()
			l.items = append(l.items, x)
			return err
		})
	case p.take("{"):
		d := &dictExpr{at: line}
		return d, p.items("}", func() error {
			k, err := p.expression()
			if err != nil {
				return err
			}
			if err := p.expect(":"); err != nil {
				return err
			}
			v, err := p.expression()
			d.keys, d.values = append(d.keys, k), append(d.values, v)
			return err
		})
	}
	return nil, p.fail("expected an expression, found %v", t)
}

// items reads what stands between brackets, up to the closing one: items with commas between them, and perhaps one
// after the last.
func (p *parser) items(end string, item func() error) error {
	for first := true; !p.take(end); first = false {
		if !first {
			if err := p.expect(","); err != nil {
				return err
			}
			if p.take(end) {
				break
			}
		}
		if err := item(); err != nil {
			return err
		}
	}
	return nil
}

// parseNumber returns the int64 or float64 that a token stands for.
func parseNumber(t token) (Value, error) {
	if t.kind == tokFloat {
		return strconv.ParseFloat(t.text, 64)
	}
	v, err := strconv.ParseInt(t.text, 0, 64)
	if d := strings.TrimLeft(t.text, "0"); err != nil && d != t.text { // 007 is an error in Python too, 00 is not
		v, err = strconv.ParseInt(d+"0"[:b2i(d == "")], 10, 64)
	}
	return v, err
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// postfix reads attributes, subscripts and calls.
func (p *parser) postfix(x expr) (expr, error) {
	for n := 0; ; n++ {
		if n > maxDepth {
			return nil, p.fail("more than %s and calls in a row", plural.Of(maxDepth, "attribute"))
		}
		line := at(p.peek().line)
		switch {
		case p.take("."):
			switch t := p.next(); t.kind {
			case tokName:
				x = &attribute{line, x, t.text}
			case tokInt:
				v, _ := strconv.ParseInt(t.text, 10, 64)
				x = &subscript{line, x, &constant{line, v}}
			default:
				return nil, p.fail("expected a name after the dot, found %v", t)
			}
		case p.take("["):
			key, err := p.subscripted()
			if err != nil {
				return nil, err
			}
			x = &subscript{line, x, key}
		case p.isOp("("):
			args, err := p.arguments()
			if err != nil {
				return nil, err
			}
			x = &callExpr{line, x, args}
		default:
			return x, nil
		}
	}
}

// subscripted reads the contents of brackets after a value.
func (p *parser) subscripted() (expr, error) {
	s := &sliceExpr{at: at(p.peek().line)}
	parts, colons := [3]expr{}, 0
	for !p.isOp("]") {
		if p.take(":") {
			if colons++; colons > 2 {
				return nil, p.fail("too many colons in a slice")
			}
			continue
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		if parts[colons] != nil {
			return nil, p.fail("expected ], found %v", p.peek())
		}
		parts[colons] = x
	}
	p.i++
	if colons == 0 {
		if parts[0] == nil {
			return nil, p.fail("an empty subscript")
		}
		return parts[0], nil
	}
	s.from, s.to, s.step = parts[0], parts[1], parts[2]
	return s, nil
}

// arguments reads the arguments of a call, with the parentheses.
func (p *parser) arguments() (a arguments, err error) {
	if err := p.expect("("); err != nil {
		return a, err
	}
	for first := true; !p.take(")"); first = false {
		if !first {
			if err := p.expect(","); err != nil {
				return a, err
			}
			if p.take(")") {
				break
			}
		}
		switch {
		case p.take("*"):
			a.star, err = p.expression()
		case p.take("**"):
			a.stars, err = p.expression()
		case p.peek().kind == tokName && p.tokens[p.i+1].kind == tokOp && p.tokens[p.i+1].text == "=":
			a.names = append(a.names, p.next().text)
			p.i++
			var x expr
			x, err = p.expression()
			a.values = append(a.values, x)
		default:
			if len(a.names) > 0 || a.stars != nil {
				return a, p.fail("an argument without a name follows one with a name")
			}
			var x expr
			x, err = p.expression()
			a.list = append(a.list, x)
		}
		if err != nil {
			return a, err
		}
	}
	return a, nil
}

// filtered reads filters and tests.
func (p *parser) filtered(x expr) (expr, error) {
	for n := 0; ; n++ {
		if n > maxDepth {
			return nil, p.fail("more than %s in a row", plural.Of(maxDepth, "filter"))
		}
		switch {
		case p.take("|"):
			f, err := p.filterTail(x)
			if err != nil {
				return nil, err
			}
			x = f
		case p.isName("is"):
			p.i++
			t, err := p.test(x)
			if err != nil {
				return nil, err
			}
			x = t
		case p.isOp("("):
			args, err := p.arguments()
			if err != nil {
				return nil, err
			}
			x = &callExpr{at(p.peek().line), x, args}
		default:
			return x, nil
		}
	}
}

// filterTail reads a filter after "|".
func (p *parser) filterTail(x expr) (*filterExpr, error) {
	f := &filterExpr{at: at(p.peek().line), x: x}
	var err error
	if f.name, err = p.expectName(); err != nil {
		return nil, err
	}
	if p.isOp("(") {
		f.args, err = p.arguments()
	}
	return f, err
}

// test reads a test after "is".
func (p *parser) test(x expr) (expr, error) {
	line := at(p.peek().line)
	not := p.take("not")
	t := &testExpr{at: line, x: x}
	var err error
	if t.name, err = p.expectName(); err != nil {
		return nil, err
	}
	next := p.peek()
	switch {
	case p.isOp("("):
		t.args, err = p.arguments()
	case next.kind == tokString || next.kind == tokInt || next.kind == tokFloat || p.isOp("[") || p.isOp("{") ||
		next.kind == tokName && !slices.Contains([]string{"else", "or", "and", "if", "is", "in", "not", "recursive"}, next.text):
		var arg expr
		if arg, err = p.primary(); err == nil {
			arg, err = p.postfix(arg)
		}
		t.args.list = []expr{arg}
	}
	if err != nil {
		return nil, err
	}
	if not {
		return &unary{line, "not", t}, nil
	}
	return t, nil
}
