package float

import "math"

// AddWide adds the float32 numbers x to the float64 sums.
func AddWide(sums []float64, x []float32) {
	sameLen(len(sums), len(x))
	for i := addWideBlocks(sums, x); i < len(x); i++ {
		sums[i] += float64(x[i])
	}
}

// MaxMagnitude sets each top to the larger of it and |x|. top must not be negative.
// Magnitudes are compared as integers, which have their order; an infinity is larger
// than all numbers, and a NaN larger than that: either is seen in top afterwards.
func MaxMagnitude(top, x []float32) {
	sameLen(len(top), len(x))
	for i := maxMagnitudeBlocks(top, x); i < len(x); i++ {
		top[i] = math.Float32frombits(max(math.Float32bits(top[i]), math.Float32bits(x[i])&^(1<<31)))
	}
}
