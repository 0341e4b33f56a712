//go:build !unix

package meter

// CPUSeconds is unknown on this system.
func CPUSeconds() float64 { return 0 }
