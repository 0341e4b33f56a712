package checkpoint

import (
	"path/filepath"

	"github.com/specquant/specquant/internal/disk"
)

// RenameDir durably renames a finished folder. The new name must not exist.
func RenameDir(from, to string) error {
	if err := disk.FlushDir(from); err != nil {
		return err
	}
	if err := disk.RenameTo(from, to); err != nil {
		return err
	}
	return disk.FlushDir(filepath.Dir(filepath.Clean(to)))
}
