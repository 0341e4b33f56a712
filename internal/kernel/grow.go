package kernel

// Grow returns n values in the memory of s, with anything in them, or in new memory
// where s has not that much.
func Grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}
