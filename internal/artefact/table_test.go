package artefact

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// An embedding or output matrix is worked on in parts; the parts must not show,
// and a row looked up is the row that is multiplied.
func TestTable(t *testing.T) {
	const rows, cols = tableChunk + 21, 70
	w := make([]float32, rows*cols)
	for i := range w {
		w[i] = float32(math.Sin(float64(i*i%9973))) * float32(1+i/cols%7)
	}
	clear(w[3*cols:][:cols]) // an unused token
	f := write(t, []checkpoint.TensorSpec{{Name: "head", DType: checkpoint.F32, Shape: []int{rows, cols}, Data: bytesOf(w)}})
	head, _ := f.Tensor("head")
	const multiples = quant.ScalesMultiples
	for _, table := range []recipe.Table{{Bits: 8}, {Bits: 6, Group: 32}, {Bits: 4, Group: 64}, {Bits: 5, Group: 128}, {Bits: 3, Group: 32},
		{Bits: 2, Group: 32, Scales: multiples}, {Bits: 3, Group: 16, Scales: multiples}, {Bits: 4, Group: 16, Scales: multiples}, {Bits: 5, Group: 32, Scales: multiples}, {Bits: 6, Group: 64, Scales: multiples}, {Bits: 7, Group: 16, Scales: multiples}, {Bits: 5, Group: 128, Scales: multiples}} {
		g := table.Grid()
		t.Run(fmt.Sprintf("%d bits, groups of %d, scales %s", g.Bits, g.Group, table.Scales), func(t *testing.T) {
			stored := write(t, QuantizeTable(HeadName, head, g, nil, nil, inSequence))
			format := &Quantization{Head: g.Bits, HeadGroup: g.Group, HeadScales: table.Scales, Embedding: g.Bits, EmbeddingGroup: g.Group, EmbeddingScales: table.Scales}
			l, err := format.ReadHead(fileSource{stored}, rows, cols)
			if err != nil {
				t.Fatal(err)
			}
			scales, err := g.Scales(w, rows, cols, tableClip(g.Bits), inSequence)
			if err != nil {
				t.Fatal(err)
			}
			q, want := make([]int8, len(w)), make([]float32, len(w))
			g.RTN(q, w, scales, rows, cols, inSequence)
			g.Dequantize(want, q, scales, rows, cols, inSequence)
			if g.FixedZero() != nil {
				clear(want[3*cols:][:cols]) // its scale becomes zero as it is stored
			}
			if !sameBits(dense(l), want) {
				t.Error("other weights than plain rounding gives")
			}
			// The parts give the same as the whole, behind the last multiple too.
			if whole := NewLinear(g, q, scales, rows, cols, nil, nil, inSequence); !bytes.Equal(whole.Tiles, l.Tiles) || !slices.Equal(whole.Scales, l.Scales) || !bytes.Equal(whole.Multiples, l.Multiples) {
				t.Error("other tensors than those of a layer")
			}
			shared, err := format.ReadEmbedding(fileSource{stored}, rows, cols)
			if err != nil {
				t.Fatal(err)
			}
			lookup, looking := NewRows(shared), sync.WaitGroup{}
			for first := range 3 {
				looking.Go(func() {
					row := make([]float32, cols)
					for r := first; r < rows; r += 3 {
						if lookup.Row(row, r); !sameBits(row, want[r*cols:][:cols]) {
							t.Errorf("row %d is %v, want %v", r, row, want[r*cols:][:cols])
							return
						}
					}
				})
			}
			looking.Wait()
			_, err = format.ReadHead(fileSource{stored}, rows+16, cols)
			wantError(t, "another vocabulary", err, "lm_head.qweight", "layer.safetensors")
		})
	}
}

