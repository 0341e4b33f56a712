// Package grad is a small reverse pass: enough automatic differentiation to
// learn what quantization leaves free (clips, scales, rotations, rounding) for
// one transformer block, or for a chain of blocks.
//
// A [Tape] computes at once and remembers how to go back. All values are
// float32 matrices; products are those of package kernel, and what is
// quantized on the way forward goes through the arithmetic of the format
// (docs/FORMAT.md), so that what is learned is what is run. Rounding has the
// straight-through gradient (Bengio et al. 2013): round(u) counts as u.
//
// Work is split by output, never along a sum, or along a sum at places that
// the shape alone decides: results don't depend on the number of threads.
//
// Shapes that don't fit are errors of the program, and panic.
package grad

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel"
)

// Var is a matrix that takes part in a computation.
type Var struct {
	Rows, Cols int
	Data       []float32 // [rows × cols]
	// Grad is dLoss/dData. A parameter keeps it, and [Tape.Backward] adds to it
	// until an optimizer or [Var.ZeroGrad] clears it. Of an intermediate value
	// it goes back to the tape as soon as it has been passed on.
	Grad []float32
	Name string // for errors; may be empty

	need  bool // a gradient is wanted
	leaf  bool // not made by a tape
	owned bool // Data belongs to the tape
}

// Const wraps data [rows × cols] that needs no gradient. It is not copied.
func Const(rows, cols int, data []float32) *Var {
	if rows < 0 || cols < 0 || len(data) != rows*cols {
		panic(fmt.Sprintf("grad: %d elements for a matrix of %d×%d", len(data), rows, cols))
	}
	return &Var{Rows: rows, Cols: cols, Data: data, leaf: true}
}

// Param wraps data [rows × cols] that is to be learned, or whose gradient is
// wanted for another reason. It is not copied; optimizers write to it.
func Param(name string, rows, cols int, data []float32) *Var {
	v := Const(rows, cols, data)
	v.Name, v.need, v.Grad = name, true, make([]float32, len(data))
	return v
}

// Filled is a Param [rows × cols] of one value.
func Filled(name string, rows, cols int, value float32) *Var {
	data := make([]float32, rows*cols)
	for i := range data {
		data[i] = value
	}
	return Param(name, rows, cols, data)
}

// ZeroGrad clears a parameter's gradient.
func (v *Var) ZeroGrad() { clear(v.Grad) }

// Needs says whether a gradient flows to v.
func (v *Var) Needs() bool { return v != nil && v.need }

func (v *Var) row(r int) []float32 { return v.Data[r*v.Cols:][:v.Cols] }

func (v *Var) shape() string { return fmt.Sprintf("%d×%d", v.Rows, v.Cols) }

// Tape records a computation. The zero value works in the caller's thread;
// with a Pool it uses its threads. One goroutine may use a tape at a time.
type Tape struct {
	Pool *kernel.Pool

	steps []step
	vars  []*Var              // intermediates, whose memory Reset takes back
	used  [][]float32         // scratch that backward steps hold
	free  map[int][][]float32 // by length
	acts  kernel.Activations
}

type step struct {
	out  *Var
	back func()
}

// Backward computes the gradient of the 1×1 loss with respect to every
// parameter that it depends on, and forgets the computation. Values stay
// readable until [Tape.Reset].
func (t *Tape) Backward(loss *Var) {
	if loss.Rows != 1 || loss.Cols != 1 {
		panic("grad: the loss is " + loss.shape() + ", not a number; use BackwardFrom")
	}
	t.BackwardFrom(loss, []float32{1})
}

// BackwardFrom is [Tape.Backward] of the loss Σ seed·v: seed [rows × cols] is
// its gradient with respect to v.
func (t *Tape) BackwardFrom(v *Var, seed []float32) {
	if len(seed) != len(v.Data) {
		panic(fmt.Sprintf("grad: a seed of %d elements for %s", len(seed), v.shape()))
	}
	if v.need {
		t.Pool.AddTo(t.gradient(v), seed)
	}
	for i := len(t.steps) - 1; i >= 0; i-- {
		s := t.steps[i]
		if s.out.Grad != nil {
			s.back()
			t.give(s.out.Grad)
			s.out.Grad = nil
		}
		t.steps[i] = step{}
	}
	t.steps = t.steps[:0]
}

// Reset forgets the computation and takes back the memory of its values, which
// must not be used any more. The next computation of the same shapes allocates
// next to nothing.
func (t *Tape) Reset() {
	clear(t.steps)
	t.steps = t.steps[:0]
	for _, v := range t.vars {
		if v.owned {
			t.give(v.Data)
		}
		t.give(v.Grad)
		v.Data, v.Grad = nil, nil
	}
	for _, s := range t.used {
		t.give(s)
	}
	clear(t.vars)
	clear(t.used)
	t.vars, t.used = t.vars[:0], t.used[:0]
}

// Bytes is the memory that the tape holds for reuse; after [Tape.Reset] that
// is all of it.
func (t *Tape) Bytes() int64 {
	var n int64
	for size, list := range t.free {
		n += 4 * int64(size) * int64(len(list))
	}
	return n
}

// take returns n floats of any content.
func (t *Tape) take(n int) []float32 {
	if list := t.free[n]; len(list) > 0 {
		s := list[len(list)-1]
		t.free[n] = list[:len(list)-1]
		return s
	}
	return make([]float32, n)
}

// give takes memory back.
func (t *Tape) give(s []float32) {
	if len(s) == 0 {
		return
	}
	if t.free == nil {
		t.free = map[int][][]float32{}
	}
	t.free[len(s)] = append(t.free[len(s)], s)
}

// keep returns n floats of any content that live until Reset.
func (t *Tape) keep(n int) []float32 {
	s := t.take(n)
	t.used = append(t.used, s)
	return s
}

// value makes an intermediate of any content. It needs a gradient if one of
// the inputs does.
func (t *Tape) value(rows, cols int, inputs ...*Var) *Var {
	v := &Var{Rows: rows, Cols: cols, Data: t.take(rows * cols), owned: true}
	t.register(v, inputs)
	return v
}

// view makes an intermediate that shares the memory of x.
func (t *Tape) view(x *Var, rows, cols int) *Var {
	v := &Var{Rows: rows, Cols: cols, Data: x.Data}
	t.register(v, []*Var{x})
	return v
}

func (t *Tape) register(v *Var, inputs []*Var) {
	for _, in := range inputs {
		v.need = v.need || in.Needs()
	}
	t.vars = append(t.vars, v)
}

// record adds the step that passes the gradient of out on.
func (t *Tape) record(out *Var, back func()) {
	if out.need {
		t.steps = append(t.steps, step{out, back})
	}
}

// gradient is the gradient of v, to be added to.
func (t *Tape) gradient(v *Var) []float32 {
	if v.Grad == nil {
		v.Grad = t.take(len(v.Data))
		clear(v.Grad)
	}
	return v.Grad
}

// target is the gradient of v for products: fresh says that it has any content
// and is to be set, not added to.
func (t *Tape) target(v *Var) (g []float32, fresh bool) {
	if v.Grad == nil {
		v.Grad = t.take(len(v.Data))
		return v.Grad, true
	}
	return v.Grad, false
}

// pass adds the gradient of out to that of v, which has as many elements, and
// may take it away from out.
func (t *Tape) pass(v, out *Var) {
	switch {
	case !v.need:
	case v.Grad == nil && !v.leaf:
		v.Grad, out.Grad = out.Grad, nil
	default:
		t.Pool.AddTo(t.gradient(v), out.Grad)
	}
}
