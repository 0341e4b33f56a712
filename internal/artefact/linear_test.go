package artefact

import (
	"bytes"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/spectrum"
	"pgregory.net/rapid"
)

const layerName = "model.layers.0.mlp.up_proj"

// checkLayer writes a layer, reads it back and compares everything.
func checkLayer(t rapid.TB, dir string, c layout, seed uint64) {
	t.Helper()
	l, spectral := c.make(t, seed)
	path := filepath.Join(dir, "layer.safetensors")
	if err := checkpoint.WriteFile(path, l.Tensors(layerName), nil); err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := ReadLinear(fileSource{f}, layerName, c.out, c.in, c.quantization())
	if err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	want := dense(l)
	if !sameBits(dense(got), want) {
		t.Fatalf("%+v: other weights than were written", c)
	}
	if !sameBits(got.Bias, l.Bias) || (got.Bias != nil) != c.bias {
		t.Fatalf("%+v: bias %v, want %v", c, got.Bias, l.Bias)
	}
	if got.Grid != l.Grid || got.Out != c.out || got.In != c.in {
		t.Fatalf("read [%d, %d] on %+v, wrote %+v", got.Out, got.In, got.Grid, c)
	}

	// What is stored is what is counted.
	payload := f.Bytes() - int64(4*len(l.Bias))
	if bits := 8 * float64(payload) / float64(c.out*c.in); math.Abs(got.StoredBits()/bits-1) > 1e-12 || l.StoredBits() != got.StoredBits() {
		t.Fatalf("%+v: stored bits %v, %v when read; the file has %v", c, l.StoredBits(), got.StoredBits(), bits)
	}

	// The residual is the integers, the branch the rest.
	sum := make([]float32, len(want))
	got.Residual(sum, inSequence)
	if spectral != nil {
		spectral.AddTo(sum, 1, nil)
		checkBranch(t, c, got.Branch, spectral)
	} else if got.Branch != nil {
		t.Fatalf("%+v: a branch from nowhere", c)
	}
	if !sameBits(sum, want) {
		t.Fatalf("%+v: residual and branch do not add up to the weights", c)
	}
	if m, err := got.Matrix(); err != nil || m.Rows != c.out || m.Cols != c.in || m.Group != c.group {
		t.Fatalf("%+v: %v", c, err)
	}

	// The same layer gives the same tensors, read or made.
	first, second := l.Tensors(layerName), got.Tensors(layerName)
	same := func(a, b checkpoint.TensorSpec) bool {
		return a.Name == b.Name && a.DType == b.DType && slices.Equal(a.Shape, b.Shape) && bytes.Equal(a.Data, b.Data)
	}
	if !slices.EqualFunc(first, second, same) {
		t.Fatalf("%+v: written again, the tensors differ", c)
	}
}

// checkBranch compares a stored branch with the one it came from.
func checkBranch(t rapid.TB, c layout, got *Branch, want *spectrum.Branch) {
	t.Helper()
	back := got.Spectrum()
	if err := back.Validate(); err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	a, b := make([]float32, c.out*c.in), make([]float32, c.out*c.in)
	back.AddTo(a, 1, nil)
	want.AddTo(b, 1, nil)
	if !sameBits(a, b) {
		t.Fatalf("%+v: the branch is another matrix", c)
	}
	if got.Truncate != 0.01 || got.MaxCoefficients() != want.Depth() {
		t.Fatalf("%+v: truncate %v, %d coefficients at most, want %d", c, got.Truncate, got.MaxCoefficients(), want.Depth())
	}
	for i := range want.Kept {
		part, whole := want.Coeff[want.Offset[i]:want.Offset[i+1]], back.Coeff[back.Offset[i]:back.Offset[i+1]]
		if len(whole) < len(part) || !sameBits(whole[:len(part)], part) {
			t.Fatalf("%+v: channel %d has coefficients %v, want %v", c, i, whole, part)
		}
		for _, v := range whole[len(part):] {
			if v != 0 {
				t.Fatalf("%+v: channel %d is padded with %v", c, i, v)
			}
		}
		if c.axis == spectrum.InputChannel && len(whole) != len(part) {
			t.Fatalf("%+v: column %d is padded", c, i)
		}
	}
	if c.axis == spectrum.OutputChannel {
		if err := got.Tiles.Check(c.in); err != nil {
			t.Fatal(err)
		}
	} else if !slices.Equal(back.Full, want.Full) {
		t.Fatalf("full columns %v, want %v", back.Full, want.Full)
	}
}

