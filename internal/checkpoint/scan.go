package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Scan reads all weights that the config expects, once, on all CPUs, and returns the
// largest magnitude in each tensor, by the name it is stored under. A NaN or an infinity is
// [ErrNotFinite] with file, tensor and element: the first one of the first tensor in the
// order of [Config.Expected]. Check must have succeeded before.
func (c *Checkpoint) Scan() (map[string]float64, error) {
	defer c.Release()
	tops := map[string]float64{}
	for _, want := range c.Config.Expected() {
		t, err := c.Tensor(want.Name)
		if err != nil {
			return nil, err
		}
		if _, seen := tops[t.Name]; seen { // tied embeddings
			continue
		}
		tops[t.Name], err = t.scan()
		t.Release()
		if err != nil {
			return nil, err
		}
	}
	return tops, nil
}

// Release advises the kernel that none of the files' pages are needed for now.
func (c *Checkpoint) Release() {
	for _, f := range c.files {
		f.region.release(0, f.region.size)
	}
}

// scan returns the largest magnitude in the tensor.
func (t Tensor) scan() (top float64, err error) {
	rows := t.Elems()
	if len(t.Shape) > 1 {
		rows /= max(1, t.Shape[len(t.Shape)-1])
	}
	step := max(1, hashPiece*rows/max(1, len(t.Data))) // rows in a piece of work
	pieces := (rows + step - 1) / step
	tops, errs := make([]float64, pieces), make([]error, pieces)
	share(pieces, func() func(i int) {
		return func(i int) {
			part := t.Rows(i*step, min(step, rows-i*step))
			tops[i], errs[i] = part.largest()
			part.Release()
		}
	})
	for i, err := range errs {
		if err != nil {
			return 0, err
		}
		top = max(top, tops[i])
	}
	return top, nil
}

// largest is the largest magnitude in the tensor, or an error that names the first
// element that is not finite.
func (t Tensor) largest() (float64, error) {
	switch t.DType {
	case F32, BF16, F16:
		top, bad := largestMagnitude(t.DType, t.Data)
		if bad >= 0 {
			return 0, t.notFinite(bad)
		}
		return top, nil
	}
	v := make([]float32, t.Elems())
	if err := t.Float32(v); err != nil {
		return 0, err
	}
	var top float32
	for _, x := range v {
		top = max(top, x, -x)
	}
	return float64(top), nil
}

// notFinite is the error for an element that is not finite.
func (t Tensor) notFinite(i int) error {
	return &kindError{ErrNotFinite, fmt.Sprintf("%s is %v, expected a finite float32; the checkpoint is damaged or was trained into overflow: get it again", t.at(i), t.value(i))}
}

// largestMagnitude returns max|v| of stored floats, and the index of the first one that is
// not finite, or -1. Without the sign, the bits of floats have the order of their values,
// with infinities and NaNs above all finite ones.
func largestMagnitude(d DType, data []byte) (top float64, bad int) {
	var bits, limit uint32
	switch d {
	case F32:
		bits, limit = largest32(data), 0x7f800000
	case BF16:
		bits, limit = largest16(data), 0x7f80
	case F16:
		bits, limit = largest16(data), 0x7c00
	}
	if bits >= limit {
		size := d.Size()
		for i := 0; ; i++ {
			v := uint32(binary.LittleEndian.Uint16(data[i*size:])) & 0x7fff
			if d == F32 {
				v = binary.LittleEndian.Uint32(data[i*size:]) & 0x7fffffff
			}
			if v >= limit {
				return 0, i
			}
		}
	}
	var one [1]float32
	switch d {
	case F32:
		one[0] = math.Float32frombits(bits)
	case BF16:
		one[0] = math.Float32frombits(bits << 16)
	case F16:
		fromF16(one[:], binary.LittleEndian.AppendUint16(nil, uint16(bits)))
	}
	return float64(one[0]), -1
}

// largest32 returns the largest of 32-bit numbers, ignoring their top bits.
func largest32(data []byte) uint32 {
	var a, b uint32
	for ; len(data) >= 16; data = data[16:] {
		x, y := binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:])
		a = max(a, uint32(x)&0x7fffffff, uint32(x>>32)&0x7fffffff)
		b = max(b, uint32(y)&0x7fffffff, uint32(y>>32)&0x7fffffff)
	}
	for ; len(data) >= 4; data = data[4:] {
		a = max(a, binary.LittleEndian.Uint32(data)&0x7fffffff)
	}
	return max(a, b)
}

// largest16 returns the largest of 16-bit numbers, ignoring their top bits, four at a time.
func largest16(data []byte) uint32 {
	const tops = 0x8000800080008000
	word := func(at int) uint64 { return binary.LittleEndian.Uint64(data[at:]) &^ tops }
	var a, b, c, d uint64
	for ; len(data) >= 32; data = data[32:] {
		a, b, c, d = larger16(a, word(0)), larger16(b, word(8)), larger16(c, word(16)), larger16(d, word(24))
	}
	a = larger16(larger16(a, b), larger16(c, d))
	var top uint32
	for range 4 {
		top = max(top, uint32(a&0xffff))
		a >>= 16
	}
	for ; len(data) >= 2; data = data[2:] {
		top = max(top, uint32(binary.LittleEndian.Uint16(data)&0x7fff))
	}
	return top
}

// larger16 returns the larger number in each of four 16-bit lanes whose top bits are clear.
// The top bit is set in a so that the subtraction borrows from it; it stays set where a ≥
// b.
func larger16(a, b uint64) uint64 {
	const tops = 0x8000800080008000
	set := ((a | tops) - b) & tops
	keep := set - set>>15 // all ones below the top bit of each lane
	return a&keep | b&^keep
}
