package checkpoint

import (
	"errors"
	"fmt"
)

// The kinds of errors that this package returns besides those of the operating system; test
// with errors.Is.
var (
	// ErrMalformed: a file breaks its own format (truncated, overlapping
	// tensors, bad JSON, a field of the wrong type or out of bounds).
	ErrMalformed = errors.New("malformed file")
	// ErrUnsupported: a well-formed file asks for something that is not
	// implemented (an architecture, a dtype, a rope scaling kind).
	ErrUnsupported = errors.New("not supported")
	// ErrNotFinite: a weight is NaN or infinite, or does not fit float32.
	ErrNotFinite = errors.New("value is not finite")
	// ErrNotFound: a file of the folder or a tensor is missing.
	ErrNotFound = errors.New("not found")
)

// kindError is an error with its own text that errors.Is recognises as one of the kinds
// above.
type kindError struct {
	kind error
	msg  string
}

func (e *kindError) Error() string { return e.msg }
func (e *kindError) Unwrap() error { return e.kind }

func malformed(format string, a ...any) error {
	return &kindError{ErrMalformed, fmt.Sprintf(format, a...)}
}

func unsupported(format string, a ...any) error {
	return &kindError{ErrUnsupported, fmt.Sprintf(format, a...)}
}

func notFound(format string, a ...any) error {
	return &kindError{ErrNotFound, fmt.Sprintf(format, a...)}
}