func TestLayerRoundTrip(t *testing.T) {
	const output, input = spectrum.OutputChannel, spectrum.InputChannel
	repeat := func(n int, v ...int) []int { return slices.Repeat(v, (n+len(v)-1)/len(v))[:n] }
	for _, c := range []struct {
		name string
		layout
	}{
		{"no branch", layout{out: 32, in: 64, bits: 4}},
		{"one weight", layout{out: 1, in: 1, bits: 4}},
		{"ragged rows, odd columns", layout{out: 19, in: 37, bits: 4, bias: true}},
		{"8 bits", layout{out: 19, in: 37, bits: 8}},
		{"groups", layout{out: 17, in: 100, bits: 4, group: 32}},
		{"a group wider than the row", layout{out: 17, in: 24, bits: 4, group: 32}},
		{"output axis", layout{out: 32, in: 64, bits: 4, axis: output, basis: "dft", kept: repeat(32, 3)}},
		{"one weight, kept", layout{out: 1, in: 1, bits: 4, axis: output, basis: "dft", kept: []int{1}}},
		{"one weight, kept whole", layout{out: 1, in: 1, bits: 4, axis: input, basis: "dft", kept: []int{1}}},
		{"unsorted budgets", layout{out: 35, in: 20, bits: 4, axis: output, basis: "dft", kept: repeat(35, 0, 3, 1, 5)}},
		{"empty budgets", layout{out: 20, in: 20, bits: 4, axis: output, basis: "dft", kept: repeat(20, 0)}},
		{"everything kept, even", layout{out: 20, in: 10, bits: 4, axis: output, basis: "dft", kept: repeat(20, 6)}},
		{"everything kept, odd", layout{out: 20, in: 11, bits: 4, axis: output, basis: "dft", kept: repeat(20, 6)}},
		{"one row keeps", layout{out: 33, in: 12, bits: 4, axis: output, basis: "dct", kept: append(repeat(32, 0), 12)}},
		{"an order of more than 16 bits", layout{out: 1<<16 + 17, in: 2, bits: 4, axis: output, basis: "dct", kept: repeat(1<<16+17, 0, 1)}},
		{"input axis", layout{out: 32, in: 30, bits: 4, axis: input, basis: "dft", kept: repeat(30, 2)}},
		{"input axis, some full", layout{out: 9, in: 30, bits: 4, axis: input, basis: "dft", kept: repeat(30, 0, 5, 2), bias: true}},
		{"input axis, all full", layout{out: 9, in: 7, bits: 4, axis: input, basis: "dct", kept: repeat(7, 9)}},
		{"input axis, none", layout{out: 9, in: 7, bits: 8, axis: input, basis: "dct", kept: repeat(7, 0)}},
	} {
		t.Run(c.name, func(t *testing.T) { checkLayer(t, t.TempDir(), c.layout, 1) })
	}
}

