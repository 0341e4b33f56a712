package linalg

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

func TestBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ count, size, share, rows int }{{1, 1, 1, 1}, {2, 8, 2, 3}, {3, 5, 1, 130}, {2, 64, 4, 65}, {4, 16, 1, 0}} {
		m := make([]float32, c.count*c.size*c.size)
		for i := range m {
			m[i] = float32(rng.NormFloat64())
		}
		b, err := NewBlocks(m, c.count, c.size, c.share)
		if err != nil {
			t.Fatal(err)
		}
		float.RoundF16(m)
		if !slices.Equal(b.Matrices(), m) {
			t.Errorf("%+v: the matrices are not those of 16-bit floats", c)
		}
		x := make([]float32, c.rows*b.Width())
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		for _, transpose := range []bool{false, true} {
			got, alone := slices.Clone(x), slices.Clone(x)
			apply := b.Apply
			if transpose {
				apply = b.ApplyT
			}
			apply(parallel.NewPool(2), got, c.rows)
			for r := range c.rows {
				apply(nil, alone[r*b.Width():][:b.Width()], 1)
			}
			if !slices.Equal(got, alone) {
				t.Errorf("%+v: rows by themselves differ from rows together", c)
			}
			for i := range got {
				piece, k := i%b.Width()/c.size, i%c.size
				var want float64
				for j := range c.size {
					v := m[piece/c.share*c.size*c.size+k*c.size+j]
					if transpose {
						v = m[piece/c.share*c.size*c.size+j*c.size+k]
					}
					want += float64(v) * float64(x[i-k+j])
				}
				if d := float64(got[i]) - want; d > 1e-4 || d < -1e-4 {
					t.Fatalf("%+v, transpose %v: element %d is %v, want %v", c, transpose, i, got[i], want)
				}
			}
		}
	}
	if _, err := NewBlocks(make([]float32, 3), 1, 2, 1); err == nil {
		t.Error("three numbers made a matrix of order 2")
	}
	if _, err := NewBlocks([]float32{1, 0, 0, 65520}, 1, 2, 1); err == nil {
		t.Error("took a number that no 16-bit float holds")
	}
}
