//go:build !linux

package engine

// mapLargePages returns nothing: other systems allow large pages only to privileged programs.
func mapLargePages(int) (whole, aligned []byte) { return nil, nil }

func unmapPages([]byte) {}
