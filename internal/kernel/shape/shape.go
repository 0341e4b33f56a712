package shape

import "fmt"

// CeilDiv returns a/b rounded up, for a ≥ 0 and b > 0.
func CeilDiv(a, b int) int { return (a + b - 1) / b }

// RoundUp returns the smallest multiple of `to` that is not below n, for n ≥ 0 and to > 0.
func RoundUp(n, to int) int { return CeilDiv(n, to) * to }

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
