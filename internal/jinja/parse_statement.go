package jinja

import (
	"fmt"
	"slices"
	"strings"
)

// parser turns tokens into nodes.
type parser struct {
	tokens []token
	i      int
	depth  int
	loops  int // number of enclosing loops, for break and continue
}

func (p *parser) peek() token { return p.tokens[p.i] }

func (p *parser) next() token {
	t := p.tokens[p.i]
	if t.kind != tokEOF {
		p.i++
	}
	return t
}

func (p *parser) fail(format string, args ...any) error {
	return &SyntaxError{p.peek().line, fmt.Sprintf(format, args...)}
}

func (p *parser) isOp(op string) bool  { t := p.peek(); return t.kind == tokOp && t.text == op }
func (p *parser) isName(n string) bool { t := p.peek(); return t.kind == tokName && t.text == n }

// take consumes an operator or a keyword if it is next.
func (p *parser) take(s string) bool {
	if p.isOp(s) || p.isName(s) {
		p.i++
		return true
	}
	return false
}

func (p *parser) expect(s string) error {
	if !p.take(s) {
		return p.fail("expected %q, found %v", s, p.peek())
	}
	return nil
}

func (p *parser) expectName() (string, error) {
	if p.peek().kind != tokName {
		return "", p.fail("expected a name, found %v", p.peek())
	}
	return p.next().text, nil
}

func (p *parser) blockEnd() error {
	if p.peek().kind != tokBlockEnd {
		return p.fail("expected %%}, found %v", p.peek())
	}
	p.i++
	return nil
}

func (p *parser) enter() error {
	if p.depth++; p.depth > maxDepth {
		return p.fail("nested more than %d deep", maxDepth)
	}
	return nil
}

// body reads nodes up to a tag that begins with one of the words, which it does not consume.
// Without words it reads to the end of the template.
func (p *parser) body(words ...string) ([]node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	var out []node
	for {
		t := p.next()
		switch t.kind {
		case tokEOF:
			if len(words) > 0 {
				return nil, p.fail("the template ends; expected {%% %s %%}", strings.Join(words, " or "))
			}
			return out, nil
		case tokData:
			out = append(out, textNode{t.text})
		case tokPrintBegin:
			x, err := p.tuple(false)
			if err != nil {
				return nil, err
			}
			if p.peek().kind != tokPrintEnd {
				return nil, p.fail("expected }}, found %v", p.peek())
			}
			p.i++
			out = append(out, printNode{at(t.line), x})
		case tokBlockBegin:
			if p.peek().kind == tokName && slices.Contains(words, p.peek().text) {
				return out, nil
			}
			n, err := p.statement()
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		default:
			return nil, p.fail("unexpected %v", t)
		}
	}
}

// end reads a body and the tag that closes it.
func (p *parser) end(word string) ([]node, error) {
	if err := p.blockEnd(); err != nil {
		return nil, err
	}
	body, err := p.body(word)
	if err != nil {
		return nil, err
	}
	p.i++
	return body, p.blockEnd()
}

func (p *parser) statement() (node, error) {
	line := at(p.peek().line)
	word, err := p.expectName()
	if err != nil {
		return nil, err
	}
	switch word {
	case "if":
		return p.ifStatement(line)
	case "for":
		return p.forStatement(line)
	case "set":
		return p.setStatement(line)
	case "macro":
		return p.macro(line)
	case "call":
		return p.callStatement(line)
	case "filter":
		f := filterBlock{at: line}
		if f.filters, err = p.filterNames(true); err != nil {
			return nil, err
		}
		f.body, err = p.end("endfilter")
		return f, err
	case "with":
		return p.with(line)
	case "generation":
		body, err := p.end("endgeneration")
		return scopeNode{body}, err
	case "break", "continue":
		if p.loops == 0 {
			return nil, p.fail("%s outside of a loop", word)
		}
		if word == "break" {
			return breakNode{line}, p.blockEnd()
		}
		return nextNode{line}, p.blockEnd()
	case "include", "import", "from", "extends", "block":
		p.i--
		return nil, p.fail("%s is not allowed in a chat template", word)
	}
	p.i--
	return nil, p.fail("unknown tag %q", clip(word))
}

