package main

import (
	"fmt"
	"io"
)

// output is standard output that remembers the first failure to write: a command
// whose results have not arrived (a full disk, a closed file) has failed, also
// where it does not look at each write. What comes after a failure is dropped.
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

// status is the exit code of a command that ended with the code: 1 in place of 0
// if its output was lost, with a line about it.
func (o *output) status(code int, errOut io.Writer) int {
	if o.err == nil || code != 0 {
		return code
	}
	fmt.Fprintf(errOut, "specquant: standard output: %v; what was written there is incomplete\n", o.err)
	return 1
}

// rowFailed says at once that a row of a table could not be made, and gives the error
// for the command's end: the other rows go on.
func (e *env) rowFailed(row string, err error) error {
	err = fmt.Errorf("%s: %w", row, err)
	fmt.Fprintf(e.err, "%s%v; the other rows go on\n", e.clear(), err)
	return err
}
