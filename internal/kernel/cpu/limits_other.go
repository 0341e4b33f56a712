//go:build !amd64 && !arm64

package cpu

import "github.com/specquant/specquant/internal/kernel/parallel"

// Machines without assembly have no loops for the limits of arithmetic.

func peakInt8(p *parallel.Pool) (float64, bool) { return 0, false }
func peakFMA(p *parallel.Pool) (float64, bool)  { return 0, false }
func readBytes(b []byte)                        { readBytesPortable(b) }
