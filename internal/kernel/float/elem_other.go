//go:build !amd64 && !arm64

package float

// Machines without assembly run the portable definitions.

func hasElem() bool { return false }

func expBlocks(x []float32) int                                  { return 0 }
func maxScaled(x []float32, scale float32) float32               { panic("kernel: no assembly") }
func expSum(x []float32, scale, top float32, lanes *[16]float64) { panic("kernel: no assembly") }
func normalizeBlocks(x []float32, inv float32) int               { return 0 }
func swigluBlocks(gate, up []float32) int                        { return 0 }
func addBlocks(x, y []float32) int                               { return 0 }
func mulScaledBlocks(dst, x, weight []float32, inv float32) int  { return 0 }
func ropeBlocks(lo, hi, cos, sin []float32) int                  { return 0 }
