//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package checkpoint

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps size bytes of f read-only; size is positive and fits an int.
// The map outlives f.
func mapFile(f *os.File, size int64) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
}

func unmapFile(m []byte) error { return unix.Munmap(m) }

// dropPages removes the page-aligned m from resident memory. It is only advice to the
// kernel; an error changes nothing but the memory used and is not reported.
func dropPages(m []byte) { _ = unix.Madvise(m, unix.MADV_DONTNEED) }
