package compare

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// Failure is a row that could not be made.
type Failure struct {
	Recipe string // of a model of [Options.Also] its path
	Bits   string // the setting as it was asked for; [AsItIs]
	Err    error
}

// String names the row and the error.
func (f Failure) String() string { return fmt.Sprintf("%s at %s: %v", f.Recipe, f.Bits, f.Err) }

// MarshalJSON implements json.Marshaler: the error is its text.
func (f Failure) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Recipe string `json:"recipe"`
		Bits   string `json:"bits"`
		Error  string `json:"error"`
	}{f.Recipe, f.Bits, f.Err.Error()})
}

// FailedError lists the rows that are missing from the table that is returned with it.
type FailedError struct {
	Failures []Failure // at least one
}

func (e *FailedError) Error() string {
	lines := make([]string, len(e.Failures))
	for i, f := range e.Failures {
		lines[i] = f.String()
	}
	if len(lines) == 1 {
		return "this row could not be made: " + lines[0]
	}
	return fmt.Sprintf("%s could not be made:\n%s", plural.Of(len(lines), "row"), strings.Join(lines, "\n"))
}

// Unwrap returns the rows' errors.
func (e *FailedError) Unwrap() []error {
	errs := make([]error, len(e.Failures))
	for i, f := range e.Failures {
		errs[i] = f.Err
	}
	return errs
}
