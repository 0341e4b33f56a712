package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// smolConfig has the shape of SmolLM2-135M.
func smolConfig() *checkpoint.Config {
	return &checkpoint.Config{HiddenSize: 576, IntermediateSize: 1536, Layers: 30, Heads: 9, KVHeads: 3, HeadDim: 64, VocabSize: 49152, TieEmbeddings: true}
}

// expectedLoss is that of a recipe, as [raise] adds it up.
func expectedLoss(c *checkpoint.Config, r *recipe.Recipe) (loss float64) {
	for _, f := range filledLayers(c, &recipe.Recipe{}) {
		loss += f.loss(&r.Weights, r.LayerBits(f.match))
	}
	return loss
}

// TestFit: with whatever scales, a size is not exceeded, nothing is left over for which a layer could have one
// bit more, and no choice of one width for all layers that fits is expected to lose less.
func TestFit(t *testing.T) {
	c := smolConfig()
	halves := smallRecipe(t, "rtn", "4-8-8")
	multiples := smallRecipe(t, "rtn", "4-8-8", "name: rtn\n", "name: rtn\nweights: {group: 16, scales: multiples}\n")
	const copied, extra = 2 * 49152 * 576, 1 << 20
	for _, r := range []*recipe.Recipe{halves, multiples} {
		for _, size := range []int64{85e6, 90e6, 97e6, 105e6, 112e6, 113e6, 118e6, 127e6, 140e6, 152e6, 400e6} {
			out, err := fit(c, r, 2, size, copied, extra)
			if err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			room := size - copied - extra - linearBytes(c, out)
			if room < 0 {
				t.Errorf("%s scales, %d bytes: %d too many", r.Weights.Scales, size, -room)
			}
			if out.BitsText != out.Bits.String() || out.Weights.Filled != len(out.Weights.Layers) {
				t.Errorf("%d bytes: bits %s and %s, %d of %d layers", size, out.BitsText, out.Bits, out.Weights.Filled, len(out.Weights.Layers))
			}
			for _, f := range filledLayers(c, &recipe.Recipe{}) {
				bits := out.LayerBits(f.match)
				if most := f.widths(&out.Weights, atLeast(2)); bits < most[len(most)-1] && f.bytes(&out.Weights, bits+1)-f.bytes(&out.Weights, bits) <= room {
					t.Errorf("%s scales, %d bytes: %s could have more than %d bits, %d bytes are left", r.Weights.Scales, size, f.match, bits, room)
				}
			}
			for bits := 2; bits <= 8; bits++ {
				for _, w := range r.Weights.Grids() {
					one := *r
					one.Weights, one.Bits.Weights = w, bits
					if a, b := expectedLoss(c, out), expectedLoss(c, &one); w.Can(bits) && linearBytes(c, &one) <= size-copied-extra && a > b {
						t.Errorf("%s scales, %d bytes: loss %g, with %d bits in groups of %d everywhere %g", r.Weights.Scales, size, a, bits, w.Group, b)
					}
				}
			}
		}
	}
	_, err := fit(c, halves, 2, 60e6, copied, extra)
	if err == nil || !strings.Contains(err.Error(), "a size of 60.0 MB is asked for") || !strings.Contains(err.Error(), "2 bits") {
		t.Errorf("60 MB: %v", err)
	}
	if _, err := fit(c, halves, 4, 105e6, copied, extra); err == nil || !strings.Contains(err.Error(), "4 bits") {
		t.Errorf("105 MB of at least 4 bits: %v", err)
	}
}

