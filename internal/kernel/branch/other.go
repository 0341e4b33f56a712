//go:build !amd64 && !arm64

package branch

// Machines without assembly run the portable kernels.

func byteTile(y []float32, ldy int, c []int8, n int, z []float32, tokens, update int) {
	byteTileGo(y, ldy, c, n, z, tokens, update)
}

func byteTiles4(y []float32, c []int8, n int, z []float32) bool { return false }

func byteDots(out *[foldTokens][8]float32, data []int8, x []float32, ldx, n, tokens int) {
	byteDotsGo(out, data, x, ldx, n, tokens)
}

func byteOut(x []float32, ldx int, data []int8, z *[foldTokens][8]float32, n, tokens int) {
	byteOutGo(x, ldx, data, z, n, tokens)
}

func halfTile(y []float32, ldy int, c []uint16, n int, z []float32, ldz, tokens, update int) {
	halfTileGo(y, ldy, c, n, z, ldz, tokens, update)
}

func halfTiles4(y []float32, c []uint16, n int, z []float32) bool { return false }
