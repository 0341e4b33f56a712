package checkpoint

import (
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/plural"
)

// fused lists the projections whose rows may be stored concatenated in one tensor.
var fused = []struct {
	whole string
	parts []string
}{
	{"self_attn.qkv_proj", []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}},
	{"mlp.gate_up_proj", []string{"mlp.gate_proj", "mlp.up_proj"}},
}

// splitFused replaces fused projections by their parts, which are ranges of rows, so that
// the rest of the program need not know how they were stored.
func (c *Checkpoint) splitFused() error {
	if !c.Config.Fused {
		return nil
	}
	rows := map[string]int{}
	for _, e := range c.Config.Expected() {
		rows[e.Name] = e.Shape[0]
	}
	for i := range c.Config.Layers {
		for _, set := range fused {
			for _, kind := range []string{".weight", ".bias"} {
				if err := c.split(fmt.Sprintf("%s%d.", blockPrefix, i), set.whole, kind, set.parts, rows); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// split replaces one fused tensor, if it exists.
func (c *Checkpoint) split(block, whole, kind string, parts []string, rows map[string]int) error {
	name := block + whole + kind
	f := c.where[name]
	if f == nil {
		return nil
	}
	e, sum := f.entries[name], 0
	for _, p := range parts {
		sum += rows[block+p+".weight"]
		if other := c.where[block+p+kind]; other != nil {
			return malformed("%s: tensor %q is also part of %q, expected in only one of them", other.Path(), block+p+kind, name)
		}
	}
	if len(e.shape) == 0 || e.shape[0] != sum {
		return malformed("%s: tensor %q has shape %v, expected %s by config.json, the sum of those of %v", f.Path(), name, e.shape, plural.Of(sum, "row"), parts)
	}
	at, row := e.begin, (e.end-e.begin)/int64(sum)
	for _, p := range parts {
		n := rows[block+p+".weight"]
		shape := slices.Clone(e.shape)
		shape[0] = n
		part := &entry{name: block + p + kind, dtype: e.dtype, shape: shape, begin: at, end: at + int64(n)*row}
		at = part.end
		f.entries[part.name], c.where[part.name] = part, f
	}
	delete(f.entries, name)
	delete(c.where, name)
	return nil
}
