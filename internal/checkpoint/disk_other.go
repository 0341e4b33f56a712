//go:build !unix

package checkpoint

import (
	"errors"
	"syscall"
)

// isDiskFull recognises Windows' ERROR_HANDLE_DISK_FULL and ERROR_DISK_FULL.
func isDiskFull(err error) bool {
	var no syscall.Errno
	return errors.As(err, &no) && (no == 39 || no == 112)
}
