package stage

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/llama"
)

// A single NaN or infinity spoils a Hessian and everything learned from it, and damping
// does not help. So calibration activations are checked as soon as they are computed, and
// the error names the place.

// The two models that calibration runs, as error messages name them.
const (
	quantizedModel = "the model as quantized so far"
	fullModel      = "the full-precision model"
)

// nonFinite adds to an error of [Stats.Add] what was being read (what), from which model,
// and the calibration window; tokens is the number of tokens in a window.
func nonFinite(err error, what, model string, window, tokens int) error {
	var bad *NonFiniteError
	if !errors.As(err, &bad) {
		return err
	}
	return fmt.Errorf("%s: calibration window %d, token %d, channel %d is %v in %s; expected finite values: the checkpoint is damaged, or its values exceed the range of float32",
		what, window+bad.Token/tokens, bad.Token%tokens, bad.Channel, bad.Value, model)
}

// checkStream checks the residual stream x [tokens × hidden] of one window; where names the
// place for the error.
func (st *State) checkStream(x []float32, where, model string, window int) error {
	return nonFinite(CheckFinite(x, st.Config.HiddenSize), "residual stream "+where, model, window, st.Tokens)
}

// checkInput checks one window of activations x that the layers of an input read.
func (st *State) checkInput(x []float32, in llama.Input, model string, window int) error {
	return nonFinite(CheckFinite(x, in.Width(st.Config)), "input of "+in.String(), model, window, st.Tokens)
}

// before and after name, for errors, the places on both sides of the loaded block.
func (st *State) before() string { return "before " + st.place() }
func (st *State) after() string  { return "after " + st.place() }

// place is the name of the loaded block.
func (st *State) place() string { return strings.TrimSuffix(st.Prefix, ".") }

// checkHalf returns an error if a weight of a layer [out × in] exceeds the range of a
// 16-bit float, the format in which unquantized layers are stored.
func checkHalf(w []float32, in int) error {
	if i := outsideHalf(w); i >= 0 {
		return tooLarge(i, in, w[i])
	}
	return nil
}

// outsideHalf is the index of the first weight that no 16-bit float is near; −1: there is none.
func outsideHalf(w []float32) int {
	return slices.IndexFunc(w, func(v float32) bool { return float.ToF16(v)&0x7c00 == 0x7c00 })
}

// tooLarge is the error for weight i of a layer of that many inputs.
func tooLarge(i, in int, v float32) error {
	return fmt.Errorf("output %d, input %d: weight %v is out of the range of a 16-bit float (±65504); quantize the layer to 8 bits instead of leaving it at 16", i/in, i%in, v)
}
