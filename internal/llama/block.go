// Package llama is the forward pass in full precision, of LLaMA and of all
// architectures that are made of the parts of [checkpoint.Parts]: the definition
// that everything else in the project is measured against. It reads a checkpoint
// block by block, runs one sequence at a time, and lets a caller tap the inputs of
// the linear layers, which is what calibration needs.
package llama

import (
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/kv"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Linear is y = W x + b for a batch of tokens.
type Linear interface {
	// Forward writes y [tokens × out] from x [tokens × in].
	Forward(p *parallel.Pool, y, x []float32, tokens int)
}

// Dense is a linear layer with float32 weights.
type Dense struct {
	Out, In int
	W       []float32 // [out × in]
	Bias    []float32 // [out]; nil: none
}

// Forward implements [Linear].
func (d *Dense) Forward(p *parallel.Pool, y, x []float32, tokens int) {
	float.MatMulNT(p, y, d.Out, x, d.In, d.W, d.In, tokens, d.Out, d.In, false)
	float.AddEachOn(p, y, d.Bias, tokens)
}

// Block is one transformer block.
type Block struct {
	Index int // of the block, for what differs by block: window and rotation
	Norms
	Q, K, V, O     Linear
	Gate, Up, Down Linear

	// Where the MLP is a mixture there are these instead of the last three.
	Router  []float32 // [experts × hidden]
	Experts []ExpertLayers

	// Inputs are transforms of what linear layers read, whose weights have the
	// inverse folded in; nil: none.
	Inputs [NumInputs]Transform
	// QK is done to queries and keys after RoPE; nil: nothing.
	QK *QK
}

// Transform is a linear map of vectors, applied at run time.
type Transform interface {
	// Apply transforms each row of x [rows × width] in place.
	Apply(p *parallel.Pool, x []float32, rows int)
}

// Input names the four activations that linear layers read. Layers that share
// an input share everything that is done to it.
type Input int

// The inputs in the order in which a block meets them.
const (
	AttnInput Input = iota // read by q, k, v
	OInput                 // read by o
	MLPInput               // read by gate, up
	DownInput              // read by down
	NumInputs
)

var inputNames = [NumInputs]string{"q,k,v", "o", "gate,up", "down"}

func (i Input) String() string { return inputNames[i] }

// Hooks look into, and may change, what flows through a block. Any may be nil.
type Hooks struct {
	// Tap sees the input x [tokens × width] of linear layers, transformed.
	// Returning false ends the block there; what it has computed is then worthless.
	// The input of down of each expert comes by itself, with the tokens sent to it.
	Tap func(in Input, x []float32, tokens, width int) bool
	// Route sees which experts tokens are sent to, before Tap sees the input of gate, up.
	Route func(r *Routing)
	// QK sees queries [tokens × heads·head_dim] and keys [tokens × kv_heads·head_dim]
	// after RoPE, before anything is done to them.
	QK func(q, k []float32, tokens int)
	// KV sees the keys (after RoPE and what QK of the block does) and values [tokens × kv_heads·head_dim].
	KV func(k, v []float32, tokens int)
	// Attention computes attn [tokens × heads·head_dim] from the same, in place of the
	// block's own attention.
	Attention func(attn, q, k, v []float32, tokens int)
}

// Runner runs blocks of one shape; it owns the scratch memory.
type Runner struct {
	Config *checkpoint.Config
	Pool   *parallel.Pool
	Rope   *Rope
	Local  *Rope // of blocks with a window, where their base is another; else nil

	X []float32 // for the caller: a copy of a window to run in place

	norm, q, k, v, attn, out, gate, up []float32
	rows, given                        []float32 // of one expert: what it reads and gives
	routing                            Routing
	cache                              kv.Cache
	schedule                           kv.Schedule
}

// NewRunner prepares for sequences of up to the given number of tokens.
func NewRunner(c *checkpoint.Config, p *parallel.Pool, tokens int) *Runner {
	return &Runner{Config: c, Pool: p, Rope: NewRope(c, tokens), Local: NewLocalRope(c, tokens)}
}

// RunnerBytes is the scratch memory of a runner at that many tokens. Its windows begin at the
// first position, so that no job of attention is split.
func RunnerBytes(c *checkpoint.Config, threads, tokens int) int64 {
	return BatchBytes(c, threads, tokens, tokens, 0)
}

// BatchBytes is the scratch memory to run batches of up to so many tokens, with up to so many
// positions before them and themselves counted; up to so many sequences get one token each.
func BatchBytes(c *checkpoint.Config, threads, tokens, positions, sequences int) int64 {
	q, keys := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	cache := kv.Cache{Bits: 16, Heads: c.KVHeads, HeadDim: c.HeadDim}
	inner := max(c.IntermediateSize, c.Experts.DenseWidth)
	perToken := 4*int64(2*c.HiddenSize+2*q+2*keys+2*inner+2*c.Rotary()) + cache.PositionBytes()
	if x := c.Experts; x.Count > 0 {
		perToken += 4*int64(2*c.HiddenSize+x.Count) + 24*int64(x.Used)
	}
	return int64(tokens)*perToken + kv.ScheduleBytes(threads, sequences, c.KVHeads, c.Heads/c.KVHeads, c.HeadDim, positions)
}

// Block runs one block over x [tokens × hidden], in place, as positions
// 0 … tokens-1 of one sequence. It reports whether it came to the end.
func (r *Runner) Block(b *Block, x []float32, tokens int, h Hooks) bool {
	if !r.attend(b, x, tokens, h) {
		return false
	}
	r.AddAttention(b, x, r.attn, tokens)
	return r.MLP(b, x, tokens, h)
}

// tap transforms an input as b says and shows it to the hook.
func (r *Runner) tap(b *Block, h Hooks, in Input, x []float32, tokens, width int) bool {
	if t := b.Inputs[in]; t != nil {
		t.Apply(r.Pool, x[:tokens*width], tokens)
	}
	return h.Tap == nil || h.Tap(in, x, tokens, width)
}

// attend runs the attention of a block up to the input of o, which it leaves in r.attn.
func (r *Runner) attend(b *Block, x []float32, tokens int, h Hooks) bool {
	c, p := r.Config.Of(b.Index), r.Pool
	hidden, qw, kvw := c.HiddenSize, c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	r.norm = shape.Grow(r.norm, tokens*hidden)
	r.q, r.attn = shape.Grow(r.q, tokens*qw), shape.Grow(r.attn, tokens*qw)
	r.k, r.v = shape.Grow(r.k, tokens*kvw), shape.Grow(r.v, tokens*kvw)

	r.before(r.norm, x, b.AttnNorm, tokens)
	if !r.tap(b, h, AttnInput, r.norm, tokens, hidden) {
		return false
	}
	b.Q.Forward(p, r.q, r.norm, tokens)
	b.K.Forward(p, r.k, r.norm, tokens)
	b.V.Forward(p, r.v, r.norm, tokens)
	rope := PickRope(c, b.Index, r.Rope, r.Local)
	p.Run(tokens, func(t int) {
		PrepareHeads(c, r.q[t*qw:][:qw], b.QNorm, rope, t)
		PrepareHeads(c, r.k[t*kvw:][:kvw], b.KNorm, rope, t)
	})
	if h.QK != nil {
		h.QK(r.q, r.k, tokens)
	}
	b.QK.Apply(p, r.q, r.k)
	if h.KV != nil {
		h.KV(r.k, r.v, tokens)
	}
	if h.Attention != nil {
		h.Attention(r.attn, r.q, r.k, r.v, tokens)
	} else {
		r.attention(b.Index, tokens)
	}
	return r.tap(b, h, OInput, r.attn, tokens, qw)
}

// AddAttention goes on where a [Hooks].Tap has ended the block at the input of o: attn
// [tokens × heads·head_dim] is what the tap saw, x [tokens × hidden] what came into the
// block, and becomes the residual stream after attention.
func (r *Runner) AddAttention(b *Block, x, attn []float32, tokens int) {
	r.out = shape.Grow(r.out, tokens*r.Config.HiddenSize)
	b.O.Forward(r.Pool, r.out, attn, tokens)
	r.add(x, b.AttnPost, tokens)
}

// MLP runs the second half of a block over the residual stream after attention, x
// [tokens × hidden], in place. It reports whether it came to the end.
func (r *Runner) MLP(b *Block, x []float32, tokens int, h Hooks) bool {
	c, p := r.Config.Of(b.Index), r.Pool
	r.norm, r.out = shape.Grow(r.norm, tokens*c.HiddenSize), shape.Grow(r.out, tokens*c.HiddenSize)
	r.gate, r.up = shape.Grow(r.gate, tokens*c.IntermediateSize), shape.Grow(r.up, tokens*c.IntermediateSize)
	r.before(r.norm, x, b.MLPNorm, tokens)
	if len(b.Experts) > 0 {
		if !r.experts(c, b, tokens, h) {
			return false
		}
		r.add(x, b.MLPPost, tokens)
		return true
	}
	if !r.tap(b, h, MLPInput, r.norm, tokens, c.HiddenSize) {
		return false
	}
	b.Gate.Forward(p, r.gate, r.norm, tokens)
	b.Up.Forward(p, r.up, r.norm, tokens)
	Gated(p, c, r.gate, r.up)
	if !r.tap(b, h, DownInput, r.gate, tokens, c.IntermediateSize) {
		return false
	}
	b.Down.Forward(p, r.out, r.gate, tokens)
	r.add(x, b.MLPPost, tokens)
	return true
}

// before writes what attention or MLP read of x [tokens × hidden].
func (r *Runner) before(dst, x, gain []float32, tokens int) {
	c := r.Config
	if !c.NoPreNorm {
		float.RMSNormOn(r.Pool, dst, x, gain, c.NormEps, tokens)
		return
	}
	copy(dst, x)
	r.Pool.Run(tokens, func(t int) { float.Mul(dst[t*len(gain):][:len(gain)], gain) })
}

// add adds r.out [tokens × hidden] to x: normed where there is a norm for it, and
// scaled where the architecture does.
func (r *Runner) add(x, post []float32, tokens int) {
	c, p := r.Config, r.Pool
	if post != nil {
		float.RMSNormOn(p, r.out, r.out, post, c.NormEps, tokens)
	}
	scale := c.AddedScale()
	if scale == 1 {
		float.AddToOn(p, x, r.out)
		return
	}
	h := c.HiddenSize
	p.Run(tokens, func(t int) { float.Axpy(x[t*h:][:h], scale, r.out[t*h:][:h]) })
}

// Gated writes activation(gate)·up over gate.
func Gated(p *parallel.Pool, c *checkpoint.Config, gate, up []float32) {
	if c.Activation == checkpoint.GELUTanh {
		float.GeGLUOn(p, gate, up)
		return
	}
	float.SwiGLUOn(p, gate, up)
}

// PrepareHeads prepares the heads of a token's queries, or of its keys, for attention: it norms
// them if gain is not nil, and rotates them to the token's position if rope is not nil.
func PrepareHeads(c *checkpoint.Config, heads, gain []float32, rope *Rope, position int) {
	hd := c.HeadDim
	if gain != nil && c.QKNorm == checkpoint.QKWhole {
		float.RMSNorm(heads, heads, gain, c.NormEps)
		gain = nil
	}
	for o := 0; o < len(heads); o += hd {
		x := heads[o:][:hd]
		if gain != nil {
			float.RMSNorm(x, x, gain, c.NormEps)
		}
		if rope != nil {
			rope.Apply(x, position)
		}
	}
}

// attention computes r.attn from r.q, r.k and r.v: each token sees those up to itself, or the
// last ones in the block's window if it has one, with capped scores if the model caps them.
func (r *Runner) attention(block, tokens int) {
	c := r.Config
	hd, kvw, group := c.HeadDim, c.KVHeads*c.HeadDim, c.Heads/c.KVHeads
	r.cache.Bits, r.cache.Heads, r.cache.HeadDim, r.cache.SoftCap = 16, c.KVHeads, hd, float32(c.AttnSoftCap)
	r.cache.Reserve(tokens, 0, tokens)
	r.Pool.Run(tokens, func(t int) {
		for h := range c.KVHeads {
			r.cache.Put(h, t, r.k[t*kvw+h*hd:][:hd], r.v[t*kvw+h*hd:][:hd])
		}
	})
	r.schedule.Reset()
	r.schedule.Add(0, tokens, 0, c.KVHeads, group)
	r.schedule.Run(r.Pool, r.attn, r.q, group, c.Window(block), c.AttentionScale(), func(kv.Job) *kv.Cache { return &r.cache })
}
