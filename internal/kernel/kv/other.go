//go:build !amd64 && !arm64

package kv

func kvTileRows(left int) int { return min(left, 8) }
func kvUnit(rows int) int     { return kvLanes }

func kvScoreBlocks(c *Cache, head, from, n int, q []float32, rows int, dst []float32, stride int) bool {
	return false
}

func kvWeightBlocks(p []float32, scale, minimum []uint16, lanes *[kvLanes]float32) int { return 0 }

func kvCombineBlocks(c *Cache, head, from, n int, w []float32, stride, rows int, sums []float32, dims int) bool {
	return false
}
