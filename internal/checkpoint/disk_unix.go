//go:build unix

package checkpoint

import (
	"errors"
	"syscall"
)

// isDiskFull recognises a full disk and an exhausted quota.
func isDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
