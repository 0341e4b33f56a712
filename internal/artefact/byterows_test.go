package artefact

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/quant"
)

// TestByteRowsByHand: the largest of a row gets 127; a code stands for code·scale.
func TestByteRowsByHand(t *testing.T) {
	// 127/127 = 1; 2.5 is a tie, to even; zeros; 1/3 is no 16-bit float: the scale
	// of the last row is 0.0026245117.
	v := []float32{127, -2.5, 0.4, 0, 0, 0, 1.0 / 3, -1.0 / 3, 0.001}
	b := NewByteRows(v, 3, 3)
	if !slices.Equal(b.Codes, []int8{127, -2, 0, 0, 0, 0, 127, -127, 0}) {
		t.Errorf("codes %v", b.Codes)
	}
	if s := floats(b.Scales); s[0] != 1 || s[1] != 0 || s[2] != float32(0.0026245117) {
		t.Errorf("scales %v", s)
	}
	if got := b.floats(3); got[6] != 127*float32(0.0026245117) || got[7] != -got[6] || got[1] != -2 {
		t.Errorf("decoded %v", got)
	}
	// The largest 16-bit float does not become infinite.
	if got := NewByteRows([]float32{65504, -65504}, 1, 2).floats(2); got[0] > 65504 || got[0] < 65000 || got[1] != -got[0] {
		t.Errorf("65504 becomes %v", got)
	}
}

// TestByteRowsError: no number is further off than half a step and the rounding of
// the scale.
func TestByteRowsError(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 8))
	const rows, cols = 9, 33
	v := randoms(rng, rows*cols)
	for i := range v {
		v[i] *= float32(math.Exp2(float64(i/cols) - 4))
	}
	b := NewByteRows(v, rows, cols)
	for i, got := range b.floats(cols) {
		s := float64(float.FromF16(b.Scales[i/cols]))
		if e := math.Abs(float64(got - v[i])); e > 0.5*s+127*s/2048 {
			t.Errorf("row %d: %v becomes %v, %v steps off", i/cols, v[i], got, e/s)
		}
	}
}

// subspaceLayer is a layer of random weights with a branch on a stored basis.
func subspaceLayer(t testing.TB, out, in, count, bits int, remove bool) (*Linear, *Quantization) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(out), uint64(in)))
	s := NewSubspace(randoms(rng, count*in), count, in, bits)
	s.Remove, s.Outputs = remove, out
	c := randoms(rng, out*count)
	float.RoundF16(c)
	b := NewSubspaceBranch(s, "klt", c, out)
	w := randoms(rng, out*in)
	g := quant.Grid{Bits: 4}
	steps, err := g.Scales(w, out, in, quant.ClipNone, inSequence)
	if err != nil {
		t.Fatal(err)
	}
	q := make([]int8, len(w))
	g.RTN(q, w, steps, out, in, inSequence)
	format := &BranchFormat{Basis: "klt", Axis: "output", Remove: remove}
	if bits == 8 {
		format.Bits = 8
	}
	return NewLinear(g, q, steps, out, in, b, nil, inSequence), &Quantization{Method: Method, Version: Version,
		Bits: quant.Bits{Weights: 4, Activations: 4, KV: 4}, ActClip: 1, Head: 16, Branch: format}
}

func subspaceTensors(l *Linear) []checkpoint.TensorSpec {
	return append(l.Branch.Subspace.Tensors(InputName(layerName)), l.Tensors(layerName)...)
}

// TestSubspaceRoundTrip: what is written is what is read, stored and counted.
func TestSubspaceRoundTrip(t *testing.T) {
	for _, bits := range []int{16, 8} {
		for _, c := range []struct{ out, in, count int }{{16, 24, 3}, {37, 20, 20}, {1, 5, 1}} {
			t.Run(fmt.Sprint(bits, c), func(t *testing.T) {
				l, q := subspaceLayer(t, c.out, c.in, c.count, bits, bits == 8)
				f := write(t, subspaceTensors(l))
				got, err := ReadLinear(fileSource{f}, layerName, c.out, c.in, q)
				if err != nil {
					t.Fatal(err)
				}
				if !sameBits(dense(got), dense(l)) {
					t.Error("other weights than were written")
				}
				if a, b := got.Branch.Subspace.Floats(), l.Branch.Subspace.Floats(); !sameBits(a, b) {
					t.Error("another basis than was written")
				}
				if !sameBits(got.Branch.Coefficients(), l.Branch.Coefficients()) {
					t.Error("other coefficients than were written")
				}
				if stored := 8 * float64(f.Bytes()) / float64(c.out*c.in); math.Abs(got.StoredBits()/stored-1) > 1e-12 || got.StoredBits() != l.StoredBits() {
					t.Errorf("stored bits %v, %v when read; the file has %v", l.StoredBits(), got.StoredBits(), stored)
				}
				first, second := subspaceTensors(l), subspaceTensors(got)
				for i := range first {
					if first[i].Name != second[i].Name || !slices.Equal(first[i].Data, second[i].Data) {
						t.Errorf("written again, %s differs", first[i].Name)
					}
				}
			})
		}
	}
}

