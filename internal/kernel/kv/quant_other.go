//go:build !amd64

package kv

func kvRangeBlocks(x []float32) (lo, hi float32, abs uint32, ok bool) { return 0, 0, 0, false }

func kvRoundBlocks(dst []byte, x []float32, bits int, minimum, inv, top float32) int { return 0 }

func putBlocks(keys, values, key, value []byte, lane int) bool { return false }
