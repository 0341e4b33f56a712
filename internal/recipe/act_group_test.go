package recipe

import (
	"fmt"
	"testing"

	"github.com/specquant/specquant/internal/quant"
)

// TestActivationGroup: groups of channels are for 4 bits; with others they are
// kept in the recipe, for --bits, and not used.
func TestActivationGroup(t *testing.T) {
	parse := func(group string) (*Recipe, error) {
		return Parse(fmt.Appendf(nil, "name: t\nbits: 4-4-4\nsolve: {method: rtn}\nactivations: {clip: 0.9, group: %s}\n", group), "t")
	}
	for _, group := range []string{"8", "-16", "256", "48", "16.5", "many"} {
		if _, err := parse(group); err == nil {
			t.Errorf("group %s: accepted", group)
		}
	}
	for _, group := range []int{0, 16, 32, 64, 128} {
		r, err := parse(fmt.Sprint(group))
		if err != nil {
			t.Errorf("group %d: %v", group, err)
			continue
		}
		if g := r.ActGrid(); g.Group != group || g.Bits != 4 || g.Clip != 0.9 {
			t.Errorf("group %d: grid %+v", group, g)
		}
		if err := r.SetBits(quant.Bits{Weights: 4, Activations: 8, KV: 8}); err != nil {
			t.Fatal(err)
		}
		if g := r.ActGrid(); g.Group != 0 || g.Bits != 8 {
			t.Errorf("group %d at 8 bits: grid %+v", group, g)
		}
	}
}