// TestSubspaceByDefinition decodes the tensors as docs/FORMAT.md says.
func TestSubspaceByDefinition(t *testing.T) {
	const out, in, count = 21, 12, 4
	l, _ := subspaceLayer(t, out, in, count, 8, false)
	m := inMemory(subspaceTensors(l))
	half := func(t checkpoint.Tensor, i int) float32 {
		return float.FromF16(uint16(t.Data[2*i]) | uint16(t.Data[2*i+1])<<8)
	}
	value := func(code byte, scale float32) float32 {
		return float32(int8(code)) * scale
	}
	basis, basisScales := m["model.layers.0.inputs.mlp.basis"], m["model.layers.0.inputs.mlp.basis_scales"]
	coeff, scales := m[layerName+".branch.coeff"], m[layerName+".branch.scales"]
	for k := range count {
		for i := range in {
			if got, want := l.Branch.Subspace.Floats()[k*in+i], value(basis.Data[k*in+i], half(basisScales, k)); got != want {
				t.Fatalf("vector %d, channel %d: %v, want %v", k, i, got, want)
			}
		}
	}
	for r := range out {
		for k := range count {
			want := value(coeff.Data[(r/16*count+k)*16+r%16], half(scales, k))
			if got := l.Branch.Coefficients()[r*count+k]; got != want {
				t.Fatalf("row %d, vector %d: %v, want %v", r, k, got, want)
			}
		}
	}
}

func TestSubspaceDamage(t *testing.T) {
	const out, in, count = 21, 12, 4
	l, q := subspaceLayer(t, out, in, count, 8, false)
	basis := InputName(layerName) + ".basis"
	for what, c := range map[string]struct {
		change func(m memory)
		want   []string
	}{
		"no basis":         {func(m memory) { delete(m, basis) }, []string{basis}},
		"no basis scales":  {func(m memory) { delete(m, basis+"_scales") }, []string{basis + "_scales"}},
		"no coefficients":  {func(m memory) { delete(m, layerName+".branch.coeff") }, []string{".branch.coeff"}},
		"no scales":        {func(m memory) { delete(m, layerName+".branch.scales") }, []string{".branch.scales"}},
		"a basis of 16":    {func(m memory) { change(m, basis, func(t *checkpoint.Tensor) { t.DType = checkpoint.F16 }) }, []string{basis, "I8"}},
		"too many vectors": {func(m memory) { change(m, basis, func(t *checkpoint.Tensor) { t.Shape = []int{1 << 40, in} }) }, []string{basis, "shape"}},
		"short": {func(m memory) {
			change(m, layerName+".branch.coeff", func(t *checkpoint.Tensor) { t.Shape = []int{1, count, 16}; t.Data = t.Data[:16*count] })
		}, []string{".branch.coeff", "expected 128"}},
		"an infinite scale": {func(m memory) {
			change(m, basis+"_scales", func(t *checkpoint.Tensor) { t.Data = slices.Clone(t.Data); t.Data[1] = 0x7c; t.Data[0] = 0 })
		}, []string{basis + "_scales", "not finite"}},
		"an overflow": {func(m memory) {
			change(m, layerName+".branch.scales", func(t *checkpoint.Tensor) { t.Data = slices.Clone(t.Data); t.Data[1], t.Data[0] = 0x7b, 0xff })
		}, []string{".branch.scales", "beyond a 16-bit float"}},
	} {
		m := inMemory(subspaceTensors(l))
		c.change(m)
		_, err := ReadLinear(m, layerName, out, in, q)
		wantError(t, what, err, c.want...)
	}
}

func change(m memory, name string, fn func(t *checkpoint.Tensor)) {
	t := m[name]
	fn(&t)
	m[name] = t
}
