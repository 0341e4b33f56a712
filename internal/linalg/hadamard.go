package linalg

import (
	"math"

	"github.com/specquant/specquant/internal/kernel"
)

// Hadamard replaces x by its orthonormal Walsh-Hadamard transform in natural
// (Sylvester) order, which is its own inverse. It reports false and leaves x
// alone where the length is not a power of two.
func Hadamard(x []float32) bool {
	return kernel.Hadamard(x, float32(1/math.Sqrt(float64(max(len(x), 1)))))
}
