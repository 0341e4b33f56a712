// Package recipe defines the language in which a model's quantization is
// described: the sections of a recipe, their keys with defaults and limits (see
// [Keys]), and the recipes that are embedded in the program. It holds data only;
// the methods that a recipe selects are in other packages.
package recipe

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/spectrum"
)

// Recipe describes how a model is quantized. A section that is nil leaves its stage out.
type Recipe struct {
	Name        string      `yaml:"name" json:"name"`
	About       string      `yaml:"about" json:"about,omitempty"`
	BitsText    string      `yaml:"bits" json:"bits"`
	Weights     Weights     `yaml:"weights" json:"weights"`
	Smooth      *Smooth     `yaml:"smooth" json:"smooth,omitempty"`
	Rotate      *Rotate     `yaml:"rotate" json:"rotate,omitempty"`
	Branch      *Branch     `yaml:"branch" json:"branch,omitempty"`
	Solve       Solve       `yaml:"solve" json:"solve"`
	Tune        *Tune       `yaml:"tune" json:"tune,omitempty"`
	Learn       *Learn      `yaml:"learn" json:"learn,omitempty"`
	Distil      *Tune       `yaml:"distil" json:"distil,omitempty"`
	Activations Activations `yaml:"activations" json:"activations"`
	Head        Head        `yaml:"head" json:"head"`
	Embedding   Table       `yaml:"embedding" json:"embedding,omitzero"`
	Calibration Calibration `yaml:"calibration" json:"calibration"`

	Bits quant.Bits `yaml:"-" json:"-"` // BitsText, parsed
}

// Weights is the grid of the (residual) weights.
type Weights struct {
	Group  int             `yaml:"group" json:"group"`             // inputs that share a scale: 32, 64 or 128; with multiples also 16; 0: the whole row
	Scales quant.ScaleKind `yaml:"scales" json:"scales,omitzero"`  // halves: a 16-bit float for each group; multiples of one for each row
	Clip   quant.Clip      `yaml:"clip" json:"clip"`               // none, mse, hessian: squared errors weighted by E[x²], or awq: by the group's output, for all but q and k
	Zero   quant.ZeroKind  `yaml:"zero" json:"zero"`               // symmetric, centred or asymmetric
	Layers []LayerBits     `yaml:"layers" json:"layers,omitempty"` // layers with other bits; the last match applies

	// Filled is how many of Layers, the first ones, were chosen to fill a size or an average. A recipe file
	// has none.
	Filled int `yaml:"-" json:"filled,omitempty"`

	// Average, if not 0, replaces the recipe's bits by a mixture of Widths (empty: all that the scales
	// can have) with at most this many bits per weight on average, over the layers not named in Layers.
	// Only the integers count.
	Average float64 `yaml:"average" json:"average,omitempty"`
	Widths  []int   `yaml:"widths" json:"widths,omitempty"`

	// Fill, if not empty, raises the bits of the weights, layer by layer, and narrows the groups as
	// long as the whole artefact is no larger than the named file of the same model.
	Fill string `yaml:"fill" json:"fill,omitempty"`
}

// FillQ4 is llama.cpp's Q4_0 format, about 4.5 bits per weight.
const FillQ4 = "q4_0"

// ClipAWQ chooses the magnitude at which each group is clipped by the output error on a
// sample of tokens, as AWQ does.
const ClipAWQ quant.Clip = "awq"

// LayerBits gives some layers another number of bits.
type LayerBits struct {
	Match string `yaml:"match" json:"match"` // path.Match pattern for the end of the layer's name: "down_proj", "layers.0.*", "*"
	Bits  int    `yaml:"bits" json:"bits"`   // 2 to 8; 16: the layer is not quantized
}

// Smooth moves activation outliers into the weights (METHOD: stage one).
type Smooth struct {
	Method string    `yaml:"method" json:"method,omitempty"` // alpha (or empty), or awq
	Alpha  AlphaGrid `yaml:"alpha" json:"alpha,omitempty"`   // the strengths to try; a single value is not searched
	Inputs []string  `yaml:"inputs" json:"inputs,omitempty"` // which of attn, o, mlp, down; empty: all
}

// The ways to choose λ.
const (
	SmoothAlpha = "alpha" // SmoothQuant's formula
	SmoothAWQ   = "awq"   // AWQ's
)

