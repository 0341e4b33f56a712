package checkpoint

import (
	"fmt"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// Describe lists in words how the blocks differ from LLaMA's; nothing for a LLaMA.
func (c *Config) Describe() []string {
	var out []string
	say := func(is bool, format string, args ...any) {
		if is {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	say(c.Activation == GELUTanh, "GELU in the gate")
	say(c.NoPreNorm && c.PostNorm, "norms after attention and MLP, none before")
	say(c.PostNorm && !c.NoPreNorm, "norms before and after attention and MLP")
	say(c.NormOffset != 0, "norm gains of %g + weight", c.NormOffset)
	say(c.QKNorm == QKHead, "norms of each head of queries and keys")
	say(c.QKNorm == QKWhole, "norms of queries and keys, all heads together")
	biased := []string{}
	for _, b := range []struct {
		has  bool
		what string
	}{{c.QKVBias, "q, k, v"}, {c.OBias, "o"}, {c.MLPBias, "gate, up, down"}} {
		if b.has {
			biased = append(biased, b.what)
		}
	}
	say(len(biased) > 0, "biases on %s", strings.Join(biased, ", "))
	e := c.Experts
	say(e.Count > 0, "%s in a block, %d of them for each token", plural.Of(e.Count, "expert"), e.Used)
	say(e.Dense != nil, "%d of %s without experts, feed-forward %d", count(e.Dense), plural.Of(c.Layers, "block"), e.DenseWidth)
	say(c.RotaryDim > 0, "%d of %s of a head turned", c.RotaryDim, plural.Of(c.HeadDim, "channel"))
	say(c.LocalTheta > 0, "rotary base %g in blocks with a window", c.LocalTheta)
	say(c.NoRope != nil, "%s without rotation", plural.Of(count(c.NoRope), "block"))
	say(c.Full != nil, "%d of %s without the window", count(c.Full), plural.Of(c.Layers, "block"))
	say(c.AttnScale > 0, "attention scaled by %.4g", c.AttnScale)
	say(c.AttnSoftCap > 0, "attention capped at %g", c.AttnSoftCap)
	say(c.LogitSoftCap > 0, "logits capped at %g", c.LogitSoftCap)
	say(c.EmbeddingScale() != 1, "embeddings scaled by %.4g", c.EmbedScale)
	say(c.AddedScale() != 1, "attention and MLP scaled by %.4g", c.ResidualScale)
	say(c.OutputScale() != 1, "logits scaled by %.4g", c.LogitScale)
	return out
}

func count(b []bool) int {
	n := 0
	for _, v := range b {
		if v {
			n++
		}
	}
	return n
}
