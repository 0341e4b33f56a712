package engine

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/ggml"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// randomBlocks is a matrix of a type whose weights are of ordinary size.
func randomBlocks(rng *rand.Rand, b *ggml.Type, rows, cols int) checkpoint.Tensor {
	t := checkpoint.Tensor{Name: "w", File: "f", DType: checkpoint.DType(b.Name), Shape: []int{rows, cols}}
	one := make([]byte, b.Bytes)
	var block ggml.Block
	for range rows * cols / b.Elems {
		for tame := false; !tame; {
			for i := range one {
				one[i] = byte(rng.Uint32())
			}
			if b.Elems == 32 || b.Name == "TQ1_0" { // the scale is a whole float: most are wild
				at := map[string]int{"TQ1_0": 52}[b.Name]
				if b.Name == "MXFP4" {
					one[0] = byte(118 + rng.IntN(8))
				} else {
					one[at], one[at+1] = byte(rng.Uint32()), 0x20|byte(rng.IntN(8))
				}
			}
			b.Decode(&block, one)
			tame = true
			for g := range b.Groups() {
				s, m := math.Abs(float64(block.Scale[g])), math.Abs(float64(block.Min[g]))
				tame = tame && s < 30 && m < 30
			}
		}
		t.Data = append(t.Data, one...)
	}
	return t
}

// What is laid out for the kernels multiplies as the dequantized weights do, for
// every type.
func TestRepackKeepsWeights(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	for _, b := range ggml.Types {
		rows, cols, tokens := 37, 512, 3
		w := randomBlocks(rng, b, rows, cols)
		m, err := repack(pool, &largePages{}, w)
		if err != nil {
			t.Fatalf("%s: %v", b.Name, err)
		}
		dense := make([]float32, rows*cols)
		if err := w.Float32(dense); err != nil {
			t.Fatal(err)
		}
		x := make([]float32, tokens*cols)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		got := make([]float32, tokens*rows)
		integer.MulFloat(pool, got, rows, m, x, cols, tokens)
		for i, v := range got {
			var want, size float64
			for k := range cols {
				p := float64(dense[i%rows*cols+k]) * float64(x[i/rows*cols+k])
				want += p
				size += math.Abs(p)
			}
			if math.Abs(float64(v)-want) > 3e-6*size {
				t.Errorf("%s: result %d is %v, expected %v (of magnitudes %v)", b.Name, i, v, want, size)
				break
			}
		}
	}
}

// Groups whose scale is 0 but whose minimum is not are all of that minimum.
func TestRepackScaleZero(t *testing.T) {
	q := []int8{3, 0, 15}
	if s, z := zeroPoint(q, 0, 2.5); s*(float32(q[0])-z) != -2.5 || s*(float32(q[2])-z) != -2.5 {
		t.Errorf("numbers %v, scale %v, zero %v; expected −2.5 for all", q, s, z)
	}
	if s, z := zeroPoint(q, 0, 0); s != 0 || z != 0 {
		t.Errorf("scale %v, zero %v; expected 0", s, z)
	}
}

func TestRepackRefusesScales(t *testing.T) {
	w := randomBlocks(rand.New(rand.NewPCG(1, 1)), ggml.ByName("Q4_0"), 20, 64)
	w.Data[17*36], w.Data[17*36+1] = 0, 0x7c // infinity
	_, err := repack(nil, &largePages{}, w)
	if err == nil || !strings.Contains(err.Error(), "row 17") {
		t.Errorf("error %v, expected one of row 17", err)
	}
	if err := checkScales(nil, w); err == nil || !strings.Contains(err.Error(), "row 17") {
		t.Errorf("error %v, expected one of row 17", err)
	}
}