// TestFitPrefers: v and k, which query heads share, get bits first, and layers that the recipe names
// keep theirs.
func TestFitPrefers(t *testing.T) {
	c := smolConfig()
	r := smallRecipe(t, "rtn", "4-8-8", "name: rtn\n", "name: rtn\nweights: {group: 16, scales: multiples, layers: [{match: layers.3.mlp.gate_proj, bits: 7}, {match: layers.4.mlp.*, bits: 16}]}\n")
	out, err := fit(c, r, 2, 118e6, 2*49152*576, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	bits := map[string]int{}
	for i := range c.Layers {
		for _, l := range llama.Layers(c) {
			name := llama.TensorPrefix(i) + l.String()
			bits[name] = out.LayerBits(name)
			if r.Weights.Named(name) && bits[name] != r.LayerBits(name) {
				t.Errorf("%s: %d bits, the recipe names %d", name, bits[name], r.LayerBits(name))
			}
		}
	}
	for i := range c.Layers {
		p := llama.TensorPrefix(i)
		if v, k, q := bits[p+"self_attn.v_proj"], bits[p+"self_attn.k_proj"], bits[p+"self_attn.q_proj"]; v < k || k < q || v == q {
			t.Errorf("block %d: %d bits for v, %d for k, %d for q", i, v, k, q)
		}
	}
	if len(out.Weights.Layers)-out.Weights.Filled != 2 {
		t.Errorf("%d layers of %d were filled", out.Weights.Filled, len(out.Weights.Layers))
	}
	again, err := fit(c, out, 2, 118e6, 2*49152*576, 1<<20)
	if err != nil || again.Weights.Group != out.Weights.Group {
		t.Errorf("filled again: %+v, %v", again, err)
	}
}

// TestAverage: an average is met from below by the measure that fills sizes, so that the small v has more
// bits than q, the loss is less than with one width, and with half a bit more less again. Only the widths
// that are listed are used, named layers count for nothing, and a size beside it is refused.
func TestAverage(t *testing.T) {
	c := smolConfig()
	before := 0.0
	for _, k := range []struct {
		average float64
		widths  []int
	}{{3, nil}, {3.5, nil}, {4, nil}, {4.5, []int{6, 4}}, {7, nil}} {
		r := smallRecipe(t, "rtn", "3-8-8", "name: rtn\n", "name: rtn\nweights: {group: 16, scales: multiples, layers: [{match: layers.0.mlp.*, bits: 7}]}\n")
		r.Weights.Average, r.Weights.Widths = k.average, k.widths
		out, err := Resolve(c, r, 0, 4*49152*576, 2e6, 0)
		if err != nil {
			t.Fatal(err)
		}
		var bits, weights float64
		for _, f := range filledLayers(c, r) {
			own := out.LayerBits(f.match)
			if f.fixed {
				if own != 7 {
					t.Errorf("%v bits: %s has %d, the recipe names 7", k.average, f.match, own)
				}
				continue
			}
			if !slices.Contains(r.Weights.MixWidths(), own) {
				t.Errorf("%v bits of %v: %s has %d", k.average, k.widths, f.match, own)
			}
			bits += float64(own * f.weights())
			weights += float64(f.weights())
		}
		if a := bits / weights; a > k.average || a < k.average-.01 {
			t.Errorf("%v bits are asked for, the average is %.3f", k.average, a)
		}
		q, v := out.LayerBits(llama.TensorPrefix(7)+"self_attn.q_proj"), out.LayerBits(llama.TensorPrefix(7)+"self_attn.v_proj")
		if v < q || v == q && k.average < 7 {
			t.Errorf("%v bits: v has %d, q %d", k.average, v, q)
		}
		loss := expectedLoss(c, out)
		if before > 0 && loss >= before {
			t.Errorf("%v bits: loss %g, with fewer %g", k.average, loss, before)
		}
		before = loss
		if k.average == 4 {
			one := *r
			one.Bits.Weights = 4
			if all := expectedLoss(c, &one); loss > .95*all {
				t.Errorf("loss %g, with 4 bits everywhere %g", loss, all)
			}
		}
		if _, err := Resolve(c, r, 90e6, 4*49152*576, 2e6, 0); err == nil || !strings.Contains(err.Error(), "weights.average") || !strings.Contains(err.Error(), "leave out one") {
			t.Errorf("with a size: %v", err)
		}
	}
}

// TestFitTables: the output matrix is filled too where it is rounded by GPTQ, and is the embedding if the
// two are one.
func TestFitTables(t *testing.T) {
	for i := range 4 {
		tied, scales, head, embedding := i%2 == 0, quant.ScalesHalves, 64, 32
		if i > 1 {
			scales, head, embedding = quant.ScalesMultiples, 16, 64
		}
		c := smolConfig()
		c.TieEmbeddings = tied
		r := smallRecipe(t, "rtn", "4-8-8", "solve: {method: rtn}\n", fmt.Sprintf("solve: {method: gptq, damp: .01}\nweights: {group: 16, scales: multiples}\n"+
			"head: {bits: 6, group: %d, scales: %s, method: gptq}\nembedding: {bits: 4, group: %d, scales: %[2]s}\n", head, scales, embedding))
		group := func(t recipe.Table, of int) int { // with 8 bits there are no multiples
			if t.Bits == 8 {
				return max(32, of)
			}
			return of
		}
		var before *recipe.Recipe
		for _, size := range []int64{75e6, 85e6, 92e6, 100e6, 120e6, 140e6, 200e6} {
			out, err := Resolve(c, r, size, 4*49152*576, 2e6, 0)
			if err != nil {
				t.Fatal(err)
			}
			if room := size - tableBytes(c, out, 0) - linearBytes(c, out) - 2e6; room < 0 || room > 1e6 && out.Head.Bits < 8 {
				t.Errorf("%d bytes: %d are left", size, room)
			}
			own := out.Head.Table()
			if own.Group != group(own, head) || tied && out.Embedding != own || !tied && (out.Embedding.Group != group(out.Embedding, embedding) || out.Embedding.Bits > own.Bits) ||
				own.Scales == quant.ScalesMultiples != (i > 1 && own.Bits < 8) {
				t.Errorf("%d bytes: output matrix %+v, embedding %+v", size, out.Head, out.Embedding)
			}
			if before != nil && out.Head.Bits < before.Head.Bits {
				t.Errorf("%d bytes: output matrix of %d bits, with less %d", size, out.Head.Bits, before.Head.Bits)
			}
			before = out
		}
		if before.Head.Bits != 8 {
			t.Errorf("the output matrix has %d bits in 200 MB", before.Head.Bits)
		}
	}
}

// TestFitExperts: the experts of a block get the same bits, by a pattern, fewer than what all tokens pass.
func TestFitExperts(t *testing.T) {
	c := smolConfig()
	c.Experts, c.IntermediateSize = checkpoint.Experts{Count: 16, Used: 2}, 256
	r := smallRecipe(t, "rtn", "4-8-8", "name: rtn\n", "name: rtn\nweights: {group: 16, scales: multiples}\n")
	out, err := fit(c, r, 2, 190e6, 2*49152*576, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for i := range c.Layers {
		p := llama.TensorPrefix(i)
		for e := range 16 {
			up := out.LayerBits(p + llama.Layer{Which: llama.Up, Expert: e}.String())
			if first := out.LayerBits(p + llama.Layer{Which: llama.Up}.String()); up != first {
				t.Errorf("block %d: expert %d has %d bits, the first %d", i, e, up, first)
			}
			if o := out.LayerBits(p + llama.Layer{Which: llama.O, Expert: -1}.String()); o <= up {
				t.Errorf("block %d: o has %d bits, experts %d", i, o, up)
			}
			seen[up] = true
		}
	}
	if room := 190e6 - 2*49152*576 - 1<<20 - linearBytes(c, out); room < 0 || room > 1e6 {
		t.Errorf("%d bytes are left; experts have %v bits", room, slices.Sorted(maps.Keys(seen)))
	}
}

// TestManyExperts: what plan asks of a model of 18,000 experts takes no longer the more of them there are,
// unless the recipe names one of them.
func TestManyExperts(t *testing.T) {
	c := smolConfig()
	c.Layers, c.IntermediateSize = 60, 256
	r := smallRecipe(t, "rtn", "4-8-8", "name: rtn\n", "name: rtn\nweights: {group: 16, scales: multiples}\n")
	allocations := func(experts int, named ...recipe.LayerBits) (n float64, shares []WidthShare) {
		c.Experts = checkpoint.Experts{Count: experts, Used: 2}
		out, err := fit(c, r, 2, 100e6+12e6*int64(experts), 2*49152*576, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Weights.Layers) < c.Layers {
			t.Fatalf("%d layers are listed", len(out.Weights.Layers))
		}
		out.Weights.Layers = append(out.Weights.Layers, named...)
		return testing.AllocsPerRun(1, func() { linearBytes(c, out) }), widthShares(c, out)
	}
	few, _ := allocations(8)
	many, shares := allocations(300)
	if many > 2*few {
		t.Errorf("%v allocations with 300 experts a block, %v with 8", many, few)
	}
	_, apart := allocations(300, recipe.LayerBits{Match: "experts.7?.up_proj", Bits: 7})
	share := func(all []WidthShare) (of float64) {
		for _, s := range all {
			if s.Bits == 7 {
				of = s.Share
			}
		}
		return of
	}
	if d := share(apart) - share(shares); d < 1./90*.95 || d > 1./90*1.05 { // ten of 300, a third of their weights, and little attention
		t.Errorf("ten experts of 300 with 7 bits have %.5f of the weights", d)
	}
}

// TestMatchOneLine: a kind of layers that is alike in all blocks is listed in one line.
func TestMatchOneLine(t *testing.T) {
	var layers []*filled
	for i := range 3 {
		for k, kind := range []string{"a", "b", "c"} {
			f := &filled{kind: kind, match: fmt.Sprintf("%d.%s", i, kind), count: 1, rows: 1, cols: 1 + 4*k, bits: 4}
			if kind == "a" {
				f.bits = 6
			}
			layers = append(layers, f)
		}
	}
	layers[4].bits = 5
	if bits := commonBits(layers); bits != 4 {
		t.Errorf("most have %d bits, want 4", bits)
	}
	want := []recipe.LayerBits{{Match: "a", Bits: 6}, {Match: "1.b", Bits: 5}}
	if list := layerBits(layers, 4); !slices.Equal(list, want) {
		t.Errorf("found %v, want %v", list, want)
	}
	layers[0].fixed = true
	if list := layerBits(layers, 4); !slices.Equal(list, want) {
		t.Errorf("found %v, want %v", list, want)
	}
}

// TestQ4Bytes: what the default fills is not larger than the files that llama-quantize made of
// SmolLM2-135M and Qwen2.5-Coder-0.5B, and hardly smaller.
func TestQ4Bytes(t *testing.T) {
	qwen := &checkpoint.Config{HiddenSize: 896, IntermediateSize: 4864, Layers: 24, Heads: 14, KVHeads: 2, HeadDim: 64, VocabSize: 151936}
	for _, k := range []struct {
		c               *checkpoint.Config
		tokenizer, file int64
	}{{smolConfig(), 1_563_783, 91_726_912}, {qwen, 5_371_466, 428_730_240}} {
		if n := q4Bytes(k.c, k.tokenizer); n > k.file || float64(n) < .995*float64(k.file) {
			t.Errorf("width %d: %d bytes, the file has %d", k.c.HiddenSize, n, k.file)
		}
	}
}

// TestFitNamed: where the recipe names all layers there is nothing to fill, and of the grids the finest
// that fits is taken for them.
func TestFitNamed(t *testing.T) {
	c := smolConfig()
	r := smallRecipe(t, "rtn", "4-8-8", "name: rtn\n", "name: rtn\nweights: {group: 16, scales: multiples, layers: [{match: \"*\", bits: 5}]}\n")
	for size, group := range map[int64]int{125.9e6: 32, 128e6: 16} {
		out, err := fit(c, r, 2, size, 2*49152*576, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if out.Bits.Weights != 4 || out.Weights.Group != group || out.Weights.Filled != 0 {
			t.Errorf("%d bytes: %s, %+v, want groups of %d", size, out.Bits, out.Weights, group)
		}
	}
}
