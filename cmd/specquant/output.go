package main

import (
	"fmt"
	"io"
)

// output is standard output that remembers its first write error, so that a command whose
// results are lost (a full disk, a closed file) fails even if it does not check each write.
// After an error, further writes are dropped.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	o.err = err
	return n, err
}

// status returns the exit code of a command that ended with the given code. If its output was
// lost, 0 becomes 1 and a message is printed.
func (o *output) status(code int, errOut io.Writer) int {
	if o.err == nil || code != 0 {
		return code
	}
	fmt.Fprintf(errOut, "specquant: standard output: %v; what was written there is incomplete\n", o.err)
	return 1
}

// rowFailed prints at once that a row of a table could not be made, and returns the error for
// the end of the command. The other rows are still made.
func (e *env) rowFailed(row string, err error) error {
	err = fmt.Errorf("%s: %w", row, err)
	fmt.Fprintf(e.err, "%s%v; continuing with the other rows\n", e.clear(), err)
	return err
}
