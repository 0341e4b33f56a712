package kv

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// kvRangeBlocks returns the range of x, whose length is a multiple of 16, and the largest
// |x| as the bits of a float32. ok is false if the active tier has no routine for it.
func kvRangeBlocks(x []float32) (lo, hi float32, abs uint32, ok bool) {
	if cpu.Active() < cpu.AVX2 {
		return 0, 0, 0, false
	}
	var out [3]float32
	kvRangeAVX2(&out, &x[0], len(x)/16)
	return out[0], out[1], math.Float32bits(out[2]), true
}

// kvRoundBlocks does what [Round] does for whole blocks of 16 numbers, and returns how many
// numbers those are.
func kvRoundBlocks(dst []byte, x []float32, bits int, minimum, inv, top float32) int {
	n := len(x) &^ 15
	if n == 0 || cpu.Active() < cpu.AVX2 {
		return 0
	}
	if bits == 4 {
		_ = dst[n/2-1]
		kvRound4AVX2(&dst[0], &x[0], n/16, minimum, inv, top)
	} else {
		_ = dst[n-1]
		kvRound8AVX2(&dst[0], &x[0], n/16, minimum, inv, top)
	}
	return n
}

// putBlocks does what [putBytes] does, or nothing: then it returns false.
func putBlocks(keys, values, key, value []byte, lane int) bool {
	n := len(key)
	if n == 0 || n%16 != 0 || len(value) != n || cpu.Active() < cpu.AVX512 {
		return false
	}
	_, _ = keys[(n/4-1)*4*kvLanes+3], values[4*n-1]
	kvPutAVX512(&keys[0], &values[0], &key[0], &value[0], n/16, lane)
	return true
}
