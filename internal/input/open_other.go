//go:build !unix

package input

import "os"

// openNow opens a file for reading. These systems have no named pipes in the file system.
func openNow(path string) (*os.File, error) { return os.Open(path) }
