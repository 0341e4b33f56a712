//go:build !linux

package engine

// mapLargePages: other systems give large pages to programs with special rights only.
func mapLargePages(int) (whole, aligned []byte) { return nil, nil }

func unmapPages([]byte) {}
