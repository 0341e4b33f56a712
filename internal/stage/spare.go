package stage

import "unsafe"

// spareBuffers are scratch buffers that are not in use at the moment.
type spareBuffers [][]float32

// take returns an uninitialized buffer of n values: a spare one if it is long enough,
// otherwise a new one.
func (s spareBuffers) take(n int) []float32 {
	for i, room := range s {
		if len(room) >= n {
			s[i] = room[n:]
			return room[:n:n]
		}
	}
	return make([]float32, n)
}

// zeros is take, cleared.
func (s spareBuffers) zeros(n int) []float32 {
	x := s.take(n)
	clear(x)
	return x
}

// codes is zeros for n codes.
func (s spareBuffers) codes(n int) []int8 {
	if n == 0 {
		return nil
	}
	x := s.zeros((n + 3) / 4)
	return unsafe.Slice((*int8)(unsafe.Pointer(&x[0])), n)
}

// floats is the memory of x as twice as many float32.
func floats(x []float64) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), 2*len(x))
}
