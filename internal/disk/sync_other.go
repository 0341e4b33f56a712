//go:build !unix

package disk

// syncDir does nothing: folders cannot be flushed on this system.
func syncDir(string) error { return nil }
