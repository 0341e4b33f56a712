package llama

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// TestMapped: weights that stay in the file give the same bits as those that are loaded, also
// where they are read in several parts; the tensor can be used again after its pages were let go.
func TestMapped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	rng := rand.New(rand.NewPCG(7, 1))
	shapes := map[string]struct {
		dtype   checkpoint.DType
		out, in int
	}{"f32": {checkpoint.F32, 45000, 100}, "bf16": {checkpoint.BF16, 33, 70}, "f16": {checkpoint.F16, 5, 512}}
	var specs []checkpoint.TensorSpec
	for name, s := range shapes {
		data := make([]byte, s.out*s.in*s.dtype.Size())
		for i := range data {
			data[i] = byte(rng.Uint32())
			if size := s.dtype.Size(); i%size == size-1 {
				data[i] = data[i]&0x80 | 0x3a // finite, near 2⁻¹⁰ to 1
			}
		}
		specs = append(specs, checkpoint.TensorSpec{Name: name, DType: s.dtype, Shape: []int{s.out, s.in}, Data: data})
	}
	if err := checkpoint.WriteFile(path, specs, nil); err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pool := parallel.NewPool(2)
	defer pool.Close()
	for name, s := range shapes {
		tensor, ok := f.Tensor(name)
		if !ok {
			t.Fatal(name)
		}
		m, err := NewMapped(tensor)
		if err != nil {
			t.Fatal(err)
		}
		d := Dense{Out: s.out, In: s.in, W: make([]float32, s.out*s.in), Bias: make([]float32, s.out)}
		if err := tensor.Float32(d.W); err != nil {
			t.Fatal(err)
		}
		for i := range d.Bias {
			d.Bias[i] = rng.Float32()
		}
		m.Bias = d.Bias
		const tokens = 3
		x := make([]float32, tokens*s.in)
		for i := range x {
			x[i] = rng.Float32() - 0.5
		}
		want, got := make([]float32, tokens*s.out), make([]float32, tokens*s.out)
		d.Forward(pool, want, x, tokens)
		for range 2 {
			clear(got)
			if m.Forward(pool, got, x, tokens); !slices.Equal(got, want) {
				t.Errorf("%s: not the same", name)
			}
		}
	}
	if _, err := NewMapped(checkpoint.Tensor{DType: "I8", Shape: []int{2, 2}, Data: make([]byte, 4)}); err == nil {
		t.Error("a matrix of integers is a layer")
	}
}
