//go:build linux || darwin

package hub

import "golang.org/x/sys/unix"

// freeSpace is the space in bytes that an ordinary user may still use on the disk of dir;
// ok is false if it is unknown.
func freeSpace(dir string) (bytes int64, ok bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil || s.Blocks == 0 {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
