package checkpoint

import (
	"fmt"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// ggufExpertParts are the GGUF names of an expert's layers.
var ggufExpertParts = map[string]string{"gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}

// expertOfName is the number of the expert that a tensor of [Config.Expected] belongs to.
func expertOfName(name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, blockPrefix)
	if !ok {
		return 0, false
	}
	_, rest, _ = strings.Cut(rest, ".")
	return expertOf(rest)
}

// expert returns one expert's part of the three-dimensional tensor that holds a layer of
// all experts of a block, and that tensor's name; or, in files from before 2024, the
// expert's own tensor; nil if the file has neither.
func (g *GGUF) expert(cfg Config, want ExpectedTensor, e int) (*entry, string, error) {
	block, rest, _ := strings.Cut(strings.TrimPrefix(want.Name, blockPrefix), ".")
	parts := strings.Split(rest, ".") // mlp, experts, number, layer, weight
	part, kind := ggufExpertParts[parts[3]], parts[4]
	name := fmt.Sprintf("blk.%s.%s_exps.%s", block, part, kind)
	src := g.entries[name]
	if src == nil {
		alone := fmt.Sprintf("blk.%s.%s.%d.%s", block, part, e, kind)
		if g.entries[alone] != nil {
			name = alone
		}
		return g.entries[alone], name, nil
	}
	n := cfg.Experts.Count
	if len(src.shape) != len(want.Shape)+1 || src.shape[0] != n {
		return nil, "", malformed("%s: tensor %q has shape %v, expected %v by the metadata: the router chooses among %s", src.region.path, name, src.shape, append([]int{n}, want.Shape...), plural.Of(n, "expert"))
	}
	size := (src.end - src.begin) / int64(n)
	one := *src
	one.shape = src.shape[1:]
	one.begin += int64(e) * size
	one.end = one.begin + size
	return &one, name, nil
}
