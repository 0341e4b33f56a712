package jinja

// Expressions.
type (
	expr interface{ pos() int }

	at int // line

	constant struct {
		at
		value Value
	}
	name struct {
		at
		name string
	}
	listExpr struct {
		at
		items []expr
		tuple bool
	}
	dictExpr struct {
		at
		keys, values []expr
	}
	attribute struct {
		at
		of   expr
		name string
	}
	subscript struct {
		at
		of, key expr
	}
	sliceExpr struct {
		at
		from, to, step expr // nil: left out
	}
	unary struct {
		at
		op string // "-", "+", "not"
		x  expr
	}
	binary struct {
		at
		op   string
		l, r expr
	}
	compare struct {
		at
		first expr
		ops   []string
		rest  []expr
	}
	condition struct {
		at
		test, then, otherwise expr // otherwise nil: undefined
	}
	arguments struct {
		list   []expr
		names  []string // of values
		values []expr
		star   expr // *list; nil: none
		stars  expr // **dict
	}
	callExpr struct {
		at
		callee expr
		args   arguments
	}
	filterExpr struct {
		at
		x    expr // nil: the text of a filter block
		name string
		args arguments
	}
	testExpr struct {
		at
		x    expr
		name string
		args arguments
	}
)

func (a at) pos() int { return int(a) }

// Statements.
type (
	node interface{}

	textNode  struct{ text string }
	printNode struct {
		at
		x expr
	}
	ifNode struct {
		at
		tests     []expr // if and each elif
		bodies    [][]node
		otherwise []node
	}
	forNode struct {
		at
		targets         target
		over, filter    expr
		recursive       bool
		body, otherwise []node
	}
	setNode struct {
		at
		targets target
		value   expr
	}
	setBlock struct {
		at
		targets target
		filters []filterExpr
		body    []node
	}
	macroNode struct {
		at
		name     string
		params   []string
		defaults []expr // of the last params
		body     []node
	}
	callBlock struct {
		at
		call   *callExpr
		caller *macroNode
	}
	filterBlock struct {
		at
		filters []filterExpr
		body    []node
	}
	withNode struct {
		at
		targets []target
		values  []expr
		body    []node
	}
	scopeNode struct{ body []node } // a generation block: its body is rendered like any other
	breakNode struct{ at }
	nextNode  struct{ at }
)

// target is what is assigned to: a name, an attribute of a namespace, or several.
type target struct {
	name  string
	attr  string // of namespace name
	parts []target
}
