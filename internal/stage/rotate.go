package stage

import (
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
)

// Rotations (QuaRot, Ashkboos et al., arXiv 2404.00456). An orthogonal matrix R between two
// layers, W·x = (W·Rᵀ)·(R·x), spreads large channels over all channels. R1 (the residual
// stream) and R2 (each head of the values) are folded into the weights on both sides and
// cost nothing at run time. R3 (queries and keys), R4 and other transforms of layer inputs
// are computed at run time, and only their inverses are folded in.
//
// Reads only the recipe. Changes the weights of the block. Holds the transforms, for the
// whole model.

// Rotation is the transforms of a recipe, made for the widths of a model.
type Rotation struct {
	Residual linalg.Transform                  // R1, of the residual stream
	Heads    linalg.Transform                  // R2, of each value head
	QK       *llama.QK                         // R3, of each head of queries and keys
	Inputs   [llama.NumInputs]linalg.Transform // computed at run time on each input, before it is quantized
	Own      []linalg.Transform                // R2 of each block, if they are learned
	Signs    [llama.NumInputs]linalg.Signs     // random signs folded into the layers before an input; without them a token whose channels are all equal would be concentrated in one channel

	dense *Rotation // of blocks without experts, in a model that has others with them; nil: all blocks are alike
}

// Names of the tensors outside the blocks.
const (
	EmbedWeight = "model.embed_tokens.weight"
	NormWeight  = "model.norm.weight"
	HeadWeight  = artefact.HeadName + ".weight"
)

// NewRotation makes the recipe's transforms for a model.
func NewRotation(recipe *recipe.Recipe, c *checkpoint.Config) (*Rotation, error) {
	kinds := c.Kinds()
	t, err := newRotation(recipe, c.Of(kinds[0]))
	if err == nil && len(kinds) > 1 {
		t.dense, err = newRotation(recipe, c.Of(kinds[1]))
	}
	return t, err
}

// Of is the rotation for block i of a model.
func (t *Rotation) Of(c *checkpoint.Config, i int) *Rotation {
	if t.dense != nil && c.Kind(i) > 0 {
		return t.dense
	}
	return t
}

// newRotation is NewRotation for blocks of one kind.
func newRotation(recipe *recipe.Recipe, c *checkpoint.Config) (*Rotation, error) {
	t, r := &Rotation{}, recipe.Rotate
	if r == nil {
		return t, nil
	}
	var err error
	if r.Residual != "" {
		if t.Residual, err = linalg.NewRotation(c.HiddenSize, r.Seed); err != nil {
			return nil, fmt.Errorf("rotate.residual: %w", err)
		}
	}
	if r.Heads != "" {
		if t.Heads, err = linalg.NewRotation(c.HeadDim, r.Seed+1); err != nil {
			return nil, fmt.Errorf("rotate.heads: %w", err)
		}
	}
	formats := Transforms(recipe)
	if formats.Cache != "" { // balanced keys use it in blocks where balancing is not worth its bits
		h, err := linalg.NewHadamard(c.HeadDim)
		if err != nil {
			return nil, fmt.Errorf("rotate.cache: %w", err)
		}
		t.QK = llama.Alike(h)
	}
	for in := range llama.NumInputs {
		if formats.Input(in) == artefact.Kronecker {
			continue // each block has its own
		}
		if t.Inputs[in], err = artefact.NewTransform(formats.Input(in), in, c); err != nil {
			return nil, fmt.Errorf("rotate: %w", err)
		}
		if t.Inputs[in] == nil {
			continue
		}
		n := in.Width(c)
		if in == llama.OInput {
			n = c.KVHeads * c.HeadDim
		}
		if t.Signs[in], err = linalg.NewSigns(n, r.Seed+2+uint64(in)); err != nil {
			return nil, fmt.Errorf("rotate: %w", err)
		}
	}
	return t, nil
}

// Transforms are the recipe's transforms in the artefact's terms.
func Transforms(r *recipe.Recipe) (t artefact.Transforms) {
	if o := r.Rotate; o != nil {
		t = artefact.Transforms{Attn: o.Attn, O: o.O, MLP: o.MLP, Down: o.Down, Cache: r.CacheTransform()}
	}
	t.Head = r.Head.Transform
	if r.Learn != nil && r.Learn.Method == recipe.LearnFlatQuant {
		const k = artefact.Kronecker
		t.Attn, t.O, t.MLP, t.Down = k, k, k, k
	}
	return t
}

// Load reads block i of the checkpoint, levels its ranges (see [Level]), and folds R1 in if
// there is one.
func (t *Rotation) Load(p *parallel.Pool, ck *checkpoint.Checkpoint, i int, b *llama.DenseBlock) error {
	if t.Own != nil {
		t.Heads = t.Own[i]
	}
	if err := llama.LoadBlock(ck, i, b); err != nil {
		return err
	}
	c := ck.Config.Of(i)
	Level(p, c, b)
	if t.Residual == nil {
		return nil
	}
	for _, l := range llama.Layers(c) {
		d := b.Layer(l)
		switch l.Input() {
		case llama.AttnInput:
			ScaleColumns(d.W, b.AttnNorm, p.Run)
			linalg.FoldInput(p, d.W, d.Out, t.Residual)
		case llama.MLPInput:
			ScaleColumns(d.W, b.MLPNorm, p.Run)
			linalg.FoldInput(p, d.W, d.Out, t.Residual)
		default:
			linalg.FoldOutput(p, d.W, d.In, t.Residual)
			if d.Bias != nil {
				t.Residual.Apply(p, d.Bias, 1)
			}
		}
	}
	turnRouter(p, b, t.Residual)
	for i := range b.AttnNorm {
		b.AttnNorm[i], b.MLPNorm[i] = 1, 1
	}
	return nil
}

