package spectrum

import (
	"fmt"
	"testing"
)

func BenchmarkForward(b *testing.B) {
	for _, basis := range BasisNames() {
		for _, n := range []int{576, 4096, 11008, 14336} {
			b.Run(fmt.Sprintf("%s/%d", basis, n), func(b *testing.B) {
				bs, _ := NewBasis(basis, n)
				x := normal64(newRand(1), n)
				for b.Loop() {
					bs.Forward(x, x)
				}
			})
		}
	}
}

const side = 4096

func uniform(k int) []int {
	kept := make([]int, side)
	for c := range kept {
		kept[c] = k
	}
	return kept
}

func forBench(b *testing.B, fn func(b *testing.B, w []float32, axis Axis)) {
	w := normal32(newRand(1), side*side)
	for _, axis := range []Axis{OutputChannel, InputChannel} {
		b.Run(axis.String(), func(b *testing.B) { fn(b, w, axis) })
	}
}

func BenchmarkTruncate(b *testing.B) {
	forBench(b, func(b *testing.B, w []float32, axis Axis) {
		for b.Loop() {
			truncate(b, w, side, side, axis, "dft", uniform(16))
		}
	})
}

func BenchmarkAddTo(b *testing.B) {
	forBench(b, func(b *testing.B, w []float32, axis Axis) {
		br := truncate(b, w, side, side, axis, "dft", uniform(16))
		dst := append([]float32(nil), w...)
		for b.Loop() {
			br.AddTo(dst, -1, nil)
		}
	})
}

func BenchmarkApply(b *testing.B) {
	forBench(b, func(b *testing.B, w []float32, axis Axis) {
		br := truncate(b, w, side, side, axis, "dft", uniform(16))
		x, y := normal32(newRand(2), side), make([]float32, side)
		for b.Loop() {
			br.Apply(y, x)
		}
	})
}

func BenchmarkEnergy(b *testing.B) {
	forBench(b, func(b *testing.B, w []float32, axis Axis) {
		for b.Loop() {
			if _, err := Energy(w, side, side, axis, "dft", nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkScore(b *testing.B) {
	w := normal32(newRand(1), side*side)
	act := ActStats{MeanAbs: normal64(newRand(2), side), Mean: normal64(newRand(3), side), MeanSquare: normal64(newRand(4), side)}
	for _, kind := range Importances() {
		b.Run(string(kind), func(b *testing.B) {
			for b.Loop() {
				if _, err := Score(kind, InputChannel, w, side, side, act); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAllocate(b *testing.B) {
	score := normal64(newRand(1), 14336)
	for b.Loop() {
		Budget{Mean: 16, Tau: 1}.Allocate(score, 2049)
	}
}
