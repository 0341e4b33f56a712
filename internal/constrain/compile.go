package constrain

import (
	"errors"
	"fmt"
)

// Program is a compiled constraint before it meets a vocabulary.
type Program struct {
	p *program
	// Warnings name what of a schema is not enforced.
	Warnings []string
}

// Schema compiles a JSON Schema. Its error is an [Error] with the place.
func Schema(schema []byte) (*Program, error) {
	v, err := decode(schema)
	if err != nil {
		return nil, err
	}
	c := newCompiler()
	return c.program(c.rule(element{schema: v}))
}

// AnyObject compiles the constraint that the text is a JSON object.
func AnyObject() (*Program, error) {
	c := newCompiler()
	c.value() // its rule before that of an object, which has it in it
	return c.program(c.anyObject())
}

// Regexp compiles a regular expression, which the whole text must match.
func Regexp(pattern string) (*Program, error) {
	c := newCompiler()
	d, err := parsePattern(pattern, true, &c.work)
	if err != nil {
		var known *Error
		if errors.As(err, &known) {
			return nil, err
		}
		return nil, &Error{"", fmt.Sprintf("%s %v", shorten(pattern), err)}
	}
	return c.program(c.automaton(d, raw, ret))
}

// Choice compiles the constraint that the text is one of several.
func Choice(texts []string) (*Program, error) {
	c := newCompiler()
	if len(texts) == 0 {
		return nil, &Error{"", "there is nothing to choose from"}
	}
	return c.program(c.literals(texts, ret))
}

func (c *compiler) program(start int32) (*Program, error) {
	p, err := c.finish(start)
	if err != nil {
		return nil, err
	}
	return &Program{p, c.warnings}, nil
}

// Grammar joins the constraint with a vocabulary. Where the decoder takes a blank off the
// beginning of a text, the text may begin with one.
func (p *Program) Grammar(v *Vocabulary) *Grammar {
	q := *p.p
	if v.strips {
		n := int32(len(q.nodes))
		q.nodes = append(q.nodes[:n:n], node{kind: kBytes, edges: []edge{{' ', ' ', q.start}}}, node{kind: kSplit, alts: []int32{q.start, n}})
		q.height = append(q.height[:n:n], q.height[q.start], q.height[q.start])
		q.start = n + 1
	}
	return newGrammar(&q, v)
}