// Embed rotates embeddings x [tokens × hidden].
func (t *Rotation) Embed(p *parallel.Pool, x []float32, tokens int) {
	if t.Residual != nil {
		t.Residual.Apply(p, x, tokens)
	}
}

// Rest returns how R1 changes the tensors outside the blocks, by name; tensors that do not
// change are not listed.
func (t *Rotation) Rest(p *parallel.Pool, ck *checkpoint.Checkpoint) (map[string]func(w []float32, rows int), error) {
	if t.Residual == nil {
		return nil, nil
	}
	norm, err := llama.FinalGain(ck)
	if err != nil {
		return nil, err
	}
	return map[string]func(w []float32, rows int){
		EmbedWeight: func(w []float32, rows int) { t.Residual.Apply(p, w, rows) },
		HeadWeight: func(w []float32, rows int) {
			ScaleColumns(w, norm, p.Run)
			linalg.FoldInput(p, w, rows, t.Residual)
		},
		NormWeight: func(w []float32, _ int) {
			for i := range w {
				w[i] = 1
			}
		},
	}, nil
}

// FoldRotation folds R2 and the inverses of the run-time transforms into the weights of the
// loaded block.
func (st *State) FoldRotation() {
	t, c := st.Rotation, st.Config
	if t.Heads != nil {
		v, o := &st.Block.Linears[llama.V], &st.Block.Linears[llama.O]
		for h := range c.KVHeads {
			linalg.FoldOutput(st.Pool, v.W[h*c.HeadDim*v.In:][:c.HeadDim*v.In], v.In, t.Heads)
		}
		if v.Bias != nil {
			t.Heads.Apply(st.Pool, v.Bias, c.KVHeads)
		}
		t.Heads.Apply(st.Pool, o.W, o.Out*c.Heads)
	}
	for in, transform := range st.rotation().Inputs {
		in := llama.Input(in)
		if transform == nil {
			continue
		}
		signs := st.spread(in, st.rotation().Signs[in])
		fold := func() error {
			st.fold(in, signs)
			for _, l := range st.readersOf(in) {
				d := st.Block.Layer(l)
				ScaleColumns(d.W, signs, st.Pool.Run)
				linalg.FoldInput(st.Pool, d.W, d.Out, transform)
			}
			return nil
		}
		if in == llama.DownInput {
			st.eachExpert(fold)
			continue
		}
		fold()
	}
	st.rotated = true
}

// spread gives each channel of an input the sign of the channel that it is computed from:
// for o, of the value channel.
func (st *State) spread(in llama.Input, signs linalg.Signs) []float32 {
	if in != llama.OInput {
		return signs
	}
	all := make([]float32, in.Width(st.Config))
	for i, kv := range llama.ValueChannels(st.Config) {
		all[i] = signs[kv]
	}
	return all
}

// Each calls fn for each transform, with its key in the recipe, its width, the name of its
// construction, and whether it spreads every channel evenly.
func (t *Rotation) Each(fn func(where string, width int, name string, even bool)) {
	tell := func(where string, transform interface {
		Width() int
		Name() string
	}) {
		even := true
		if e, ok := transform.(interface{ Even() bool }); ok {
			even = e.Even()
		}
		fn(where, transform.Width(), transform.Name(), even)
	}
	if t.Residual != nil {
		tell("rotate.residual", t.Residual)
	}
	if t.Heads != nil {
		tell("rotate.heads", t.Heads)
	}
	if t.QK != nil {
		tell("rotate.cache", t.QK.Keys)
	}
	for in, transform := range t.Inputs {
		if transform != nil {
			tell("rotate."+[llama.NumInputs]string{"attn", "o", "mlp", "down"}[in], transform)
		}
	}
	if t.dense != nil && t.dense.Inputs[llama.DownInput] != nil {
		tell("rotate.down", t.dense.Inputs[llama.DownInput])
	}
}

// Names are the transforms as the manifest and the plan list them.
func (t *Rotation) Names() []artefact.Rotation {
	var all []artefact.Rotation
	t.Each(func(where string, width int, name string, _ bool) {
		all = append(all, artefact.Rotation{Where: where, Width: width, Name: name})
	})
	return all
}

// LearnedRotations are R1, and R2 of each block, as rotate.learn found them (SpinQuant, Liu
// et al., arXiv 2405.16406).
type LearnedRotations struct {
	Residual linalg.Transform
	Heads    []linalg.Transform
}

// Take replaces the recipe's rotations by learned ones; nil changes nothing.
func (t *Rotation) Take(s *LearnedRotations) {
	if s == nil {
		return
	}
	if s.Residual != nil {
		t.Residual = s.Residual
	}
	t.Own = s.Heads
}
