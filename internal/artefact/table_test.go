package artefact

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/quant"
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
	for _, g := range []quant.Grid{TableGrid(8, 0), TableGrid(6, 32), TableGrid(4, 64), TableGrid(5, 128)} {
		t.Run(fmt.Sprintf("%d bits, groups of %d", g.Bits, g.Group), func(t *testing.T) {
			stored := write(t, QuantizeTable(HeadName, head, g, nil, nil, inSequence))
			format := &Quantization{Head: g.Bits, HeadGroup: g.Group, Embedding: g.Bits, EmbeddingGroup: g.Group}
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
			if !sameBits(dense(l), want) {
				t.Error("other weights than plain rounding gives")
			}
			shared, err := format.ReadEmbedding(fileSource{stored}, rows, cols)
			if err != nil {
				t.Fatal(err)
			}
			lookup, row := NewRows(shared), make([]float32, cols)
			for r := 0; r < rows; r += 3 {
				if lookup.Row(row, r); !sameBits(row, want[r*cols:][:cols]) {
					t.Fatalf("row %d is %v, want %v", r, row, want[r*cols:][:cols])
				}
			}
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
		for _, s := range QuantizeTable(HeadName, head, TableGrid(8, 0), nil, nil, inSequence) {
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
	} {
		wantError(t, want, q.CheckTables(), want)
	}
	q := Quantization{Head: 8}
	if err := q.CheckTables(); err != nil || q.Embedding != 16 || q.SharesTables() {
		t.Errorf("%+v, %v", q, err)
	}
}
