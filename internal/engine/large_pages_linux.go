package engine

import (
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/specquant/specquant/internal/input"
)

const largePage = 2 << 20

// largePagesAllowed reports whether the system allows transparent large pages on request.
var largePagesAllowed = sync.OnceValue(func() bool {
	data, err := input.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled", 1<<16)
	return err == nil && !strings.Contains(string(data), "[never]")
})

// mapLargePages maps at least n bytes in large pages. It returns the whole mapping, which must
// be unmapped in the end, and its part that is aligned to large pages; both are nil if it
// fails.
func mapLargePages(n int) (whole, aligned []byte) {
	if !largePagesAllowed() {
		return nil, nil
	}
	n = (n + largePage - 1) &^ (largePage - 1)
	whole, err := unix.Mmap(-1, 0, n+largePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, nil
	}
	skip := int(-uintptr(unsafe.Pointer(&whole[0])) & (largePage - 1))
	aligned = whole[skip:][:n:n]
	if unix.Madvise(aligned, unix.MADV_HUGEPAGE) != nil {
		unmapPages(whole)
		return nil, nil
	}
	return whole, aligned
}

// unmapPages unmaps a mapping of mapLargePages. It can't fail unless there is a programming
// error.
func unmapPages(whole []byte) { _ = unix.Munmap(whole) }
