// Package grad is a small automatic differentiation: enough to learn the free parameters of
// quantization (clips, scales, rotations, rounding) for one transformer block or a chain of
// blocks.
//
// A [Tape] computes values immediately and records how to compute gradients. All values are
// float32 matrices; products are those of package kernel, and quantization in the forward
// pass uses the arithmetic of the format (docs/FORMAT.md), so that what is trained is what
// will run. Rounding has the straight-through gradient (Bengio et al. 2013): in the
// backward pass round(u) is treated as u.
//
// Work is divided by outputs; a sum is divided only at places that depend on nothing but
// the shape. So results don't depend on the number of threads.
//
// Shapes that don't match are programming errors and panic.
package grad

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Var is a matrix that takes part in a computation.
type Var struct {
	Rows, Cols int
	Data       []float32 // [rows × cols]
	// Grad is dLoss/dData. A parameter keeps it, and [Tape.Backward] adds to it until an
	// optimizer or [Var.ZeroGrad] clears it. The gradient of an intermediate value is
	// returned to the tape as soon as it has been passed on.
	Grad []float32
	Name string // for errors; may be empty

	need  bool // a gradient is needed
	leaf  bool // not computed by a tape
	owned bool // Data belongs to the tape
}

// Const wraps data [rows × cols] that needs no gradient. It is not copied.
func Const(rows, cols int, data []float32) *Var {
	if rows < 0 || cols < 0 || len(data) != rows*cols {
		panic(fmt.Sprintf("grad: %d elements for a matrix of %d×%d", len(data), rows, cols))
	}
	return &Var{Rows: rows, Cols: cols, Data: data, leaf: true}
}

// Param wraps data [rows × cols] that is to be learned, or whose gradient is needed for
// another reason. It is not copied; optimizers write to it.
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

// Needs reports whether a gradient flows to v.
func (v *Var) Needs() bool { return v != nil && v.need }

func (v *Var) row(r int) []float32 { return v.Data[r*v.Cols:][:v.Cols] }

func (v *Var) shape() string { return fmt.Sprintf("%d×%d", v.Rows, v.Cols) }

// Tape records a computation. The zero value computes on the calling goroutine; with a Pool
// it uses the pool's threads. Only one goroutine may use a tape at a time.
type Tape struct {
	Pool *parallel.Pool

	steps []step
	vars  []*Var              // intermediate values, whose memory Reset reclaims
	used  [][]float32         // scratch memory that backward steps hold
	free  map[int][][]float32 // by length
	acts  integer.Activations
}

type step struct {
	out  *Var
	back func()
}

// Backward computes the gradient of the 1×1 loss with respect to every parameter that it
// depends on, and discards the recorded computation. Values can be read until [Tape.Reset].
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
		float.AddToOn(t.Pool, t.gradient(v), seed)
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

// Reset discards the computation and reclaims the memory of its values, which must not be
// used any more. The next computation with the same shapes allocates almost nothing.
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

// Bytes is the memory that the tape holds for reuse; after [Tape.Reset] that is all its
// memory.
func (t *Tape) Bytes() int64 {
	var n int64
	for size, list := range t.free {
		n += 4 * int64(size) * int64(len(list))
	}
	return n
}

// take returns n floats with undefined contents.
func (t *Tape) take(n int) []float32 {
	if list := t.free[n]; len(list) > 0 {
		s := list[len(list)-1]
		t.free[n] = list[:len(list)-1]
		return s
	}
	return make([]float32, n)
}

// give releases memory for reuse.
func (t *Tape) give(s []float32) {
	if len(s) == 0 {
		return
	}
	if t.free == nil {
		t.free = map[int][][]float32{}
	}
	t.free[len(s)] = append(t.free[len(s)], s)
}

// keep returns n floats with undefined contents that live until Reset.
func (t *Tape) keep(n int) []float32 {
	s := t.take(n)
	t.used = append(t.used, s)
	return s
}

// value makes an intermediate value with undefined contents. It needs a gradient if one of
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

// record adds the step that passes on the gradient of out.
func (t *Tape) record(out *Var, back func()) {
	if out.need {
		t.steps = append(t.steps, step{out, back})
	}
}

// gradient returns the gradient of v, to be added to.
func (t *Tape) gradient(v *Var) []float32 {
	if v.Grad == nil {
		v.Grad = t.take(len(v.Data))
		clear(v.Grad)
	}
	return v.Grad
}

// target returns the gradient of v for products; fresh: its contents are undefined, and it
// must be set instead of added to.
func (t *Tape) target(v *Var) (g []float32, fresh bool) {
	if v.Grad == nil {
		v.Grad = t.take(len(v.Data))
		return v.Grad, true
	}
	return v.Grad, false
}

// pass adds the gradient of out to that of v, which has the same number of elements, and
// may reuse the memory of the former.
func (t *Tape) pass(v, out *Var) {
	switch {
	case !v.need:
	case v.Grad == nil && !v.leaf:
		v.Grad, out.Grad = out.Grad, nil
	default:
		float.AddToOn(t.Pool, t.gradient(v), out.Grad)
	}
}
