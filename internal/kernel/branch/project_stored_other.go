//go:build !amd64 && !arm64

package branch

func storedDots(out *[foldTokens][8]float32, data []uint16, x []float32, ldx, n, tokens int) {
	storedDotsGo(out, data, x, ldx, n, tokens)
}

func storedOut(x []float32, ldx int, data []uint16, z *[foldTokens][8]float32, n, tokens int) {
	storedOutGo(x, ldx, data, z, n, tokens)
}
