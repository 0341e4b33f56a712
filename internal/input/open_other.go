//go:build !unix

package input

import "os"

// openNow opens a file for reading. These systems have no pipes by the name of a file.
func openNow(path string) (*os.File, error) { return os.Open(path) }
