//go:build unix

package meter

import "syscall"

// CPUSeconds is the processor time of this process in seconds, over all threads; on a busy
// machine the time on the clock says little about the work.
func CPUSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(u.Utime) + seconds(u.Stime)
}