func TestLayerRoundTripProperty(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		c := layout{
			out: rapid.IntRange(1, 50).Draw(t, "out"), in: rapid.IntRange(1, 50).Draw(t, "in"),
			bits: rapid.SampledFrom([]int{4, 8}).Draw(t, "bits"), group: rapid.SampledFrom([]int{0, 8, 32}).Draw(t, "group"),
			axis:  rapid.SampledFrom([]spectrum.Axis{spectrum.OutputChannel, spectrum.InputChannel}).Draw(t, "axis"),
			basis: rapid.SampledFrom([]string{"", "dft", "dct"}).Draw(t, "basis"), bias: rapid.Bool().Draw(t, "bias"),
		}
		if c.basis != "" {
			channels, length := c.axis.Shape(c.out, c.in)
			b, err := spectrum.NewBasis(c.basis, length)
			if err != nil {
				t.Fatal(err)
			}
			c.kept = rapid.SliceOfN(rapid.IntRange(0, b.Components()), channels, channels).Draw(t, "kept")
		}
		checkLayer(t, dir, c, rapid.Uint64().Draw(t, "seed"))
	})
}

// Budgets that are sorted already cost no order.
func TestOrderIsStoredWhereNeeded(t *testing.T) {
	for _, c := range []struct {
		kept  []int
		order checkpoint.DType
	}{
		{slices.Repeat([]int{2}, 40), ""},
		{append(slices.Repeat([]int{5}, 17), slices.Repeat([]int{1}, 23)...), ""},
		{append(slices.Repeat([]int{1}, 23), slices.Repeat([]int{5}, 17)...), checkpoint.U16},
	} {
		l, _ := layout{out: 40, in: 12, bits: 4, axis: spectrum.OutputChannel, basis: "dft", kept: c.kept}.make(t, 1)
		if got := inMemory(l.Tensors(layerName))[layerName+".branch.order"]; got.DType != c.order {
			t.Errorf("budgets %v: order of type %q, want %q", c.kept, got.DType, c.order)
		}
	}
}

// The scales of padding are zero and the tiles of padding the grid's zero, so
// that a file does not depend on what lay in memory.
func TestPadding(t *testing.T) {
	c := layout{out: 5, in: 10, bits: 4, group: 8}
	l, _ := c.make(t, 3)
	if len(l.Scales) != 2*16 {
		t.Fatalf("%d scales", len(l.Scales))
	}
	for i, s := range l.Scales {
		if (i%16 < c.out) != (s != 0) {
			t.Errorf("scale %d is %#x", i, s)
		}
	}
	wide := make([]int8, 16*16)
	integer.UnpackTiles(wide, 4, l.Tiles, 16, 16)
	for i, q := range wide {
		if (i/16 >= c.out || i%16 >= c.in) && q != 0 {
			t.Errorf("padding at row %d, column %d holds %d", i/16, i%16, q)
		}
	}
}

// The online computation that kernels do from the tiles is the branch.
func TestTilesCompute(t *testing.T) {
	c := layout{out: 41, in: 24, bits: 4, axis: spectrum.OutputChannel, basis: "dft", kept: slices.Repeat([]int{0, 4, 1, 9}, 11)[:41]}
	l, spectral := c.make(t, 4)
	x := make([]float32, c.in)
	for i := range x {
		x[i] = float32(i%5) - 1.7
	}
	z := make([]float32, l.Branch.MaxCoefficients())
	spectral.Project(z, x)
	got, want := make([]float32, c.out), make([]float32, c.out)
	branch.MulHalfTiles(nil, got, c.out, l.Branch.Tiles, z, len(z), 1)
	spectral.Apply(want, x)
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-5*(1+math.Abs(float64(want[i]))) {
			t.Errorf("row %d: %v, want %v", i, got[i], want[i])
		}
	}
}

func TestFloats(t *testing.T) {
	v := []float32{1, -2.5, math.MaxFloat32}
	f := write(t, []checkpoint.TensorSpec{Floats("norm", v), Floats("none", nil)})
	got, ok := f.Tensor("norm")
	back := make([]float32, 3)
	if !ok || got.Float32(back) != nil || !slices.Equal(back, v) {
		t.Errorf("read %v, want %v", back, v)
	}
	if none, ok := f.Tensor("none"); !ok || none.Elems() != 0 {
		t.Error("an empty vector is not read back")
	}
}
