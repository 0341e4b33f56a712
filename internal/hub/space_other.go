//go:build !linux && !darwin

package hub

// freeSpace can't be told here.
func freeSpace(string) (bytes int64, ok bool) { return 0, false }
