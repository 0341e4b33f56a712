package pipeline

import (
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// TestChoices: the table falls from 16 bits to 2 with bits and groups, has the recipe's own
// setting once.
func TestChoices(t *testing.T) {
	for _, weights := range []string{"{group: 64}", "{group: 64, scales: multiples}"} {
		t.Run(weights, func(t *testing.T) {
			testChoices(t, smallRecipe(t, "rtn", "4-8-8", "name: rtn\n", "name: rtn\nweights: "+weights+"\n"))
		})
	}
}

func testChoices(t *testing.T, r *recipe.Recipe) {
	c := wideConfig()
	multiples := r.Weights.Scales == quant.ScalesMultiples
	out := newChoices(c, r, r, 5e8, 13e9, 0, 2)
	if len(out.All) != 1+7*3 {
		t.Fatalf("%d choices", len(out.All))
	}
	chosen := 0
	for i, ch := range out.All {
		if ch.Chosen {
			chosen++
			if ch.Bits != 4 || ch.Group != 64 {
				t.Errorf("chosen: %d bits, groups of %d", ch.Bits, ch.Group)
			}
			if ch.Multiples != multiples {
				t.Errorf("chosen: multiples %v", ch.Multiples)
			}
		}
		if len(ch.Running) != 4 { // 2,048 and the model's 4,096 tokens
			t.Fatalf("%d bits: memory for %d loads", ch.Bits, len(ch.Running))
		}
		for k := 1; k < len(ch.Running); k++ {
			if a, b := ch.Running[k-1], ch.Running[k]; a.Context == b.Context && a.Sequences < b.Sequences && a.Bytes >= b.Bytes {
				t.Errorf("%d bits: %d sequences take %d bytes, %d take %d", ch.Bits, a.Sequences, a.Bytes, b.Sequences, b.Bytes)
			}
		}
		if i == 0 {
			continue
		}
		before := out.All[i-1]
		if ch.File >= before.File || ch.BitsPerWeight >= before.BitsPerWeight || ch.Read >= before.Read {
			t.Errorf("%d bits in groups of %d after %d in groups of %d: file %d after %d, %d bytes a token after %d",
				ch.Bits, ch.Group, before.Bits, before.Group, ch.File, before.File, ch.Read, before.Read)
		}
		if ch.Recipe.Bits.Weights != ch.Bits || ch.Recipe.Weights.Group != ch.Group || ch.Filled {
			t.Errorf("%d bits in groups of %d: a recipe of %d in groups of %d", ch.Bits, ch.Group, ch.Recipe.Bits.Weights, ch.Recipe.Weights.Group)
		}
	}
	if chosen != 1 {
		t.Errorf("%d settings are the chosen one", chosen)
	}
	if out.Free > 0 && out.Fits >= 0 {
		if first := out.All[out.Fits].Running[2]; first.Context != min(askedContext, c.MaxPositions) || first.Sequences != 1 || first.Bytes > out.Free && out.All[out.Fits].Bits != 16 {
			t.Errorf("what fits takes %+v of %d", first, out.Free)
		}
	}
}

// TestChoicesOfExperts: bits per weight count the weights of all experts, of dense blocks too.
func TestChoicesOfExperts(t *testing.T) {
	c := wideConfig()
	c.Experts = checkpoint.Experts{Count: 16, Used: 2, Dense: make([]bool, c.Layers), DenseWidth: 4 * c.IntermediateSize}
	c.Experts.Dense[0] = true
	r := smallRecipe(t, "rtn", "4-8-8", "name: rtn\n", "name: rtn\nweights: {group: 64}\n")
	for _, ch := range newChoices(c, r, r, 5e8, 2*linearWeights(c), 0, 2).All {
		if least := float64(ch.Bits); ch.BitsPerWeight < least-.01 || ch.BitsPerWeight > least+.6 {
			t.Errorf("%d bits in groups of %d: %.3f bits per weight", ch.Bits, ch.Group, ch.BitsPerWeight)
		}
	}
}

// TestChoicesAreWhatTheySay: every row is of what its own recipe makes, by itself: those of one width have the
// recipe's output matrix, beside that of a filled size or average, which is a row of its own.
func TestChoicesAreWhatTheySay(t *testing.T) {
	c := wideConfig()
	base := smallRecipe(t, "rtn", "4-8-8", "solve: {method: rtn}\n", "solve: {method: gptq, damp: .01}\nweights: {group: 16, scales: multiples}\nhead: {bits: 6, group: 64, method: gptq}\nembedding: {bits: 4, group: 32}\n")
	average := *base
	average.Weights.Average = 3.5
	for _, k := range []struct {
		asked *recipe.Recipe
		size  int64
	}{{base, 0}, {base, 3_400e6}, {&average, 0}} {
		r, err := Resolve(c, k.asked, k.size, 5e8, 3e6, 0)
		if err != nil {
			t.Fatal(err)
		}
		chosen := 0
		for i, ch := range newChoices(c, k.asked, r, 5e8, 13e9, 3e6, 2).All[1:] {
			own := ch.Recipe
			if ch.File != folderAbout(c, own, 5e8, 3e6) || ch.Head != own.Head.Bits || ch.Filled != (own.Weights.Filled > 0) || ch.Filled && !ch.Chosen {
				t.Errorf("row %d: %+v", i, ch)
			}
			if ch.Chosen {
				chosen++
				if own.Weights.Filled != r.Weights.Filled || own.Head.Bits != r.Head.Bits || linearBytes(c, own) != linearBytes(c, r) {
					t.Errorf("the chosen row is of %+v, the plan of %+v", own, r)
				}
			} else if ch.Head != 6 || len(widthShares(c, own)) != 1 {
				t.Errorf("%d bits in groups of %d: output matrix of %d bits, layers of %v", ch.Bits, ch.Group, ch.Head, widthShares(c, own))
			}
		}
		if chosen != 1 {
			t.Errorf("%d rows are chosen", chosen)
		}
	}
}
