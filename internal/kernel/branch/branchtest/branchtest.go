// Package branchtest makes random branches for tests.
package branchtest

import (
	"math"
	"math/rand/v2"

	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/float"
)

// RandomHalfTiles makes random tiles with counts up to most, and the same as a dense
// matrix of rows × most in output order.
func RandomHalfTiles(r *rand.Rand, rows, most int, ordered bool) (branch.HalfTiles, []float32) {
	w := branch.HalfTiles{Rows: rows, Data: make([]uint16, 5)} // tiles need not start at 0
	if ordered {
		for _, i := range r.Perm(rows) {
			w.Order = append(w.Order, int32(i))
		}
	}
	dense := make([]float32, rows*most)
	for r0 := 0; r0 < rows; r0 += 16 {
		n := r.IntN(most + 1)
		w.Count, w.Offset = append(w.Count, n), append(w.Offset, len(w.Data))
		for p := range n {
			for l := range 16 {
				if r0+l >= rows {
					w.Data = append(w.Data, 0)
					continue
				}
				h := float.ToF16(float32(r.NormFloat64()))
				w.Data = append(w.Data, h)
				row := r0 + l
				if ordered {
					row = int(w.Order[row])
				}
				dense[row*most+p] = float.FromF16(h)
			}
		}
	}
	return w, dense
}

// RandomByteTiles makes random tiles, and the same as a dense matrix of rows × count.
func RandomByteTiles(r *rand.Rand, rows, count int) (*branch.ByteTiles, []float32) {
	w := &branch.ByteTiles{Rows: rows, Count: count, Scale: make([]float32, count)}
	w.Codes = make([]int8, w.Tiles()*count*16)
	for i := range w.Scale {
		w.Scale[i] = float.FromF16(float.ToF16(float32(math.Exp(3 * r.NormFloat64()))))
	}
	dense := make([]float32, rows*count)
	for i := range rows {
		for c := range count {
			w.Codes[(i/16*count+c)*16+i%16] = int8(r.IntN(255) - 127)
			dense[i*count+c] = w.At(i, c)
		}
	}
	return w, dense
}

// Waves makes the lowest vectors of the real Fourier basis of length n: DC,
// then cosine and sine of each frequency, mirror images equal to the bit.
func Waves(count, n int) []float32 {
	turn := func(num int) float64 { // cos(2π·num/4n)
		num = ((num % (4 * n)) + 4*n) % (4 * n)
		num = min(num, 4*n-num)
		if num > n {
			return -math.Cos(2 * math.Pi * float64(2*n-num) / float64(4*n))
		}
		if num == n {
			return 0
		}
		return math.Cos(2 * math.Pi * float64(num) / float64(4*n))
	}
	f := make([]float32, count*n)
	for i := range count {
		k := (i + 1) / 2
		for j := range n {
			angle := 4 * (k * j % n)
			if i > 0 && i%2 == 0 {
				angle -= n
			}
			f[i*n+j] = float32(math.Sqrt(2/float64(n)) * turn(angle))
		}
	}
	return f
}
