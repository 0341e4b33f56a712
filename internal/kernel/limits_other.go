//go:build !amd64 && !arm64

package kernel

func (p *Pool) peakInt8() (float64, bool) { return 0, false }
func (p *Pool) peakFMA() (float64, bool)  { return 0, false }
func readBytes(b []byte)                  { readBytesPortable(b) }