// Has reports whether the input is smoothed.
func (s *Smooth) Has(in llama.Input) bool { return s != nil && among(s.Inputs, in) }

// inputNames are the inputs as recipes name them.
var inputNames = [llama.NumInputs]string{"attn", "o", "mlp", "down"}

// Branch is the part kept in 16 bits (stage two).
type Branch struct {
	Basis       string              `yaml:"basis" json:"basis"`
	Axis        string              `yaml:"axis" json:"axis"`
	Components  float64             `yaml:"components" json:"components"`   // kept by each channel, on average
	Overhead    float64             `yaml:"overhead" json:"overhead"`       // largest number of bits per weight for the branch; 0: no limit
	Importance  spectrum.Importance `yaml:"importance" json:"importance"`   // what makes a channel important
	Temperature float64             `yaml:"temperature" json:"temperature"` // τ of the softmax over channels; 0: uniform
	Literal     bool                `yaml:"literal" json:"literal"`         // eq. 13 as printed
	Truncate    float64             `yaml:"truncate" json:"truncate"`       // run-time truncation ε
	Remove      bool                `yaml:"remove" json:"remove,omitempty"` // remove the subspace from the activations before they are quantized

	// Of stored bases only.
	Share  float64  `yaml:"share" json:"share,omitempty"`   // basis vectors as a fraction of the input's width, instead of components
	Bits   int      `yaml:"bits" json:"bits,omitempty"`     // of basis and coefficients: 16 (or 0), or 8
	Inputs []string `yaml:"inputs" json:"inputs,omitempty"` // which of attn, o, mlp, down have a branch; empty: all

	// Of basis svd only, see package stage.
	Rounds int  `yaml:"rounds" json:"rounds,omitempty"` // largest number of rounds of SVDQuant's iteration; 0: the weights' own singular vectors
	Whiten bool `yaml:"whiten" json:"whiten,omitempty"` // weight the directions of the input by their magnitude
}

// Has reports whether the layers that read an input have a branch.
func (b *Branch) Has(in llama.Input) bool { return b != nil && among(b.Inputs, in) }

// Iterated reports whether the branch is fitted to the rounding error of the weights.
func (b *Branch) Iterated() bool { return b != nil && (b.Rounds > 0 || b.Whiten) }

// Stored reports whether the basis is computed from the model, one for each input, and
// stored in the artefact.
func (b *Branch) Stored() bool {
	return b != nil && (b.Basis == BasisKLT || b.Basis == BasisSVD || b.Basis == BasisColumns)
}

// The bases that are computed from the model.
const (
	BasisKLT     = "klt"     // the leading eigenvectors of E[x̂ x̂ᵀ]
	BasisSVD     = "svd"     // the leading right singular vectors of the readers' weights
	BasisColumns = "columns" // single channels, those with the most energy
)

// Solve quantizes the residual (stage three).
type Solve struct {
	Method   string  `yaml:"method" json:"method"`       // rtn or gptq
	Damp     float64 `yaml:"damp" json:"damp,omitempty"` // added to the Hessian's diagonal, relative to its mean
	ActOrder bool    `yaml:"act-order" json:"act_order"` // quantize the columns with the largest diagonal first

	// DynamicGroups computes each group's scale from the weights as GPTQ has changed them
	// so far, instead of the original weights.
	DynamicGroups bool `yaml:"dynamic-groups" json:"dynamic_groups,omitempty"`

	// Correct fits the weights, before they are quantized, to the activations they will
	// read: "outputs" aims at the full-precision layer's output on its own input (as GPTAQ,
	// arXiv 2504.02692, does); "stream" makes o and down also compensate the accumulated
	// error of the residual stream; "judged" does the same only as far as it helps windows
	// of the calibration text that are left out of the fit. Empty: no fit.
	Correct string `yaml:"correct" json:"correct,omitempty"`

	// Sweeps is the number of passes of coordinate descent after GPTQ; Rescale fits the
	// scales to the integers before the first pass and after the last: see package stage.
	Sweeps  int  `yaml:"sweeps" json:"sweeps,omitempty"`
	Rescale bool `yaml:"rescale" json:"rescale,omitempty"`
}

// Refines reports whether anything follows GPTQ.
func (s *Solve) Refines() bool { return s.Sweeps > 0 || s.Rescale }

