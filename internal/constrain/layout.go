package constrain

// Layout says how the calls of tools are written in an answer.
type Layout struct {
	Open, Close string // text around a call; "": none
	List        bool   // between them is an array of calls, not one
	Arguments   string // name of the member with the arguments; that with the tool's name is "name"
	Several     bool   // more than one call may be made
	Free        bool   // text may come before a call, and instead of one; Open must not be empty
	Begun       bool   // the first Open is written already
	// Instead is the schema of what may be written instead of calls; nil: none.
	Instead []byte
}

// Tool is a function that may be called.
type Tool struct {
	Name       string
	Parameters []byte // schema of its arguments; nil: any object
}

// Calls compiles the constraint that tools are called as a layout says, with arguments
// that fit their schemas. An error's Path begins with the tool's name.
func Calls(l Layout, tools []Tool) (*Program, error) {
	c := newCompiler()
	var alts []int32
	for _, t := range tools {
		schema := t.Parameters
		if schema == nil {
			schema = []byte(`{"type":"object"}`)
		}
		v, err := decode(schema)
		if err != nil {
			return nil, inTool(err, t.Name)
		}
		warned := len(c.warnings)
		arguments := c.rule(element{schema: v})
		if c.err != nil {
			return nil, inTool(c.err, t.Name)
		}
		for i := range c.warnings[warned:] {
			c.warnings[warned+i] = t.Name + c.warnings[warned+i]
		}
		alts = append(alts, c.object([]property{{"name", c.text(quote(t.Name), ret), true}, {l.Arguments, arguments, true}}, nil, 0, -1, ret))
	}
	call := c.split(alts...)
	if l.List {
		most := 1
		if l.Several {
			most = -1
		}
		call = c.array(nil, call, 1, most, ret)
	}
	line := func(next int32) int32 { return c.split(c.byte('\n', next), next) }
	more := c.add(node{kind: kSplit}) // behind a call
	body := line(c.call(call, line(c.text(l.Close, more))))
	if l.Close == "" {
		body = c.call(call, more)
	}
	next := []int32{ret}
	if l.Several && !l.List && l.Open != "" {
		next = append(next, line(c.text(l.Open, body)))
	}
	if c.err == nil {
		c.nodes[more].alts = next
	}
	start := body
	if !l.Begun {
		start = c.text(l.Open, body)
		if l.Free {
			start = searching(c.add, func(i int32) *node { return &c.nodes[i] }, l.Open, body, true)
		}
	}
	if l.Instead != nil {
		v, err := decode(l.Instead)
		if err != nil {
			return nil, err
		}
		start = c.split(start, c.rule(element{schema: v}))
	}
	return c.program(start)
}

// inTool says in which tool's schema an error is.
func inTool(err error, name string) error {
	if e, ok := err.(*Error); ok {
		return &Error{name + e.Path, e.Message}
	}
	return err
}

// Marks around what a model thinks.
const (
	ThinkOpen  = "<think>"
	ThinkClose = "</think>"
)

// Thinking lets anything be written between the marks of thinking before what the
// constraint asks for. begun: the first mark is written already, so that the second one
// must come; else the marks may be left out.
func (p *Program) Thinking(begun bool) *Program {
	q := *p.p
	height := q.height[q.start]
	q.nodes, q.height = append([]node{}, q.nodes...), append([]int32{}, q.height...)
	add := func(n node) int32 {
		q.nodes, q.height = append(q.nodes, n), append(q.height, height)
		return int32(len(q.nodes) - 1)
	}
	line := func(next int32) int32 {
		return add(node{kind: kSplit, alts: []int32{next, add(node{kind: kBytes, edges: []edge{{'\n', '\n', next}}})}})
	}
	thinking := searching(add, func(i int32) *node { return &q.nodes[i] }, ThinkClose, line(line(q.start)), false)
	if begun {
		q.start = thinking
	} else {
		for i := len(ThinkOpen) - 1; i >= 0; i-- {
			thinking = add(node{kind: kBytes, edges: []edge{{ThinkOpen[i], ThinkOpen[i], thinking}}})
		}
		q.start = add(node{kind: kSplit, alts: []int32{q.start, thinking}})
	}
	return &Program{&q, p.Warnings}
}

// searching reads any bytes up to the end of a text and goes on at found. ends: all may
// also end before that. add adds a node, at gives one that was added.
func searching(add func(node) int32, at func(int32) *node, text string, found int32, ends bool) int32 {
	// The states of Knuth, Morris and Pratt: state i has read the first i bytes of the text.
	begin := make([]int32, len(text)+1)
	for i := range text {
		begin[i] = add(node{kind: kSplit})
	}
	begin[len(text)] = found
	for i := range text {
		n := node{kind: kBytes}
		for b := range 256 {
			to := begin[overlap(text, i, byte(b))]
			if k := len(n.edges); k > 0 && n.edges[k-1].to == to {
				n.edges[k-1].hi = byte(b)
			} else {
				n.edges = append(n.edges, edge{byte(b), byte(b), to})
			}
		}
		alts := []int32{add(n)}
		if ends {
			alts = append(alts, ret)
		}
		at(begin[i]).alts = alts
	}
	return begin[0]
}

// overlap is how many bytes of text have been read when b comes behind its first n.
func overlap(text string, n int, b byte) int {
	read := text[:n] + string([]byte{b})
	for k := len(read); k > 0; k-- {
		if read[len(read)-k:] == text[:k] {
			return k
		}
	}
	return 0
}
