//go:build !amd64

package branch

// fold is [foldGo] for all columns.
func fold(y, x []float32) { foldGo(y, x, 0, len(x)/4) }