// Tune trains each quantized block, by gradients through its rounding, to reproduce the
// full-precision block's output, as OmniQuant (arXiv 2308.13137), AutoRound (2309.05516)
// and similar methods do. Rates are those of Adam's first step; 0 leaves a part unchanged.
type Tune struct {
	Epochs   int     `yaml:"epochs" json:"epochs"`     // passes over the calibration windows
	Batch    int     `yaml:"batch" json:"batch"`       // windows per step
	Rounding float64 `yaml:"rounding" json:"rounding"` // of the offset added to each weight before rounding, in steps of its grid
	Scales   float64 `yaml:"scales" json:"scales"`     // of the scales, relative to each
	Branch   float64 `yaml:"branch" json:"branch"`     // of the branch's coefficients, relative to each
	Norms    float64 `yaml:"norms" json:"norms"`       // of the norms' gains, relative to each
}

// Activations is the grid of the layers' inputs, one for each token.
type Activations struct {
	Clip float64 `yaml:"clip" json:"clip"` // fraction of the range that is covered, in (0, 1]
	// Group is the number of channels that share a grid at 4 bits: 16, 32, 64 or
	// 128; 0: the whole token. At 8 and 16 bits it has no effect.
	Group int `yaml:"group" json:"group,omitempty"`
}

// ActGroups are the possible group sizes of activations, besides 0, and ActGroupBits the
// number of bits for which they have an effect.
var ActGroups = []int{16, 32, 64, 128}

const ActGroupBits = 4

// ActGrid is the grid to which the inputs of quantized layers are rounded at run time.
func (r *Recipe) ActGrid() integer.ActGrid {
	g := integer.ActGrid{Bits: r.Bits.Activations, Clip: float32(r.Activations.Clip)}
	if g.Bits == ActGroupBits {
		g.Group = r.Activations.Group
	}
	return g
}

// Table is how a matrix with a row for each token of the vocabulary is stored: the
// embedding or the output matrix (see [Head]). In small models with large vocabularies
// these are most of the file. The grid is symmetric. but of 2 and 3 bits with multiples centred.
type Table struct {
	Bits   int             `yaml:"bits" json:"bits"`              // 2 to 8, or 16: not quantized
	Group  int             `yaml:"group" json:"group,omitempty"`  // columns that share a scale: 32, 64 or 128; with multiples also 16; 0: the whole row
	Scales quant.ScaleKind `yaml:"scales" json:"scales,omitzero"` // as [Weights].Scales
}

// Head is how the output matrix is stored, as a [Table], and how it is rounded.
type Head struct {
	Bits   int             `yaml:"bits" json:"bits"`
	Group  int             `yaml:"group" json:"group,omitempty"`
	Scales quant.ScaleKind `yaml:"scales" json:"scales,omitzero"`
	Method string          `yaml:"method" json:"method,omitempty"` // rtn or gptq
	// Transform, hadamard or empty, is applied to the matrix's input at run time, so that
	// its 8-bit grid is not determined by a few large channels.
	Transform string `yaml:"transform" json:"transform,omitempty"`
}

// Table is the storage format alone.
func (h Head) Table() Table { return Table{h.Bits, h.Group, h.Scales} }

// SetTable replaces the storage format.
func (h *Head) SetTable(t Table) { h.Bits, h.Group, h.Scales = t.Bits, t.Group, t.Scales }

// Calibration is how the calibration text is used.
type Calibration struct {
	Samples    int    `yaml:"samples" json:"samples"`       // largest number of windows taken from the text
	Tokens     int    `yaml:"tokens" json:"tokens"`         // tokens in each window; at most the model's context
	Statistics int    `yaml:"statistics" json:"statistics"` // windows that the statistics before quantization are taken of; 0: all
	Seed       uint64 `yaml:"seed" json:"seed"`             // chooses the windows if the text has more
	Propagate  string `yaml:"propagate" json:"propagate"`   // what later layers are calibrated on: outputs of quantized weights, of full precision, or of the emulated runtime, with activations and cache quantized too
}

// Alpha is a smoothing strength.
type Alpha float64

// Off leaves an input unsmoothed. This differs from α = 0, which divides by the weights'
// maxima.
const Off Alpha = -1

func (a Alpha) String() string {
	if a == Off {
		return "off"
	}
	return fmt.Sprintf("%.2f", float64(a))
}

// AlphaGrid is the strengths to try: in a recipe, a number in [0, 1], "off", or a list of
// these.
type AlphaGrid []Alpha
