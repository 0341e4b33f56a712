//go:build !amd64 && !arm64

package branch

func fold(y, x []float32) { foldGo(y, x, 0, len(x)/4) }

func foldDots(out *[foldTokens][8]float32, data, x []float32, ldx, n, tokens int) {
	foldDotsGo(out, data, x, ldx, n, tokens)
}
