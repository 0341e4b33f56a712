package stage

import (
	"errors"
	"fmt"
	"strings"

	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/llama"
)

// One NaN or infinity spoils a Hessian and all that is learned, and no damping
// mends it. So what calibration sees is checked where it is first seen, and the
// error says where that is.

// The two models that calibration runs.
const (
	quantizedModel = "the model as quantized so far"
	fullModel      = "the full-precision model"
)

// nonFinite completes an error of [Stats.Add]: what x is, and which window
// the tokens are of that it counts.
func nonFinite(err error, what, model string, window, tokens int) error {
	var bad *NonFiniteError
	if !errors.As(err, &bad) {
		return err
	}
	return fmt.Errorf("%s: calibration window %d, token %d, channel %d is %v in %s; the checkpoint or the text before it is damaged, or its values leave the range of float32",
		what, window+bad.Token/tokens, bad.Token%tokens, bad.Channel, bad.Value, model)
}

// checkStream looks at the residual stream x [tokens × hidden] of a window, where
// is where it was taken.
func (st *State) checkStream(x []float32, where, model string, window int) error {
	return nonFinite(CheckFinite(x, st.Config.HiddenSize), "residual stream "+where, model, window, st.Tokens)
}

// checkInput looks at what the layers that read an input are given in a window.
func (st *State) checkInput(x []float32, in llama.Input, model string, window int) error {
	return nonFinite(CheckFinite(x, in.Width(st.Config)), "input of "+in.String(), model, window, st.Tokens)
}

// before and after name the places on both sides of the loaded block.
func (st *State) before() string { return "before " + strings.TrimSuffix(st.Prefix, ".") }
func (st *State) after() string  { return "after " + strings.TrimSuffix(st.Prefix, ".") }

// checkHalf is an error if a weight of a layer [out × in] does not fit a 16-bit float, in
// which layers that are not quantized are stored.
func checkHalf(w []float32, in int) error {
	for i, v := range w {
		if h := kernel.ToF16(v); h&0x7c00 == 0x7c00 {
			return fmt.Errorf("output %d, input %d: weight %v does not fit a 16-bit float (65504); quantize the layer to 8 bits instead of leaving it at 16", i/in, i%in, v)
		}
	}
	return nil
}
