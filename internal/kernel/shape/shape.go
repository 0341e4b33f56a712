package shape

import "fmt"

// CeilDiv returns a/b rounded up, for a ≥ 0 and b > 0.
func CeilDiv(a, b int) int { return (a + b - 1) / b }

// Grow returns n elements: in the memory of s, holding anything, or in new memory if s has
// not enough.
func Grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// Fits panics unless a matrix [rows × cols] with ld elements from row to row lies within
// `length` elements. name is what the message calls it.
func Fits(name string, length, ld, rows, cols int) {
	if ld < cols || length < (rows-1)*ld+cols {
		panic(fmt.Sprintf("kernel: %s has %d elements and stride %d; need %d×%d", name, length, ld, rows, cols))
	}
}
