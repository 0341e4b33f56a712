//go:build !amd64

package float

func gridErrorBlocks(w, d []float32, g *GridStep, lanes *[gridLanes]float32) int { return 0 }
func gridRoundBlocks(q []int8, w []float32, g *GridStep) int                     { return 0 }
func gridValuesBlocks(dst []float32, q []int8, g *GridStep) int                  { return 0 }
func gridRoundEachBlocks(q []int8, e, w, scale, shift []float32, g *GridStep, share float32) int {
	return 0
}
func rangeBlocks(x []float32) (least, most float32, n int) { return 0, 0, 0 }

func gridTurnBlocks(q []int8, e, gradient, change, scale, shift []float32, g *GridStep, h float32) (int, bool) {
	return 0, false
}
