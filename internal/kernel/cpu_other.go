//go:build !amd64 && !arm64

package kernel

func detect() []Tier { return nil }

// pause is called in each round of a loop that waits for another thread.
func pause() {}
