package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// Size of a picture; a larger matrix is reduced, with each cell showing its largest value.
const (
	surfaceCols = 256 // channels
	surfaceRows = 96  // tokens, or output channels
)

// Surface is an input and the weights that read it, before and after smoothing, as in the
// paper's figures 1 and 2.
type Surface struct {
	Name     string // of the input
	Reader   string // the layer whose weights are shown
	Alpha    recipe.Alpha
	Peak     float64 // of the activations, before
	After    float64
	Channels int
	Tokens   int
	Outputs  int

	Act, ActAfter       Field
	Weight, WeightAfter Field
}

// Field is a picture: |values| [Rows × Cols].
type Field struct {
	Rows, Cols int
	V          []float32
	Max        float32
}

// candidate is the worst input so far.
type candidate struct {
	in     Input
	reader llama.Layer
	x, w   []float32 // [tokens × width], [out × width]
	lambda []float32
	out    int
}

// consider keeps the input if it is the worst so far: separately for inputs that come from
// a norm and for the others.
func (k *looker) consider(in Input, x []float32) {
	slot := 0
	if in.Input == llama.OInput || in.Input == llama.DownInput {
		slot = 1
	}
	if c := k.surface[slot]; c != nil && c.in.Peak >= in.Peak {
		return
	}
	reader := llama.Layer{Which: in.Input.Readers()[0], Expert: in.Expert}
	if in.Input == llama.MLPInput && len(k.experts) > 0 {
		reader.Expert = 0 // all read it
	}
	d := k.block.Layer(reader)
	k.surface[slot] = &candidate{in: in, reader: reader, x: x, w: slices.Clone(d.W), out: d.Out, lambda: k.lambdaOf(reader)}
}

// draw reduces the candidate to pictures.
func (c *candidate) draw() Surface {
	width := len(c.lambda)
	s := Surface{Name: fmt.Sprintf("block %d, input of %s%s", c.in.Block, c.in.Input, ofExpert(c.in.Expert)), Reader: c.reader.String(),
		Alpha: c.in.Alpha, Peak: c.in.Peak, After: c.in.After, Channels: width, Tokens: len(c.x) / width, Outputs: c.out}
	s.Act, s.Weight = fold(c.x, width), fold(c.w, width)
	stage.DivideTokens(c.x, c.x, c.lambda)
	for r := 0; r < len(c.w); r += width {
		for i, l := range c.lambda {
			c.w[r+i] *= l
		}
	}
	s.ActAfter, s.WeightAfter = fold(c.x, width), fold(c.w, width)
	return s
}

// fold reduces v [rows × width] to a picture in which each cell is the largest |value| of
// its part.
func fold(v []float32, width int) Field {
	rows := len(v) / width
	f := Field{Rows: min(rows, surfaceRows), Cols: min(width, surfaceCols)}
	f.V = make([]float32, f.Rows*f.Cols)
	for r := range rows {
		for c := range width {
			a := float32(math.Abs(float64(v[r*width+c])))
			p := &f.V[r*f.Rows/rows*f.Cols+c*f.Cols/width]
			*p = max(*p, a)
			f.Max = max(f.Max, a)
		}
	}
	return f
}
