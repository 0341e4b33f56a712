package stage

import (
	"context"
	"errors"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
)

// The calibration windows on their way through the loaded block.
//
// The layers of a block are quantized input by input, and each input is measured with
// the layers before it as they will run. A window need not begin anew for that: where
// [State.Carried] is there, it is kept at the point that it has reached. When the input
// of o has been measured, Carried holds that input; when the input of gate and up has,
// the residual stream after attention, from which the next block's input is made at last.
// The arithmetic, and so every bit of it, is the same as that of a run from the start.

// eachWindow hands fn a copy of every calibration window's activations.
func (st *State) eachWindow(ctx context.Context, fn func(i int, x []float32) error) error {
	return st.eachOf(ctx, st.Inputs, fn)
}

// eachOf does the same with other activations.
func (st *State) eachOf(ctx context.Context, s *Store, fn func(i int, x []float32) error) error {
	for i := range st.Windows {
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

// Tap is told of what an input of the block is given, x [tokens × width], and reports
// whether the window goes on.
type Tap = func(in llama.Input, x []float32, tokens, width int) bool

// pass runs the calibration windows through the block, as it now stands, to
// the tap; or what the source of a layer without a block gives.
func (st *State) pass(ctx context.Context, tap Tap) error {
	if st.Source != nil {
		return st.Source(ctx, tap)
	}
	b := st.Runnable()
	return st.eachWindow(ctx, func(_ int, x []float32) error {
		st.Runner.Block(b, x, st.Tokens, llama.Hooks{Tap: tap, KV: st.CacheHook(), QK: st.momentsHook(), Route: st.routed})
		return nil
	})
}

// passTo shows the tap one input of the block as it now stands, for every window. The
// tap ends each window there.
func (st *State) passTo(ctx context.Context, in llama.Input, tap Tap) error {
	if st.Source != nil || st.Carried == nil || in == llama.AttnInput {
		st.at(PartForward, st.forwardWork(llama.AttnInput, in))
		return st.pass(ctx, tap)
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
		return st.eachOf(ctx, st.Carried, func(_ int, x []float32) error {
			x = x[:st.Tokens*st.Config.HiddenSize]
			st.Runner.MLP(b, x, st.Tokens, hooks)
			return nil
		})
	}
	st.at(PartForward, st.forwardWork(llama.AttnInput, in))
	return st.pass(ctx, tap)
}

// NewCarried makes the store of [State.Carried], in memory or in the file spill.
func NewCarried(c *checkpoint.Config, windows, tokens int, spill string) (*Store, error) {
	return NewStore(windows, tokens*CarriedWidth(c), spill)
}

// CarriedWidth is how many values of a token [State.Carried] has room for.
func CarriedWidth(c *checkpoint.Config) int { return max(c.HiddenSize, llama.OInput.Width(c)) }

// forwardWork is the work of the products that take all windows from one input of the
// block to another, in floating-point operations; to NumInputs: to the end.
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

// momentsHook gathers the moments of queries and keys, where somebody wants them.
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

// AdvanceInputs moves the calibration activations through the block as it will run:
// they become the next block's input.
func (st *State) AdvanceInputs(ctx context.Context) error {
	st.Tell("computing the next block's input")
	if st.reached != llama.MLPInput {
		st.at(PartForward, st.forwardWork(llama.AttnInput, llama.NumInputs))
		return st.advance(ctx, st.Inputs, st.Runner, st.Runnable(), llama.Hooks{KV: st.CacheHook()})
	}
	st.at(PartForward, st.forwardWork(llama.MLPInput, llama.NumInputs))
	b := st.Runnable()
	err := st.eachOf(ctx, st.Carried, func(i int, x []float32) error {
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

// AdvanceFull moves them through block i of the checkpoint instead, which is loaded
// again.
func (st *State) AdvanceFull(ctx context.Context, ck *checkpoint.Checkpoint, i int) error {
	st.Tell("computing the next block's input")
	st.at(PartForward, st.forwardWork(llama.AttnInput, llama.NumInputs))
	if err := st.Rotation.Load(st.Pool, ck, i, &st.Block); err != nil {
		return err
	}
	return st.advance(ctx, st.Inputs, st.Runner, st.Block.Block(), llama.Hooks{})
}

// AdvanceExact moves them through the block as it stands, with the cache in full
// precision.
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
			return err // before the attention spreads it over other tokens
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
