package checkpoint

import (
	"os"
	"path/filepath"
)

// RenameDir durably renames a finished folder. The new name must not exist.
func RenameDir(from, to string) error {
	if err := syncDir(from); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(filepath.Clean(to)))
}
