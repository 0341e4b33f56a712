package recipe

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// storedRecipe sets the keys that fullRecipe's basis does not allow.
const storedRecipe = `name: stored
bits: 4-4-4
weights:
  group: 32
  clip: awq
  zero: asymmetric
  average: 4.5
  widths: [4, 3, 8, 4]
  layers: [{match: down_proj, bits: 6}]
smooth:
  method: awq
  inputs: [attn, down]
branch:
  basis: svd
  axis: output
  share: 0.125
  bits: 8
  inputs: [attn, mlp]
  rounds: 20
  whiten: true
solve:
  method: gptq
  damp: 0.01
`

func TestParseStored(t *testing.T) {
	r, err := Parse([]byte(storedRecipe), "stored.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := (&Smooth{Method: SmoothAWQ, Inputs: []string{"attn", "down"}}); !reflect.DeepEqual(r.Smooth, want) {
		t.Errorf("smooth %+v", r.Smooth)
	}
	if want := (&Branch{Basis: BasisSVD, Axis: "output", Share: 0.125, Bits: 8, Inputs: []string{"attn", "mlp"}, Rounds: 20, Whiten: true}); !reflect.DeepEqual(r.Branch, want) {
		t.Errorf("branch %+v", r.Branch)
	}
	var smoothed, branched []bool
	for in := range llama.NumInputs {
		smoothed, branched = append(smoothed, r.Smooth.Has(in)), append(branched, r.Branch.Has(in))
	}
	if !slices.Equal(smoothed, []bool{true, false, false, true}) || !slices.Equal(branched, []bool{true, false, true, false}) {
		t.Errorf("inputs smoothed %v, with a branch %v", smoothed, branched)
	}
	if w := r.Weights; w.Average != 4.5 || !slices.Equal(w.MixWidths(), []int{3, 4, 8}) || !w.Named("model.layers.1.mlp.down_proj") || w.Named("model.layers.1.mlp.up_proj") {
		t.Errorf("weights %+v", w)
	}
	if w := (&Weights{}); !slices.Equal(w.MixWidths(), quant.WeightBits) {
		t.Errorf("all widths: %v", w.MixWidths())
	}
	if !r.NeedsHessian() || !r.NeedsCalibration() || !r.Branch.Iterated() || r.Branch.Width() != 8 {
		t.Errorf("Hessian %v, calibration %v, iterated %v, width %d", r.NeedsHessian(), r.NeedsCalibration(), r.Branch.Iterated(), r.Branch.Width())
	}
	if k := r.Branch.Dimensions(100, 300); k != 13 {
		t.Errorf("an eighth of 100 is %d", k)
	}
	r.Branch.Overhead = 0.5 // 8·400/30000 bits a vector
	if k := r.Branch.Dimensions(100, 300); k != 5 {
		t.Errorf("half a bit buys %d vectors, want 5", k)
	}
	var none *Branch
	if none.Has(llama.AttnInput) || none.Iterated() || none.Stored() {
		t.Error("no branch has an input")
	}
}

