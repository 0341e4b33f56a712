//go:build !amd64 && !arm64

package kv

// Machines without assembly run the Go code of attend.go and int.go.

func kvTileRows(left int) int              { return min(left, 8) }
func kvUnit(rows int) int                  { return kvLanes }
func kvIntPlanes() bool                    { return false }
func kvIntTileRows(c *Cache, left int) int { return min(left, 8) }
func kvRowsTogether() int                  { return 1 }
func kvIntUnit(rows int) int               { return kvLanes }

func kvScoreBlocks(c *Cache, head, from, n int, q []float32, rows int, dst []float32, stride int) bool {
	return false
}

func kvCombineBlocks(c *Cache, head, from, n int, w []float32, stride, rows int, sums []float32, dims int) bool {
	return false
}

func kvIntScoreBlocks(c, next *Cache, head, from, n int, q []byte, total []int32, dst []float32, stride int) bool {
	return false
}

func kvIntCombineBlocks(c, next *Cache, head, from, n int, w []byte, wRow int, step []float32, stepRow, rows int, sums []float32, dims int) bool {
	return false
}

func kvIntRound(u []byte, x []float32, inv float32, bits int) (n int, total int32) { return 0, 0 }

func kvSoftmaxBlocks(dst []byte, step, s []float32, a, limit float32, vscale, vmin []float32) (sum, base float32, ok bool) {
	return 0, 0, false
}

// kvPlaces is where the positions of a call lie; no routine here needs to know.
type kvPlaces struct{}

func (a *kvCall) listPlaces() {}
func (b *kvPlaces) forget()   {}

// scoreTile and combineTile have no routine here.
func (a *kvCall) scoreTile(t kvTile, from, to int) bool                   { return false }
func (a *kvCall) combineTile(t kvTile, from, to int, sums []float32) bool { return false }
