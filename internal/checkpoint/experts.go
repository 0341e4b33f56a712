package checkpoint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// Limits on mixtures of experts: several times those of published models, and small enough
// that a config alone cannot cause a giant list of tensors.
const (
	maxExperts    = 1024
	maxExpertsAll = 1 << 16 // in all blocks together
)

// Experts describes blocks whose MLP is a mixture of experts: a router sends each token to
// a few of many small MLPs and adds their outputs with weights.
type Experts struct {
	Count  int    // experts in a block; 0: no mixture, one MLP for all tokens
	Used   int    // experts for each token: those with the largest router logits
	Normed bool   // the weights of the chosen experts are a softmax over them; otherwise over all experts
	Dense  []bool // blocks without experts; nil: none
	// DenseWidth is the width of the MLP of those blocks. IntermediateSize is that of an
	// expert.
	DenseWidth int
	// Numbered: in the files the router is block_sparse_moe.gate and the layers of an
	// expert are w1 (gate), w3 (up) and w2 (down), as in Mixtral's.
	Numbered bool
}

// Router is the name of the router within its block. Its weights are [experts × hidden].
const Router = "mlp.gate"

// ExpertPrefix is the prefix of the names of expert e's layers within its block; if e is
// negative, that of the layers of an MLP without experts.
func ExpertPrefix(e int) string {
	if e < 0 {
		return "mlp."
	}
	return fmt.Sprintf("mlp.experts.%d.", e)
}

// Of is the config of block i alone: that of a block without experts has none, and has the
// width of its MLP as IntermediateSize.
func (c *Config) Of(i int) *Config {
	if c.Experts.Dense == nil || !c.Experts.Dense[i] {
		return c
	}
	d := *c
	d.Experts, d.IntermediateSize = Experts{}, c.Experts.DenseWidth
	return &d
}

// Kinds lists one block number for each kind of block in the model: a single one, unless
// only some blocks have experts.
func (c *Config) Kinds() []int {
	if c.Experts.Dense == nil {
		return []int{0}
	}
	return []int{slices.Index(c.Experts.Dense, false), slices.Index(c.Experts.Dense, true)}
}

// Kind is the index in Kinds of the kind of block i.
func (c *Config) Kind(i int) int {
	if c.Experts.Dense != nil && c.Experts.Dense[i] {
		return 1
	}
	return 0
}

// experts reads the number of experts, from any of its field names, and how many a token
// uses.
func experts(total, used int) func(*fields, *Config) {
	return func(f *fields, c *Config) {
		key := "num_experts"
		if !f.has(key) && f.has("num_local_experts") {
			key = "num_local_experts"
		}
		e := &c.Experts
		e.Count = f.intOr(key, total, 1, maxExperts)
		e.Used = f.intOr("num_experts_per_tok", used, 1, maxExperts)
		if f.err == nil && e.Used > e.Count {
			f.failf("num_experts_per_tok", "found %d, expected at most the model's %s (%s)", e.Used, plural.Of(e.Count, "expert"), key)
		}
		if f.err == nil && e.Count*c.Layers > maxExpertsAll {
			f.failf(key, "found %d in each of %s, expected at most %d in total", e.Count, plural.Of(c.Layers, "block"), maxExpertsAll)
		}
	}
}

// normedTopK reads whether the weights of the chosen experts are normalized to a sum of 1.
func normedTopK(f *fields, c *Config) { c.Experts.Normed = f.boolOr("norm_topk_prob", false) }

