//go:build !amd64 && !arm64

package kv

func kvIntPlanes() bool          { return false }
func kvIntTileRows(left int) int { return min(left, 8) }
func kvIntUnit(rows int) int     { return kvLanes }

func kvIntRound(u []byte, x []float32, inv float32, bits int) (n int, total int32) { return 0, 0 }

func kvIntScoreBlocks(c *Cache, head, from, n int, q []byte, total []int32, dst []float32, stride int) bool {
	return false
}

func kvIntWeightBlocks(dst []byte, step, w []float32) bool { return false }

func kvIntCombineBlocks(c *Cache, head, from, n int, w []byte, wRow int, step []float32, stepRow, rows int, sums []float32, dims int) bool {
	return false
}
