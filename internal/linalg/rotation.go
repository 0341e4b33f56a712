package linalg

import (
	"fmt"
	"math/rand/v2"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Signs is a diagonal matrix of ±1.
type Signs []float32

// signStream separates this generator from others with the same seed.
const signStream = 0x5167_6e73

// NewSigns returns n signs that depend only on n and seed, in all versions: bits of PCG, 64
// at a time from the lowest; 1 is -1.
func NewSigns(n int, seed uint64) (Signs, error) {
	if n < 1 || n > MaxWidth {
		return nil, fmt.Errorf("linalg: %d random signs: want 1 to %d", n, MaxWidth)
	}
	r := rand.NewPCG(seed, signStream)
	s := make(Signs, n)
	var bits uint64
	for i := range s {
		if i%64 == 0 {
			bits = r.Uint64()
		}
		s[i] = 1 - 2*float32(bits>>(i%64)&1)
	}
	return s, nil
}

// Width implements [Transform].
func (s Signs) Width() int { return len(s) }

// Apply implements [Transform].
func (s Signs) Apply(p *parallel.Pool, x []float32, rows int) {
	checkRows(s, x, rows)
	each := max(1, groupSize/len(s))
	p.Run((rows+each-1)/each, func(i int) {
		for r := i * each; r < min((i+1)*each, rows); r++ {
			row := x[r*len(s):][:len(s)]
			for j, v := range s {
				row[j] *= v
			}
		}
	})
}

// ApplyT implements [Transform]; it is Apply.
func (s Signs) ApplyT(p *parallel.Pool, x []float32, rows int) { s.Apply(p, x, rows) }

// Name implements [Transform].
func (s Signs) Name() string { return fmt.Sprintf("%d random signs", len(s)) }

// Rotation is a random Hadamard transform: random signs followed by a Hadamard matrix, T =
// H·S.
type Rotation struct {
	Signs    Signs
	Hadamard *Hadamard
}

// NewRotation returns the rotation of width n for the seed. Errors are those of
// [NewHadamard].
func NewRotation(n int, seed uint64) (*Rotation, error) {
	h, err := NewHadamard(n)
	if err != nil {
		return nil, err
	}
	s, err := NewSigns(n, seed)
	if err != nil {
		return nil, err
	}
	return &Rotation{s, h}, nil
}

// Width implements [Transform].
func (r *Rotation) Width() int { return len(r.Signs) }

// Apply implements [Transform].
func (r *Rotation) Apply(p *parallel.Pool, x []float32, rows int) {
	r.Signs.Apply(p, x, rows)
	r.Hadamard.Apply(p, x, rows)
}

// ApplyT implements [Transform]; it undoes Apply.
func (r *Rotation) ApplyT(p *parallel.Pool, x []float32, rows int) {
	r.Hadamard.ApplyT(p, x, rows)
	r.Signs.ApplyT(p, x, rows)
}

// Dense returns the matrix H·S, [n × n].
func (r *Rotation) Dense(p *parallel.Pool) []float32 { return Matrix(p, r) }

// Even reports whether all entries are ±1/√n.
func (r *Rotation) Even() bool { return r.Hadamard.Even() }

// Name implements [Transform].
func (r *Rotation) Name() string { return "random signs, then " + r.Hadamard.Name() }
