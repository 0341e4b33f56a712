//go:build !amd64

package parallel

// pause is called in every round of a loop that polls. On amd64 it lets the other hardware
// thread of the core run for a moment; other machines have nothing to do.
func pause() {}
