//go:build unix

package disk

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// syncDir flushes a folder's entries. Some network file systems cannot do it and return EINVAL or ENOTSUP.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("flush folder %s: %w", dir, err)
	}
	defer d.Close()
	err = d.Sync()
	if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return fmt.Errorf("flush folder %s: %w", dir, err)
	}
	return nil
}
