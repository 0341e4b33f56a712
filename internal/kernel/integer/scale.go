package integer

import (
	"sync"
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Scales of weights are numbers of 32 bits, or of 16 bits where these hold them exactly: with
// groups of 32 inputs that is a tenth less to read for each token. Only the routines for one
// token, whose time is that of reading, take them as they are. For all others the scales of a
// row tile are first converted.

// exactHalves returns scales as 16-bit floats, or nil if these do not hold all of them exactly.
func exactHalves(scale []float32) []uint16 {
	halves := make([]uint16, len(scale))
	for at := 0; at < len(scale); at += len(intNothing) { // in parts: the first inexact one is soon found
		part := scale[at:min(len(scale), at+len(intNothing))]
		var back [len(intNothing)]float32
		float.F32ToF16(halves[at:at+len(part)], part)
		float.F16ToF32(back[:len(part)], halves[at:at+len(part)])
		for i, s := range part {
			if s != back[i] {
				return nil
			}
		}
	}
	return halves
}

// Bytes returns how much of the matrix a product reads from memory: integers, scales, and zero
// points unless there is one for all.
func (w *Matrix) Bytes() int {
	bytes := len(w.Tiles) + 4*len(w.Scale) + 2*len(w.HalfScale)
	if w.multiples != nil {
		bytes += len(w.multiples.data)
	}
	if len(w.shift) > intLanes {
		bytes += 4 * len(w.shift)
	}
	return bytes
}

// scaleAt returns the scales of the 16 rows of a tile for group g, at = tile·groups+g. It may
// write them to buf.
func (w *Matrix) scaleAt(buf *[intLanes]float32, at int) []float32 {
	if w.HalfScale == nil {
		return w.Scale[at*intLanes:][:intLanes]
	}
	float.F16ToF32(buf[:], w.HalfScale[at*intLanes:][:intLanes])
	return buf[:]
}

// intScales are the scales of some row tiles, in 32 bits.
type intScales struct {
	data  []float32 // [tile][group][16]
	owner *[]float32
}

var intScalesPool = sync.Pool{New: func() any { return new([]float32) }}

// newIntScales returns the scales of row tiles tile to end-1.
func newIntScales(w *Matrix, tile, end int) intScales {
	groups, _ := intGroups(w.Cols, w.Group)
	end = min(end, shape.CeilDiv(w.Rows, intLanes))
	from, to := tile*groups*intLanes, end*groups*intLanes
	if w.HalfScale == nil {
		return intScales{data: w.Scale[from:to]}
	}
	owner := intScalesPool.Get().(*[]float32)
	*owner = shape.Grow(*owner, to-from)
	float.F16ToF32(*owner, w.HalfScale[from:to])
	return intScales{data: *owner, owner: owner}
}

// at returns the address of the first scale.
func (s *intScales) at() unsafe.Pointer { return unsafe.Pointer(&s.data[0]) }

// free lets the memory be used again.
func (s *intScales) free() {
	if s.owner != nil {
		intScalesPool.Put(s.owner)
	}
}