// A bad weight is reported with where its part of the matrix starts.
func TestTableRefuses(t *testing.T) {
	const rows, cols = tableChunk + 3, 4
	for want, v := range map[string]float32{"[2049,2]": float32(math.NaN()), "row 1, group 0: ": 1e30} {
		w := make([]float32, rows*cols)
		w[(tableChunk+1)*cols+2] = v
		f := write(t, []checkpoint.TensorSpec{{Name: "head", DType: checkpoint.F32, Shape: []int{rows, cols}, Data: bytesOf(w)}})
		head, _ := f.Tensor("head")
		for _, s := range QuantizeTable(HeadName, head, recipe.Table{Bits: 8}.Grid(), nil, nil, inSequence) {
			wantError(t, s.Name, s.Write(&bytes.Buffer{}), want, "layer.safetensors")
		}
	}
}

// What config.json says of the two matrices is checked; artefacts from before there
// was a choice have an embedding of 16 bits.
func TestCheckTables(t *testing.T) {
	for want, q := range map[string]Quantization{
		"head_bits is 9":             {Head: 9},
		"head_bits is 0":             {},
		"embedding_bits is 1":        {Head: 16, Embedding: 1},
		"head_group_size is 12":      {Head: 8, HeadGroup: 12},
		"embedding_group_size is -8": {Head: 8, Embedding: 4, EmbeddingGroup: -8},

		`head_scales is "tenths", expected halves or multiples`:                                      {Head: 8, HeadScales: "tenths"},
		"format_version is 6 with head_scales multiples, expected 7":                                 {Version: 6, Head: 6, HeadGroup: 16, HeadScales: quant.ScalesMultiples},
		"head_bits is 8 with head_scales multiples, expected one of [2 3 4 5 6 7]":                   {Version: 7, Head: 8, HeadGroup: 32, HeadScales: quant.ScalesMultiples},
		"head_group_size is 48 with head_scales multiples, expected 16 or a multiple of 32":          {Version: 7, Head: 6, HeadGroup: 48, HeadScales: quant.ScalesMultiples},
		"embedding_bits is 16 with embedding_scales multiples, expected one of [2 3 4 5 6 7]":        {Version: 7, Head: 6, EmbeddingScales: quant.ScalesMultiples},
		"embedding_group_size is 0 with embedding_scales multiples, expected 16 or a multiple of 32": {Version: 7, Head: 6, Embedding: 4, EmbeddingScales: quant.ScalesMultiples},
		"format_version is 5 with embedding_scales multiples":                                        {Version: 5, Head: 6, Embedding: 4, EmbeddingGroup: 16, EmbeddingScales: quant.ScalesMultiples},
	} {
		wantError(t, want, q.CheckTables(), want)
	}
	q := Quantization{Head: 8}
	if err := q.CheckTables(); err != nil || q.Embedding != 16 || q.SharesTables() {
		t.Errorf("%+v, %v", q, err)
	}
}

// A tied model stores one matrix only if both are stored alike.
func TestSharesTables(t *testing.T) {
	const multiples, halves = quant.ScalesMultiples, quant.ScalesHalves
	for _, c := range []struct {
		head, embedding recipe.Table
		want            bool
	}{
		{recipe.Table{Bits: 6, Group: 64}, recipe.Table{Bits: 6, Group: 64, Scales: halves}, true},
		{recipe.Table{Bits: 6, Group: 64, Scales: multiples}, recipe.Table{Bits: 6, Group: 64, Scales: multiples}, true},
		{recipe.Table{Bits: 6, Group: 64, Scales: multiples}, recipe.Table{Bits: 6, Group: 64, Scales: halves}, false},
		{recipe.Table{Bits: 6, Group: 64}, recipe.Table{Bits: 5, Group: 64}, false},
		{recipe.Table{Bits: 16}, recipe.Table{Bits: 16}, false},
	} {
		q := Quantization{Head: c.head.Bits, HeadGroup: c.head.Group, HeadScales: c.head.Scales, Embedding: c.embedding.Bits, EmbeddingGroup: c.embedding.Group, EmbeddingScales: c.embedding.Scales}
		if q.SharesTables() != c.want {
			t.Errorf("%+v and %+v: %v", c.head, c.embedding, !c.want)
		}
	}
}
