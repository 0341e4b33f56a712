//go:build linux || darwin

package pipeline

import "golang.org/x/sys/unix"

// freeSpace returns the free space for ordinary users on the disk that holds dir, in bytes; ok
// is false if it is not known.
func freeSpace(dir string) (bytes int64, ok bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil || s.Blocks == 0 { // some network file systems do not report it
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
