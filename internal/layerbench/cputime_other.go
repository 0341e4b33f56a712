//go:build !unix

package layerbench

// cpuSeconds is not known here.
func cpuSeconds() float64 { return 0 }