// sparseBlocks reads Qwen3-MoE's widths, and which of its blocks have experts: every
// decoder_sparse_step-th, except those in mlp_only_layers.
func sparseBlocks(f *fields, c *Config) {
	c.Experts.DenseWidth = c.IntermediateSize
	c.IntermediateSize = f.intOr("moe_intermediate_size", 768, 1, maxIntermediate)
	every := f.intOr("decoder_sparse_step", 1, 1, maxLayers)
	if f.err != nil {
		return
	}
	dense := make([]bool, c.Layers)
	for i := range dense {
		dense[i] = (i+1)%every != 0
	}
	if r := f.raw("mlp_only_layers"); r != nil {
		list, err := intList(r, maxLayers)
		if err != nil {
			f.failf("mlp_only_layers", "%v", err)
			return
		}
		for _, i := range list {
			if i < 0 || i >= int64(c.Layers) {
				f.failf("mlp_only_layers", "found block %d, expected 0 to %d", i, c.Layers-1)
				return
			}
			dense[i] = true
		}
	}
	switch {
	case !slices.Contains(dense, false): // a Qwen3 under another name
		c.IntermediateSize, c.Experts = c.Experts.DenseWidth, Experts{}
	case slices.Contains(dense, true):
		c.Experts.Dense = dense
	default:
		c.Experts.DenseWidth = 0
	}
}

// noClip refuses clip_qkv, which a relative of OLMoE uses.
func noClip(f *fields, c *Config) {
	if f.has("clip_qkv") && f.err == nil {
		f.err = unsupported("%s: field \"clip_qkv\": found %s, only null is implemented", f.where, brief(f.raw("clip_qkv")))
	}
}

// numbered are the names of an expert's layers in files of Mixtral.
var numbered = map[string]string{"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}

const numberedPrefix = "block_sparse_moe."

// renameExperts gives Mixtral's tensors the names used by the other families.
func (c *Checkpoint) renameExperts() error {
	if !c.Config.Experts.Numbered {
		return nil
	}
	for _, old := range c.Names() {
		name := renamedExpert(old)
		if name == old {
			continue
		}
		f := c.where[old]
		if other := c.where[name]; other != nil {
			return malformed("%s: tensor %q is also stored as %q, in %s, expected under only one name", f.Path(), old, name, other.Path())
		}
		e := f.entries[old]
		e.name = name
		f.entries[name], c.where[name] = e, f
		delete(f.entries, old)
		delete(c.where, old)
	}
	return nil
}

// renamedExpert is the common name for a tensor of Mixtral's files.
func renamedExpert(name string) string {
	at := strings.Index(name, "."+numberedPrefix)
	if _, ok := blockOf(name); !ok || at < 0 {
		return name
	}
	head, rest := name[:at+1], name[at+1+len(numberedPrefix):]
	parts := strings.Split(rest, ".")
	if len(parts) == 4 && parts[0] == "experts" && numbered[parts[2]] != "" {
		parts[2] = numbered[parts[2]]
		rest = strings.Join(parts, ".")
	}
	return head + "mlp." + rest
}

// InFile is the name of a tensor of Expected in the family's files.
func (c *Config) InFile(name string) string {
	rest, ok := strings.CutPrefix(name, blockPrefix)
	if !ok || !c.Experts.Numbered {
		return name
	}
	block, rest, _ := strings.Cut(rest, ".")
	rest, ok = strings.CutPrefix(rest, "mlp.")
	if !ok {
		return name
	}
	for short, long := range numbered {
		rest = strings.Replace(rest, "."+long+".", "."+short+".", 1)
	}
	return blockPrefix + block + "." + numberedPrefix + rest
}

// expertOf is the number of the expert that a tensor belongs to, from its name within the
// block; false if it belongs to none. A number too large for an int gives the largest int.
func expertOf(rest string) (int, bool) {
	return numberAfter(rest, "mlp.experts.")
}

// leftOver describes the error of a block's tensor that the config does not expect.
func (c *Config) leftOver(name string) string {
	if i, ok := blockOf(name); ok && i < c.Layers {
		rest := name[strings.Index(name[len(blockPrefix):], ".")+len(blockPrefix)+1:]
		e, ok := expertOf(rest)
		switch have := c.Of(i).Experts.Count; {
		case ok && have == 0:
			return fmt.Sprintf("belongs to expert %d, but by config.json block %d has no experts; config.json and weights do not belong together", e, i)
		case ok && e >= have:
			return fmt.Sprintf("belongs to expert %d, but by config.json the router chooses among %d, expected experts 0 to %d; config.json and weights do not belong together", e, have, have-1)
		}
	}
	return "would change the result, but config.json says nothing of it; check attention_bias and mlp_bias, or the model is of another architecture"
}
