package artefact

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/spectrum"
	"pgregory.net/rapid"
)

func inSequence(n int, fn func(i int)) {
	for i := range n {
		fn(i)
	}
}

func randoms(rng *rand.Rand, n int) []float32 {
	w := make([]float32, n)
	for i := range w {
		w[i] = float32(rng.NormFloat64())
	}
	return w
}

// layout is a layer to make: its shape, grid and branch.
type layout struct {
	out, in, bits, group int
	axis                 spectrum.Axis
	basis                string // "": no branch
	kept                 []int
	bias                 bool
	multiples            bool
}

// make quantizes random weights, the branch taken out first. It returns the
// layer and the branch as the spectral stage made it.
func (c layout) make(t rapid.TB, seed uint64) (*Linear, *spectrum.Branch) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	w := randoms(rng, c.out*c.in)
	var branch *Branch
	var spectral *spectrum.Branch
	if c.basis != "" {
		var err error
		if spectral, err = spectrum.Truncate(w, c.out, c.in, c.axis, c.basis, c.kept, float.RoundF16, nil); err != nil {
			t.Fatal(err)
		}
		spectral.AddTo(w, -1, nil)
		branch = NewBranch(spectral, 0.01)
	}
	g := c.quantization().Grid(c.bits)
	scales, err := g.Scales(w, c.out, c.in, quant.ClipNone, inSequence)
	if err != nil {
		t.Fatal(err)
	}
	q := make([]int8, len(w))
	g.RTN(q, w, scales, c.out, c.in, inSequence)
	var bias []float32
	if c.bias {
		bias = randoms(rng, c.out)
	}
	return NewLinear(g, q, scales, c.out, c.in, branch, bias, inSequence), spectral
}

// quantization is what a reader of the layer has to know.
func (c layout) quantization() *Quantization {
	q := &Quantization{Method: Method, Version: Version, Bits: quant.Bits{Weights: c.bits, Activations: 8, KV: 8}, Group: c.group, ActClip: 1}
	if c.multiples {
		q.Scales = quant.ScalesMultiples
	}
	if c.basis != "" {
		q.Branch = &BranchFormat{Basis: c.basis, Axis: c.axis.String(), Truncate: 0.01}
	}
	return q
}

// fileSource gives the tensors of one file.
type fileSource struct{ f *checkpoint.File }

func (s fileSource) Has(name string) bool {
	_, ok := s.f.Tensor(name)
	return ok
}

func (s fileSource) Tensor(name string) (checkpoint.Tensor, error) {
	t, ok := s.f.Tensor(name)
	if !ok {
		return t, fmt.Errorf("%s: no tensor %q", s.f.Path(), name)
	}
	return t, t.Err()
}

// write makes a file of the tensors and opens it.
func write(t testing.TB, specs []checkpoint.TensorSpec) *checkpoint.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "layer.safetensors")
	if err := checkpoint.WriteFile(path, specs, nil); err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// memory gives tensors that never were in a file.
type memory map[string]checkpoint.Tensor

func (s memory) Has(name string) bool { _, ok := s[name]; return ok }

func (s memory) Tensor(name string) (checkpoint.Tensor, error) {
	t, ok := s[name]
	if !ok {
		return t, fmt.Errorf("memory: no tensor %q", name)
	}
	return t, nil
}

func inMemory(specs []checkpoint.TensorSpec) memory {
	m := memory{}
	for _, s := range specs {
		m[s.Name] = checkpoint.Tensor{Name: s.Name, DType: s.DType, Shape: s.Shape, Data: s.Data, File: "memory"}
	}
	return m
}

// dense is the layer's weights.
func dense(l *Linear) []float32 {
	d := make([]float32, l.Out*l.In)
	l.Dense(nil, d)
	return d
}

func sameBits(a, b []float32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return true
}

func wantError(t testing.TB, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want one with %q", what, parts)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%s: error %q lacks %q", what, err, p)
		}
	}
}
