package pipeline

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestTables: which of embedding and output matrix an artefact stores, tied or not,
// with every mixture of 16 and fewer bits, and that what is looked up is near what
// the checkpoint has.
func TestTables(t *testing.T) {
	const six, rotated = "embedding: {bits: 6, group: 32}\n", "rotate: {residual: hadamard}\n"
	const six16 = "head: {bits: 6, group: 32}\n"
	const turned = "head: {bits: 6, group: 32, transform: hadamard}\n"
	const sixteen = "head: {bits: 6, group: 16, scales: multiples, transform: hadamard}\n"
	const multiples = "embedding: {bits: 6, group: 32, scales: multiples}\n"
	for _, c := range []struct {
		name, yaml string
		tied       bool
		want       string // tensors, without .scales
	}{
		{"neither", "", false, "embed_tokens.weight lm_head.weight"},
		{"neither, tied", "", true, "embed_tokens.weight"},
		{"both", six + six16, false, "embed_tokens.qweight lm_head.qweight"},
		{"both, tied: one stands for both", six + six16, true, "lm_head.qweight"},
		{"both, tied, rotated: they differ now", six + six16 + rotated, true, "embed_tokens.qweight lm_head.qweight"},
		{"head only", six16, false, "embed_tokens.weight lm_head.qweight"},
		{"head only, tied: it stands for both", six16, true, "lm_head.qweight"},
		{"head transformed, tied", turned, true, "lm_head.qweight"},
		{"head transformed", turned, false, "embed_tokens.weight lm_head.qweight"},
		{"multiples", sixteen + multiples, false, "embed_tokens.multiples embed_tokens.qweight lm_head.multiples lm_head.qweight"},
		{"multiples, tied", sixteen + multiples, true, "lm_head.multiples lm_head.qweight"},
		{"multiples, rotated", sixteen + multiples + rotated, true, "embed_tokens.multiples embed_tokens.qweight lm_head.multiples lm_head.qweight"},
		{"multiples in the embedding only", six16 + multiples, false, "embed_tokens.multiples embed_tokens.qweight lm_head.qweight"},
		{"embedding only", six, false, "embed_tokens.qweight lm_head.weight"},
		{"embedding only, tied: the head decides", six, true, "embed_tokens.weight"},
		{"two formats, tied: the head decides", six16 + "embedding: {bits: 4}\n", true, "lm_head.qweight"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := smallRecipe(t, "rtn", "8-16-16", "name: rtn\n", "name: rtn\n"+c.yaml)
			o := options(t, testmodel.Options{Tied: c.tied, Hidden: 64}, r, 2)
			if _, err := Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			ck, err := checkpoint.Open(o.Out)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, name := range ck.Names() {
				name = strings.TrimPrefix(name, "model.")
				if (strings.HasPrefix(name, "embed") || strings.HasPrefix(name, "lm_head")) && !strings.HasSuffix(name, ".scales") {
					got = append(got, name)
				}
			}
			slices.Sort(got)
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("stored are %q, want %q", s, c.want)
			}
			m, err := engine.New(ck, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			full, err := checkpoint.Open(o.Dir)
			if err != nil {
				t.Fatal(err)
			}
			defer full.Close()
			ids := make([]int, testmodel.Vocab)
			for i := range ids {
				ids[i] = i
			}
			if strings.Contains(c.yaml, rotated) {
				return // the rows are rotated
			}
			h := m.Config.HiddenSize
			x, want := make([]float32, len(ids)*h), make([]float32, len(ids)*h)
			if err := m.Embed(x, ids); err != nil {
				t.Fatal(err)
			}
			if err := llama.Embed(full, want, ids); err != nil {
				t.Fatal(err)
			}
			var off, all float64
			for i := range x {
				off += math.Pow(float64(x[i]-want[i]), 2)
				all += math.Pow(float64(want[i]), 2)
			}
			limit := 0.0
			if strings.Contains(c.yaml, "embedding: {bits: 6") && !c.tied || strings.Contains(c.yaml, "head: {bits: 6") && c.tied {
				limit = 0.04
			}
			if e := math.Sqrt(off / all); e > limit {
				t.Errorf("embeddings are off by %.4f, want at most %v", e, limit)
			}
		})
	}
}
