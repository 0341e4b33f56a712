//go:build linux || darwin

package hub

import "golang.org/x/sys/unix"

// freeSpace is what an ordinary user may still write to the disk that dir lies on, in
// bytes; ok is false where that can't be told.
func freeSpace(dir string) (bytes int64, ok bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil || s.Blocks == 0 {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