func TestParseStoredRefuses(t *testing.T) {
	for _, c := range []struct {
		old, now string
		want     []string
	}{
		{"inputs: [attn, down]", "inputs: [attn, q_proj]", []string{"smooth.inputs", `"q_proj"`, "attn, o, mlp, down"}},
		{"method: awq", "method: awk", []string{"smooth.method", `"awk"`, "alpha, awq"}},
		{"method: awq", "method: alpha", []string{"smooth.alpha", "missing"}},
		{"  method: awq", "  method: awq\n  alpha: 0.5", []string{"smooth.alpha", "awq"}},
		{"solve:", "rotate: {down: hadamard}\nsolve:", []string{"rotate.down", "awq"}},
		{"average: 4.5", "average: 2.5", []string{"weights.average", "2.5", "3 to 8"}},
		{"average: 4.5", "average: .nan", []string{"weights.average"}},
		{"average: 4.5", "average: 0", []string{"weights.average", "missing"}},
		{"widths: [4, 3, 8, 4]", "widths: [4, 9]", []string{"weights.widths", "9"}},
		{"widths: [4, 3, 8, 4]", "widths: [4, 5.5]", []string{"weights.widths", "5.5", "whole number"}},
		{"bits: 6}", "bits: 6.5}", []string{"weights.layers", "6.5", "whole number"}},
		{"share: 0.125", "share: 1.5", []string{"branch.share", "1.5"}},
		{"share: 0.125", "share: 0.1\n  components: 3", []string{"branch.share", "branch.components"}},
		{"  bits: 8", "  bits: 4", []string{"branch.bits", "4", "0, 8, 16"}},
		{"rounds: 20", "rounds: -1", []string{"branch.rounds", "-1"}},
		{"rounds: 20", "rounds: 1.5", []string{"branch.rounds", "1.5", "whole number"}},
		{"inputs: [attn, mlp]", "inputs: [gate]", []string{"branch.inputs", `"gate"`}},
		{"basis: svd", "basis: klt", []string{"rounds and whiten", "klt"}},
		{"basis: svd", "basis: dct", []string{"stored bases", "dct"}},
		{"whiten: true", "remove: true", []string{"branch.remove", "rounds"}},
		{"  damp: 0.01", "  damp: 0.01\n  dynamic-groups: true", []string{"dynamic-groups", "awq"}},
		{"  damp: 0.01", "  damp: 0.01\n  act-order: true\n  dynamic-groups: true", []string{"dynamic-groups", "act-order"}},
		{"method: gptq", "method: rtn\n  dynamic-groups: true", []string{"dynamic-groups", "rtn"}},
		{"method: gptq", "method: rtn\n  sweeps: 2", []string{"sweeps", "rtn", "gptq"}},
		{"method: gptq", "method: rtn\n  rescale: true", []string{"rescale", "rtn", "gptq"}},
	} {
		if strings.Count(storedRecipe, c.old) != 1 {
			t.Fatalf("%q is not once in the recipe", c.old)
		}
		_, err := Parse([]byte(strings.Replace(storedRecipe, c.old, c.now, 1)), "some.yaml")
		if err == nil {
			t.Errorf("%s is accepted", c.now)
			continue
		}
		for _, want := range append(c.want, "recipe some.yaml: ") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q lacks %q", c.now, err, want)
			}
		}
	}
}

// TestInBlock: the bits of a layer are the same by the patterns of its block; and TellsExperts is false only
// where all experts of a block have the same bits.
func TestInBlock(t *testing.T) {
	patterns := []string{"*", "up_proj", "layers.3.*", "layers.3*", "layers.13.mlp.*", "*.layers.3.mlp.*", "model.layers.3.mlp.experts.*.up_proj", "mlp.experts.1.up_proj", "experts.1*.up_proj", "*1.up_proj",
		"layers.[12].*", "experts.?.*", "layers.1.mlp.experts.2.down_proj", "layers.*.experts.*.down_proj", "layers.?.mlp.up_proj", `layers.\1.*`, "layers.1", "*.1.*", "experts.*", "*layers.1.*"}
	told := 0
	for a := range patterns {
		for b := range patterns {
			r := &Recipe{Weights: Weights{Layers: []LayerBits{{patterns[a], 3}, {patterns[b], 6}}}}
			tells := r.Weights.TellsExperts()
			for _, block := range []int{1, 3, 13, 31} {
				own := r.InBlock(block)
				for _, kind := range []string{"up_proj", "down_proj"} {
					bits := map[int]bool{}
					for _, expert := range []int{0, 1, 2, 3, 11, 13, 21} {
						name := fmt.Sprintf("model.layers.%d.mlp.experts.%d.%s", block, expert, kind)
						bits[r.LayerBits(name)] = true
						if r.LayerBits(name) != own.LayerBits(name) || r.Weights.Named(name) != own.Weights.Named(name) {
							t.Errorf("%v: %s has %d bits, by its block's patterns %d", r.Weights.Layers, name, r.LayerBits(name), own.LayerBits(name))
						}
					}
					if len(bits) > 1 && !tells {
						t.Errorf("%v: experts of block %d differ in %s", r.Weights.Layers, block, kind)
					}
				}
			}
			if tells {
				told++
			}
		}
	}
	if told == len(patterns)*len(patterns) {
		t.Error("all patterns tell experts apart")
	}
}
