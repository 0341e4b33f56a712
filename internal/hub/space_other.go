//go:build !linux && !darwin

package hub

// freeSpace is unknown on this system.
func freeSpace(string) (bytes int64, ok bool) { return 0, false }
