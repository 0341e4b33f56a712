package stage

import (
	"context"
	"errors"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
)

// The path of the calibration windows through the loaded block.
//
// The layers of a block are quantized input by input, and each input is measured with the
// earlier layers as they will run. A window need not start from the beginning of the block
// for this: with [State.Carried], its activations at the last measured input are kept.
// After the input of o has been measured, Carried holds that input; after the input of gate
// and up, the residual stream after attention, from which the next block's input is finally
// computed. The arithmetic, and so the result to the bit, is the same as for a run from the
// beginning.

// eachWindow calls fn with a copy of the activations of every calibration window.
func (st *State) eachWindow(ctx context.Context, fn func(i int, x []float32) error) error {
	return st.eachOf(ctx, st.Inputs, st.Windows, fn)
}

// eachOf is eachWindow for so many windows, evenly spaced, of the activations in s.
func (st *State) eachOf(ctx context.Context, s *Store, windows int, fn func(i int, x []float32) error) error {
	for k := range windows {
		i := k * st.Windows / windows
		if err := ctx.Err(); err != nil {
			return err
		}
		x, err := s.Get(i)
		if err != nil {
			return err
		}
		st.Runner.X = append(st.Runner.X[:0], x...)
		if err := fn(i, st.Runner.X); err != nil {
			return err
		}
	}
	return nil
}

// Tap is called with the activations x [tokens × width] of an input of the block, and
// reports whether the rest of the block is to be computed for this window.
type Tap = func(in llama.Input, x []float32, tokens, width int) bool

// pass runs so many calibration windows through the block in its current state and calls tap
// with the inputs; for a single layer the inputs come from Source.
func (st *State) pass(ctx context.Context, windows int, tap Tap) error {
	if st.Source != nil {
		return st.Source(ctx, tap)
	}
	b := st.Runnable()
	return st.eachOf(ctx, st.Inputs, windows, func(_ int, x []float32) error {
		st.Runner.Block(b, x, st.Tokens, llama.Hooks{Tap: tap, KV: st.CacheHook(), QK: st.momentsHook(), Route: st.routed})
		return nil
	})
}

// passTo calls tap with one input of the block in its current state, for every window. The
// tap ends each window there.
func (st *State) passTo(ctx context.Context, in llama.Input, tap Tap) error {
	if st.Source != nil || st.Carried == nil || in == llama.AttnInput {
		st.at(PartForward, st.forwardWork(llama.AttnInput, in))
		return st.pass(ctx, st.Windows, tap)
	}
	b, width := st.Runnable(), llama.OInput.Width(st.Config)
	hooks := llama.Hooks{Tap: tap, KV: st.CacheHook(), Route: st.routed}
	var failed error
	switch {
	case in == llama.OInput:
		st.at(PartForward, st.forwardWork(llama.AttnInput, in))
		err := st.eachWindow(ctx, func(i int, x []float32) error {
			hooks.Tap = func(at llama.Input, x []float32, tokens, width int) bool {
				goes := tap(at, x, tokens, width)
				if at == llama.OInput {
					failed = errors.Join(failed, st.Carried.Set(i, x[:tokens*width]))
				}
				return goes
			}
			st.Runner.Block(b, x, st.Tokens, hooks)
			return failed
		})
		st.reached = llama.OInput
		return err
	case in == llama.MLPInput && st.reached == llama.OInput:
		st.at(PartForward, st.forwardWork(llama.OInput, in))
		err := st.eachWindow(ctx, func(i int, x []float32) error {
			attn, err := st.Carried.Get(i)
			if err != nil {
				return err
			}
			st.Runner.AddAttention(b, x, attn[:st.Tokens*width], st.Tokens)
			if err := st.Carried.Set(i, x); err != nil {
				return err
			}
			st.Runner.MLP(b, x, st.Tokens, hooks)
			return nil
		})
		st.reached = llama.MLPInput
		return err
	case in == llama.DownInput && st.reached == llama.MLPInput:
		st.at(PartForward, st.forwardWork(llama.MLPInput, in))
		return st.eachOf(ctx, st.Carried, st.Windows, func(_ int, x []float32) error {
			x = x[:st.Tokens*st.Config.HiddenSize]
			st.Runner.MLP(b, x, st.Tokens, hooks)
			return nil
		})
	}
	st.at(PartForward, st.forwardWork(llama.AttnInput, in))
	return st.pass(ctx, st.Windows, tap)
}

// NewCarried makes the store of [State.Carried], in memory or in the file spill.
func NewCarried(c *checkpoint.Config, windows, tokens int, spill string) (*Store, error) {
	return NewStore(windows, tokens*CarriedWidth(c), spill)
}