func (p *parser) ifStatement(line at) (node, error) {
	n := ifNode{at: line}
	for {
		test, err := p.tupleNoCond()
		if err != nil {
			return nil, err
		}
		if err := p.blockEnd(); err != nil {
			return nil, err
		}
		body, err := p.body("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		n.tests, n.bodies = append(n.tests, test), append(n.bodies, body)
		switch p.next().text {
		case "elif":
			continue
		case "else":
			n.otherwise, err = p.end("endif")
			return n, err
		}
		return n, p.blockEnd()
	}
}

func (p *parser) forStatement(line at) (node, error) {
	n := forNode{at: line}
	var err error
	if n.targets, err = p.targets(); err != nil {
		return nil, err
	}
	if err := p.expect("in"); err != nil {
		return nil, err
	}
	if n.over, err = p.tupleNoCond(); err != nil {
		return nil, err
	}
	if p.take("if") {
		if n.filter, err = p.expression(); err != nil {
			return nil, err
		}
	}
	n.recursive = p.take("recursive")
	if err := p.blockEnd(); err != nil {
		return nil, err
	}
	p.loops++
	n.body, err = p.body("else", "endfor")
	p.loops--
	if err != nil {
		return nil, err
	}
	if p.next().text == "else" {
		n.otherwise, err = p.end("endfor")
		return n, err
	}
	return n, p.blockEnd()
}

// targets reads the targets of a loop or a set: one, or several separated by commas.
func (p *parser) targets() (target, error) {
	first, err := p.target()
	if err != nil || !p.isOp(",") {
		return first, err
	}
	t := target{parts: []target{first}}
	for p.take(",") {
		if p.peek().kind != tokName && !p.isOp("(") {
			break
		}
		next, err := p.target()
		if err != nil {
			return t, err
		}
		t.parts = append(t.parts, next)
	}
	return t, nil
}

func (p *parser) target() (target, error) {
	if p.take("(") {
		if err := p.enter(); err != nil {
			return target{}, err
		}
		defer func() { p.depth-- }()
		t, err := p.targets()
		if err != nil {
			return t, err
		}
		return t, p.expect(")")
	}
	n, err := p.expectName()
	if err != nil {
		return target{}, err
	}
	if reserved[n] {
		p.i--
		return target{}, p.fail("can't assign to %q", n)
	}
	t := target{name: n}
	if p.take(".") {
		t.attr, err = p.expectName()
	}
	return t, err
}

// reserved words can't be assigned to.
var reserved = map[string]bool{"true": true, "false": true, "none": true, "True": true, "False": true, "None": true, "and": true, "or": true, "not": true, "in": true, "is": true, "if": true, "else": true}

func (p *parser) setStatement(line at) (node, error) {
	t, err := p.targets()
	if err != nil {
		return nil, err
	}
	if p.take("=") {
		value, err := p.tuple(false)
		if err != nil {
			return nil, err
		}
		return setNode{line, t, value}, p.blockEnd()
	}
	n := setBlock{at: line, targets: t}
	if n.filters, err = p.filterNames(false); err != nil {
		return nil, err
	}
	n.body, err = p.end("endset")
	return n, err
}

// filterNames reads a chain of filters. With bare, the first has no "|" before it.
func (p *parser) filterNames(bare bool) (out []filterExpr, err error) {
	for bare || p.take("|") {
		bare = false
		f, err := p.filterTail(nil)
		if err != nil {
			return nil, err
		}
		out = append(out, *f)
	}
	return out, nil
}

func (p *parser) parameters(m *macroNode) error {
	if err := p.expect("("); err != nil {
		return err
	}
	for !p.take(")") {
		if len(m.params) > 0 {
			if err := p.expect(","); err != nil {
				return err
			}
			if p.take(")") {
				return nil
			}
		}
		n, err := p.expectName()
		if err != nil {
			return err
		}
		m.params = append(m.params, n)
		switch {
		case p.take("="):
			x, err := p.expression()
			if err != nil {
				return err
			}
			m.defaults = append(m.defaults, x)
		case len(m.defaults) > 0:
			return p.fail("parameter %q without a default follows one with a default", n)
		}
	}
	return nil
}

// subBody reads a body in which break and continue of the enclosing loops are not allowed.
func (p *parser) subBody(word string) ([]node, error) {
	loops := p.loops
	p.loops = 0
	defer func() { p.loops = loops }()
	return p.end(word)
}

func (p *parser) macro(line at) (node, error) {
	m := &macroNode{at: line}
	var err error
	if m.name, err = p.expectName(); err != nil {
		return nil, err
	}
	if err := p.parameters(m); err != nil {
		return nil, err
	}
	m.body, err = p.subBody("endmacro")
	return m, err
}

func (p *parser) callStatement(line at) (node, error) {
	c := callBlock{at: line, caller: &macroNode{at: line, name: "caller"}}
	if p.isOp("(") {
		if err := p.parameters(c.caller); err != nil {
			return nil, err
		}
	}
	x, err := p.expression()
	if err != nil {
		return nil, err
	}
	var ok bool
	if c.call, ok = x.(*callExpr); !ok {
		return nil, p.fail("call needs a call of a macro")
	}
	c.caller.body, err = p.subBody("endcall")
	return c, err
}

func (p *parser) with(line at) (node, error) {
	w := withNode{at: line}
	for p.peek().kind != tokBlockEnd {
		if len(w.targets) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		t, err := p.target()
		if err != nil {
			return nil, err
		}
		if err := p.expect("="); err != nil {
			return nil, err
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		w.targets, w.values = append(w.targets, t), append(w.values, x)
	}
	var err error
	w.body, err = p.end("endwith")
	return w, err
}
