package constrain

import "fmt"

// Limits on schemas, on what is made of them, and on what is kept.
const (
	MaxSchemaBytes  = 256 << 10 // of a schema's text
	MaxSchemaDepth  = 128       // of arrays and objects in a schema
	MaxNodes        = 1 << 17   // of a program
	MaxPatternBytes = 4096      // of a regular expression's text
	MaxPatternSize  = 20000     // instructions of a regular expression, repetitions written out
	MaxStates       = 8192      // of a regular expression made deterministic, lengths included
	MaxWork         = 10e6      // steps of making regular expressions deterministic, in all
	MaxAlternatives = 512       // ways to combine anyOf, oneOf and allOf at one place
	MaxReadings     = 1024      // ways to read the text so far that are followed at once; further ones are dropped
	MaxStack        = 96        // depth of what is written: nested arrays, objects and references
	MaxKept         = 4 << 20   // bytes of states and masks that are kept of one constraint
	maxIndent       = 40        // blanks that begin a line
	fewTokens       = 512       // up to so many allowed tokens are listed; more are bits
)

// Error is what is wrong with a schema or an expression, and where.
type Error struct {
	Path    string // of the place in the schema, as a JSON pointer; "": the whole
	Message string
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

func errorAt(v *value, format string, args ...any) *Error {
	path := ""
	if v != nil {
		path = v.path()
	}
	return &Error{path, fmt.Sprintf(format, args...)}
}
