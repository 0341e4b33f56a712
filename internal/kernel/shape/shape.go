package shape

import "fmt"

// CeilDiv returns a/b rounded up, for a ≥ 0 and b > 0.
func CeilDiv(a, b int) int { return (a + b - 1) / b }

// Grow returns n values in the memory of s, with anything in them, or in new memory
// where s has not that much.
func Grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// Fits panics unless a matrix of rows × cols, rows ld elements apart, lies within length
// elements. name is the operand's, for the message.
func Fits(name string, length, ld, rows, cols int) {
	if ld < cols || length < (rows-1)*ld+cols {
		panic(fmt.Sprintf("kernel: %s has %d elements and stride %d; need %d×%d", name, length, ld, rows, cols))
	}
}
