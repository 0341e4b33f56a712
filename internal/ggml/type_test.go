package ggml

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"testing"
)

// golden is what testdata/goldens.py has written of a type.
type golden struct {
	t      *Type
	blocks []byte
	want   []float32
}

func goldens(t testing.TB) []golden {
	t.Helper()
	data, err := os.ReadFile("testdata/goldens.bin")
	if err != nil {
		t.Fatal(err)
	}
	var all []golden
	for len(data) > 0 {
		name, rest, ok := bytes.Cut(data, []byte("\n"))
		g := golden{t: ByName(string(name))}
		if !ok || g.t == nil {
			t.Fatalf("goldens.bin: found %q, expected a type's name", name)
		}
		count, weights := int(binary.LittleEndian.Uint32(rest)), int(binary.LittleEndian.Uint32(rest[4:]))
		rest = rest[8:]
		g.blocks, rest = rest[:count*g.t.Bytes], rest[count*g.t.Bytes:]
		g.want = make([]float32, weights)
		for i := range g.want {
			g.want[i] = math.Float32frombits(binary.LittleEndian.Uint32(rest[4*i:]))
		}
		data = rest[4*weights:]
		all = append(all, g)
	}
	return all
}

func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func TestDequantizeIsThatOfGGUFPy(t *testing.T) {
	all := goldens(t)
	if len(all) != len(Types) {
		t.Errorf("goldens of %d types, expected all %d", len(all), len(Types))
	}
	for _, g := range all {
		got := make([]float32, len(g.want))
		g.t.Dequantize(got, g.blocks)
		for i := range got {
			if !same(got[i], g.want[i]) {
				t.Errorf("%s: weight %d is %v (%08x), gguf has %v (%08x)", g.t.Name, i, got[i], math.Float32bits(got[i]), g.want[i], math.Float32bits(g.want[i]))
				break
			}
		}
	}
}

// checkBlock holds a block of any bytes against what its type promises.
func checkBlock(t *testing.T, typ *Type, src []byte) {
	t.Helper()
	var b Block
	typ.Decode(&b, src)
	lo, hi := -1<<(typ.Bits-1), 1<<(typ.Bits-1)-1
	if typ.HasMin || typ.Levels != nil {
		lo, hi = 0, 1<<typ.Bits-1
	}
	for i, q := range b.Q[:typ.Elems] {
		if int(q) < lo || int(q) > hi {
			t.Fatalf("%s: number %d is %d, expected %d to %d", typ.Name, i, q, lo, hi)
		}
	}
	for g, m := range b.Min {
		if m != 0 && !typ.HasMin {
			t.Fatalf("%s: minimum %d is %v, expected none", typ.Name, g, m)
		}
	}
}

func TestTypes(t *testing.T) {
	for n, typ := range Types {
		if typ.Number != n || ByName(typ.Name) != typ || typ.Elems%typ.Group != 0 || typ.Elems > MaxElems || typ.Groups() > MaxGroups || typ.Levels != nil && (typ.Bits != 4 || typ.HasMin) || Unread[n] != "" {
			t.Errorf("type %d: inconsistent %+v", n, typ)
		}
		if _, whole := typ.RowBytes(typ.Elems + 1); whole {
			t.Errorf("%s: a row of %d weights is whole blocks", typ.Name, typ.Elems+1)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, g := range goldens(f) {
		f.Add(g.t.Number, g.blocks[:g.t.Bytes])
	}
	f.Fuzz(func(t *testing.T, number uint32, src []byte) {
		typ := Types[number]
		if typ == nil || len(src) < typ.Bytes {
			t.Skip()
		}
		src = src[:typ.Bytes]
		checkBlock(t, typ, src)
		a, b := make([]float32, typ.Elems), make([]float32, 2*typ.Elems)
		typ.Dequantize(a, src)
		typ.Dequantize(b, append(bytes.Clone(src), src...))
		for i, v := range b {
			if !same(v, a[i%typ.Elems]) {
				t.Fatalf("%s: weight %d is %v in the second block, %v alone", typ.Name, i, v, a[i%typ.Elems])
			}
		}
	})
}

func BenchmarkDequantize(b *testing.B) {
	for _, g := range goldens(b) {
		dst := make([]float32, len(g.want))
		b.Run(g.t.Name, func(b *testing.B) {
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				g.t.Dequantize(dst, g.blocks)
			}
		})
	}
}
