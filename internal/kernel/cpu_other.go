//go:build !amd64

package kernel

func detect() Tier { return Portable }

// pause is what a loop that looks out for another thread does in between.
func pause() {}
