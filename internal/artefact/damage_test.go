package artefact

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/spectrum"
)

// The layers that are damaged: two tiles with an order; five columns, two of them whole; and two
// tiles with multiples for four groups.
var (
	outputLayer = layout{out: 20, in: 12, bits: 4, axis: spectrum.OutputChannel, basis: "dft",
		kept: []int{0, 3, 1, 4, 0, 0, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, bias: true}
	inputLayer = layout{out: 10, in: 9, bits: 4, axis: spectrum.InputChannel, basis: "dft",
		kept: []int{0, 3, 6, 1, 0, 0, 2, 6, 0}, bias: true}
	multiplesLayer = layout{out: 20, in: 64, bits: 5, group: 16, axis: spectrum.OutputChannel, basis: "dft",
		kept: slices.Repeat([]int{2}, 20), multiples: true}
)

func i32(v ...int32) []byte {
	var b []byte
	for _, n := range v {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return b
}

func u16(v ...uint16) []byte {
	var b []byte
	for _, n := range v {
		b = binary.LittleEndian.AppendUint16(b, n)
	}
	return b
}

// The damage tables below count on this layout.
func TestDamagedLayersAsExpected(t *testing.T) {
	l, _ := outputLayer.make(t, 1)
	if want := []int{7, 1}; !slices.Equal(l.Branch.Tiles.Count, want) {
		t.Errorf("counts %v, want %v", l.Branch.Tiles.Count, want)
	}
	l, _ = inputLayer.make(t, 1)
	b := l.Branch
	if !slices.Equal(b.Columns, []int32{1, 3, 6}) || !slices.Equal(b.Offset, []int32{0, 5, 6, 9}) || !slices.Equal(b.FullColumns, []int32{2, 7}) {
		t.Errorf("columns %v, offsets %v, full columns %v", b.Columns, b.Offset, b.FullColumns)
	}
}

func TestDamage(t *testing.T) {
	const branch = ".branch"
	set := func(dtype checkpoint.DType, data []byte) func(*checkpoint.TensorSpec) {
		return func(s *checkpoint.TensorSpec) {
			s.DType, s.Data = dtype, data
			s.Shape = []int{len(data) / max(1, dtype.Size())}
		}
	}
	cut := func(n int) func(*checkpoint.TensorSpec) {
		return func(s *checkpoint.TensorSpec) {
			s.Data = s.Data[:len(s.Data)-n*s.DType.Size()]
			s.Shape = []int{len(s.Data) / s.DType.Size()}
		}
	}
	grow := func(n int) func(*checkpoint.TensorSpec) {
		return func(s *checkpoint.TensorSpec) {
			s.Data = append(slices.Clone(s.Data), make([]byte, n*s.DType.Size())...)
			s.Shape = []int{len(s.Data) / s.DType.Size()}
		}
	}
	retype := func(d checkpoint.DType) func(*checkpoint.TensorSpec) {
		return func(s *checkpoint.TensorSpec) {
			s.Shape, s.DType = []int{len(s.Data) / d.Size()}, d
		}
	}
	poke := func(i int, h uint16) func(*checkpoint.TensorSpec) {
		return func(s *checkpoint.TensorSpec) {
			s.Data = slices.Clone(s.Data)
			binary.LittleEndian.PutUint16(s.Data[2*i:], h)
		}
	}
	remove := func(s *checkpoint.TensorSpec) { s.Name += ".gone" }
	const lowest, highest = math.MinInt32, math.MaxInt32
	for _, c := range []struct {
		name   string
		layer  layout
		tensor string
		change func(*checkpoint.TensorSpec)
		want   []string
	}{
		{"integers gone", outputLayer, ".qweight", remove, nil},
		{"integers cut", outputLayer, ".qweight", cut(64), []string{"bytes", "expected"}},
		{"integers of another type", outputLayer, ".qweight", retype(checkpoint.I8), []string{"I8", "U8"}},
		{"scales gone", outputLayer, ".scales", remove, nil},
		{"scales cut", outputLayer, ".scales", cut(16), []string{"16", "expected 32"}},
		{"scales of another type", outputLayer, ".scales", retype(checkpoint.BF16), []string{"BF16", "F16"}},
		{"scale infinite", outputLayer, ".scales", poke(3, 0x7c00), []string{"value 3", "not finite"}},
		{"scale NaN", outputLayer, ".scales", poke(4, 0xfe00), []string{"value 4", "not finite"}},
		{"bias cut", outputLayer, ".bias", cut(1), []string{"19", "expected 20"}},
		{"bias of integers", outputLayer, ".bias", retype(checkpoint.I32), []string{"I32"}},
		{"bias NaN", outputLayer, ".bias", set(checkpoint.F32, slices.Repeat([]byte{0xff}, 80)), []string{"NaN"}},

		{"counts gone", outputLayer, branch + ".count", remove, nil},
		{"counts cut", outputLayer, branch + ".count", cut(1), []string{"has 1 value ", "expected 2"}},
		{"counts grown", outputLayer, branch + ".count", grow(1), []string{"3 values"}},
		{"counts of 64 bits", outputLayer, branch + ".count", retype(checkpoint.I64), []string{"I64"}},
		{"count negative", outputLayer, branch + ".count", set(checkpoint.I32, i32(-1, 1)), []string{"group 0", "-1"}},
		{"count lowest", outputLayer, branch + ".count", set(checkpoint.I32, i32(7, lowest)), []string{"group 1"}},
		{"count too large", outputLayer, branch + ".count", set(checkpoint.I32, i32(13, 1)), []string{"group 0", "13", "0 to 12"}},
		{"count highest", outputLayer, branch + ".count", set(checkpoint.I32, i32(highest, 1)), []string{"group 0"}},
		{"count inside a component", outputLayer, branch + ".count", set(checkpoint.I32, i32(7, 2)), []string{"group 1", "2 coefficients", "whole component"}},
		{"counts too few", outputLayer, branch + ".count", set(checkpoint.I32, i32(5, 1)), []string{".coeff", "128", "96"}},
		{"counts too many", outputLayer, branch + ".count", set(checkpoint.I32, i32(7, 3)), []string{".coeff", "group 1", "160"}},
		{"coefficients gone", outputLayer, branch + ".coeff", remove, nil},
		{"coefficients cut", outputLayer, branch + ".coeff", cut(1), []string{"127"}},
		{"coefficients grown", outputLayer, branch + ".coeff", grow(16), []string{"144"}},
		{"coefficients of another type", outputLayer, branch + ".coeff", retype(checkpoint.I16), []string{"I16", "F16"}},
		{"coefficient infinite", outputLayer, branch + ".coeff", poke(100, 0xfc00), []string{"value 100", "not finite"}},
		{"order cut", outputLayer, branch + ".order", cut(1), []string{"19", "expected 20"}},
		{"order of bytes", outputLayer, branch + ".order", retype(checkpoint.U8), []string{"U8"}},
		{"order repeats", outputLayer, branch + ".order", set(checkpoint.U16, u16(slices.Repeat([]uint16{0, 1}, 10)...)), []string{"value 0 at 2", "permutation"}},
		{"order beyond", outputLayer, branch + ".order", poke(19, 20), []string{"value 20 at 19", "0 to 19"}},
		{"order negative", outputLayer, branch + ".order", set(checkpoint.I32, i32(slices.Repeat([]int32{-1}, 20)...)), []string{"value -1 at 0"}},

		{"columns gone", inputLayer, branch + ".columns", remove, nil},
		{"columns of floats", inputLayer, branch + ".columns", retype(checkpoint.F32), []string{"F32", "expected type I32 or U16"}},
		{"columns descending", inputLayer, branch + ".columns", set(checkpoint.I32, i32(1, 6, 3)), []string{"column index 3 at 2", "ascending"}},
		{"columns repeated", inputLayer, branch + ".columns", set(checkpoint.I32, i32(1, 3, 3)), []string{"column index 3 at 2", "ascending"}},
		{"column negative", inputLayer, branch + ".columns", set(checkpoint.I32, i32(-1, 3, 6)), []string{"column index -1 at 0"}},
		{"column beyond", inputLayer, branch + ".columns", set(checkpoint.I32, i32(1, 3, 9)), []string{"column index 9", "below 9"}},
		{"columns cut", inputLayer, branch + ".columns", cut(1), []string{".offset", "expected 3"}},
		{"offsets gone", inputLayer, branch + ".offset", remove, nil},
		{"offsets cut", inputLayer, branch + ".offset", cut(1), []string{"3 values", "expected 4"}},
		{"offsets start late", inputLayer, branch + ".offset", set(checkpoint.I32, i32(4, 5, 6, 9)), []string{"starts with 4"}},
		{"offsets go back", inputLayer, branch + ".offset", set(checkpoint.I32, i32(0, 5, 4, 9)), []string{"column 1", "-1 coefficients"}},
		{"offsets wrap", inputLayer, branch + ".offset", set(checkpoint.I32, i32(0, lowest, highest, 9)), []string{"column 0"}},
		{"offset beyond a column", inputLayer, branch + ".offset", set(checkpoint.I32, i32(0, 11, 12, 15)), []string{"11 coefficients", "0 to 10"}},
		{"offset inside a component", inputLayer, branch + ".offset", set(checkpoint.I32, i32(0, 4, 7, 10)), []string{"4 coefficients", "whole component"}},
		{"offsets too short", inputLayer, branch + ".offset", set(checkpoint.I32, i32(0, 5, 6, 7)), []string{".coeff", "9 values", "expected 7"}},
		{"input coefficients cut", inputLayer, branch + ".coeff", cut(9), []string{"0 values", "expected 9"}},
		{"input coefficient NaN", inputLayer, branch + ".coeff", poke(8, 0x7e01), []string{"value 8", "not finite"}},
		{"full columns gone", inputLayer, branch + ".full_columns", remove, nil},
		{"full columns descending", inputLayer, branch + ".full_columns", set(checkpoint.I32, i32(7, 2)), []string{".full_columns", "column index 2 at 1"}},
		{"full column stored twice", inputLayer, branch + ".full_columns", set(checkpoint.I32, i32(3, 7)), []string{".full_columns", "column index 3 at 0", ".columns too"}},
		{"full columns cut", inputLayer, branch + ".full_columns", cut(1), []string{".full", "20 values", "expected 10"}},
		{"full gone", inputLayer, branch + ".full", remove, nil},
		{"full cut", inputLayer, branch + ".full", cut(1), []string{"19 values", "expected 20"}},
		{"multiples gone", multiplesLayer, ".multiples", remove, nil},
		{"multiples cut", multiplesLayer, ".multiples", cut(1), []string{".multiples", "49 bytes", "expected 50", "20×64 in 5 bits"}},
		{"multiples grown", multiplesLayer, ".multiples", grow(6), []string{".multiples", "56 bytes", "expected 50"}},
		{"multiples of another type", multiplesLayer, ".multiples", retype(checkpoint.I8), []string{".multiples", "I8", "U8"}},
		{"a byte behind the multiples", multiplesLayer, ".multiples", poke(24, 0x100), []string{".multiples", "byte 49 is 1", "expected 0"}},
		{"scales of rows cut", multiplesLayer, ".scales", cut(16), []string{"16 values", "expected 32"}},
		{"scales of groups", multiplesLayer, ".scales", grow(64), []string{"96 values", "expected 32"}},
		{"scale of a row infinite", multiplesLayer, ".scales", poke(3, 0x7c00), []string{"value 3", "not finite"}},

		{"full infinite", inputLayer, branch + ".full", poke(19, 0x7c00), []string{"value 19"}},
	} {
		l, _ := c.layer.make(t, 1)
		specs := l.Tensors(layerName)
		i := slices.IndexFunc(specs, func(s checkpoint.TensorSpec) bool { return s.Name == layerName+c.tensor })
		if i < 0 {
			t.Fatalf("%s: no tensor %s", c.name, c.tensor)
		}
		c.change(&specs[i])
		for _, src := range []Source{fileSource{write(t, specs)}, inMemory(specs)} {
			got, err := ReadLinear(src, layerName, c.layer.out, c.layer.in, c.layer.quantization())
			parts := append([]string{layerName}, c.want...)
			if _, file := src.(fileSource); file {
				parts = append(parts, "layer.safetensors")
			}
			wantError(t, c.name, err, parts...)
			if err != nil && got != nil {
				t.Errorf("%s: a layer beside the error", c.name)
			}
		}
	}
}

// The same file read as another layer than it is.
func TestReadRefusesAnotherShape(t *testing.T) {
	for _, c := range []layout{outputLayer, inputLayer, multiplesLayer} {
		l, _ := c.make(t, 1)
		src := inMemory(l.Tensors(layerName))
		for _, d := range []struct {
			name    string
			out, in int
			change  func(*Quantization)
		}{
			{"rows", c.out + 16, c.in, nil},
			{"columns", c.out, c.in + 8, nil},
			{"bits", c.out, c.in, func(q *Quantization) { q.Bits.Weights = 8 }},
			{"group", c.out, c.in, func(q *Quantization) { q.Group = 8 }},
			{"scales", c.out, c.in, func(q *Quantization) {
				q.Scales, q.Group = map[quant.ScaleKind]quant.ScaleKind{"": quant.ScalesMultiples, quant.ScalesMultiples: ""}[q.Scales], 16
			}},
			{"axis", c.out, c.in, func(q *Quantization) {
				q.Branch.Axis = map[string]string{"input": "output", "output": "input"}[q.Branch.Axis]
			}},
			{"no axis", c.out, c.in, func(q *Quantization) { q.Branch.Axis = "" }},
			{"basis", c.out, c.in, func(q *Quantization) { q.Branch.Basis = "klt" }},
		} {
			q := c.quantization()
			if d.change != nil {
				d.change(q)
			}
			if got, err := ReadLinear(src, layerName, d.out, d.in, q); err == nil || got != nil {
				t.Errorf("%v axis, other %s: layer %v, error %v", c.axis, d.name, got, err)
			}
		}
		if _, err := ReadLinear(src, "other", c.out, c.in, c.quantization()); err == nil {
			t.Error("another layer's name: no error")
		}
	}
}

// FuzzReadLinear replaces the bytes of one tensor. What is read in spite of it
// is a layer that can be used.
func FuzzReadLinear(f *testing.F) {
	layers := []layout{outputLayer, inputLayer, multiplesLayer}
	var specs [][]checkpoint.TensorSpec
	for i, c := range layers {
		l, _ := c.make(f, 1)
		specs = append(specs, l.Tensors(layerName))
		for k, s := range specs[i] {
			f.Add(uint8(i), uint8(k), uint8(0), s.Data)
			f.Add(uint8(i), uint8(k), uint8(3), s.Data[:len(s.Data)/2])
		}
	}
	f.Add(uint8(0), uint8(2), uint8(0), i32(7, 2))
	f.Add(uint8(1), uint8(3), uint8(0), i32(0, 5, 4, 9))
	f.Add(uint8(1), uint8(2), uint8(2), u16(1, 3, 6))
	dtypes := []checkpoint.DType{"", checkpoint.I32, checkpoint.U16, checkpoint.F16, checkpoint.U8, checkpoint.F32}
	f.Fuzz(func(t *testing.T, layer, tensor, dtype uint8, data []byte) {
		n := int(layer) % len(layers)
		c, part := layers[n], slices.Clone(specs[n])
		s := &part[int(tensor)%len(part)]
		if d := dtypes[int(dtype)%len(dtypes)]; d != "" {
			s.DType = d
		}
		elems := len(data) / s.DType.Size()
		s.Shape, s.Data = []int{elems}, data[:elems*s.DType.Size()]
		l, err := ReadLinear(inMemory(part), layerName, c.out, c.in, c.quantization())
		if err != nil {
			if !strings.Contains(err.Error(), layerName) {
				t.Errorf("error %q does not name the tensor", err)
			}
			return
		}
		if err := l.Branch.Spectrum().Validate(); err != nil {
			t.Fatalf("read a branch that is none: %v", err)
		}
		if c.axis == spectrum.OutputChannel {
			if err := l.Branch.Tiles.Check(c.in); err != nil {
				t.Fatal(err)
			}
		}
		for _, v := range dense(l) {
			if math.IsNaN(float64(v)) {
				t.Fatal("a weight is NaN")
			}
		}
		if _, err := l.Matrix(); err != nil {
			t.Fatal(err)
		}
		// What it writes is read again as the same layer.
		again, err := ReadLinear(inMemory(l.Tensors(layerName)), layerName, c.out, c.in, c.quantization())
		if err != nil || !sameBits(dense(again), dense(l)) {
			t.Fatalf("written again: %v", err)
		}
	})
}
