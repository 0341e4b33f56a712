package artefact

import (
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/quant"
)

// TestMultiplesByDefinition decodes the tensors as docs/FORMAT.md says.
func TestMultiplesByDefinition(t *testing.T) {
	for _, c := range []struct{ bits, out, in, group int }{{2, 20, 70, 32}, {3, 37, 100, 16}, {4, 37, 100, 16}, {5, 16, 96, 32}, {6, 20, 40, 16}, {7, 50, 130, 64}, {5, 3, 10, 128}} {
		w := randoms(rand.New(rand.NewPCG(uint64(c.bits), 1)), c.out*c.in)
		g := quant.MultipleGrid(c.bits, c.group)
		steps, err := g.Scales(w, c.out, c.in, quant.ClipMSE, inSequence)
		if err != nil {
			t.Fatal(err)
		}
		q := make([]int8, len(w))
		g.RTN(q, w, steps, c.out, c.in, inSequence)
		l := NewLinear(g, q, steps, c.out, c.in, nil, nil, inSequence)
		m := inMemory(l.Tensors(layerName))
		scales, multiples := m[layerName+".scales"], m[layerName+".multiples"]
		codes := make([]int8, len(w))
		integer.UnpackTiles(codes, c.bits, m[layerName+".qweight"].Data, c.out, c.in)
		want := dense(l)
		groups, n := (c.in+c.group-1)/c.group, min(4, 8-c.bits)
		for i, v := range want {
			r, group := i/c.in, i%c.in/c.group
			first := n * (r % 16) // the first bit of the multiple less one
			at := (r/16*groups+group)*2*n + first/8
			bits := int(multiples.Data[at]) | int(multiples.Data[at+1])<<8
			multiple := 1 + bits>>(first%8)&(1<<n-1)
			scale := float.FromF16(uint16(scales.Data[2*r]) | uint16(scales.Data[2*r+1])<<8)
			code := int(codes[i])
			if c.bits <= 3 {
				code = 2*code + 1
			}
			if got := scale * float32(multiple) * float32(code); got != v {
				t.Fatalf("%+v: row %d, column %d: %v, want %v", c, r, i%c.in, got, v)
			}
		}
		if tail := multiples.Data[(c.out+15)/16*groups*2*n:]; len(tail) != 8-2*n {
			t.Errorf("%+v: %d bytes behind the multiples, want %d", c, len(tail), 8-2*n)
		}
	}
}