// inputOf computes what the layers of the loaded block that read an input read in window i,
// v [tokens × width], and the residual stream that they add to, from where [State.Moments] of
// that input left the window. x is a copy of the block's input. Both are valid until the next
// call.
func (st *State) inputOf(i int, x []float32, in llama.Input) (v, stream []float32, err error) {
	if in > llama.AttnInput {
		carried, err := st.Carried.Get(i)
		if err != nil {
			return nil, nil, err
		}
		if in == llama.OInput {
			return carried[:st.Tokens*in.Width(st.Config)], x, nil
		}
		copy(x, carried)
	}
	hooks := llama.Hooks{KV: st.CacheHook(), Tap: func(at llama.Input, y []float32, tokens, width int) bool {
		if at == in {
			v = y[:tokens*width]
		}
		return at != in
	}}
	if in == llama.AttnInput {
		st.Runner.Block(st.Runnable(), x, st.Tokens, hooks)
	} else {
		st.Runner.MLP(st.Runnable(), x, st.Tokens, hooks)
	}
	return v, x, nil
}

// CarriedWidth is the number of values per token in [State.Carried].
func CarriedWidth(c *checkpoint.Config) int { return max(c.HiddenSize, llama.OInput.Width(c)) }

// forwardWork is the number of floating-point operations in the products that take all
// windows from one input of the block to another; if to is NumInputs, to the end of the
// block.
func (st *State) forwardWork(from, to llama.Input) float64 {
	if st.Source != nil {
		return 0
	}
	c, tokens := st.Config, float64(st.Tokens)
	var work float64
	for l := range llama.NumLinears {
		if out, in := l.Shape(c); l.Input() >= from && l.Input() < to {
			w := 2 * float64(out) * float64(in) * tokens
			if l >= llama.Gate && c.Experts.Count > 0 {
				w *= float64(c.Experts.Used)
			}
			work += w
		}
	}
	if from == llama.AttnInput && to > llama.AttnInput {
		work += 4 * float64(c.Heads*c.HeadDim) * tokens * tokens / 2
	}
	return work * float64(st.Windows)
}

// momentsHook adds to the moments of queries and keys; nil if they are not being gathered.
func (st *State) momentsHook() func(q, k []float32, tokens int) {
	m := st.moments
	if m == nil {
		return nil
	}
	return func(q, k []float32, tokens int) {
		st.at(PartKeys, 0)
		m.Add(st.Pool, q, k, tokens)
		st.at(PartForward, 0)
	}
}

// AdvanceInputs runs the stored calibration activations through the block as it will run;
// they become the input of the next block.
func (st *State) AdvanceInputs(ctx context.Context) error {
	st.Tell("computing the next block's input")
	if st.reached != llama.MLPInput {
		st.at(PartForward, st.forwardWork(llama.AttnInput, llama.NumInputs))
		return st.advance(ctx, st.Inputs, st.Runner, st.Runnable(), llama.Hooks{KV: st.CacheHook()})
	}
	st.at(PartForward, st.forwardWork(llama.MLPInput, llama.NumInputs))
	b := st.Runnable()
	err := st.eachOf(ctx, st.Carried, st.Windows, func(i int, x []float32) error {
		x = x[:st.Tokens*st.Config.HiddenSize]
		if err := st.checkStream(x, "after attention of "+st.place(), quantizedModel, i); err != nil {
			return err
		}
		st.Runner.MLP(b, x, st.Tokens, llama.Hooks{})
		if err := st.checkStream(x, st.after(), quantizedModel, i); err != nil {
			return err
		}
		return st.Inputs.Set(i, x)
	})
	st.reached = 0
	return err
}

// AdvanceFull does the same with the unquantized block i, loaded again from the checkpoint.
func (st *State) AdvanceFull(ctx context.Context, ck *checkpoint.Checkpoint, i int) error {
	st.Tell("computing the next block's input")
	st.at(PartForward, st.forwardWork(llama.AttnInput, llama.NumInputs))
	if err := st.Rotation.Load(st.Pool, ck, i, &st.Block); err != nil {
		return err
	}
	return st.advance(ctx, st.Inputs, st.Runner, st.Block.Block(), llama.Hooks{})
}

// AdvanceExact does the same with the loaded block in its current state and the cache in
// full precision.
func (st *State) AdvanceExact(ctx context.Context) error {
	st.at(PartForward, st.forwardWork(llama.AttnInput, llama.NumInputs))
	return st.advance(ctx, st.Inputs, st.Runner, st.Runnable(), llama.Hooks{})
}

// advance runs stored activations through a block, in place.
func (st *State) advance(ctx context.Context, s *Store, r *llama.Runner, b *llama.Block, h llama.Hooks) error {
	model := quantizedModel
	if st.Reference != nil && s == st.Reference.Inputs {
		model = fullModel
	}
	for i := range st.Windows {
		if err := ctx.Err(); err != nil {
			return err
		}
		x, err := s.Get(i)
		if err != nil {
			return err
		}
		if err := st.checkStream(x, st.before(), model, i); err != nil {
			return err // before attention spreads a NaN to other tokens
		}
		r.Block(b, x, st.Tokens, h)
		if err := st.checkStream(x, st.after(), model, i); err != nil {
			return err
		}
		if err := s.Put(i, x); err != nil {
			return err
		}
	}
	return nil
}
