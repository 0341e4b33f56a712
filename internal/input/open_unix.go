//go:build unix

package input

import (
	"os"
	"syscall"
)

// openNow opens a file for reading; a pipe without a writer, too, is open at once.
func openNow(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
}
