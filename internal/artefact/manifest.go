package artefact

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/jsonfloat"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// Method is quantization_config.quant_method of our artefacts, and Version the newest format:
// see [VersionOf] for which is written. All are read. Version 1 had no transforms, stored bases
// or zero points, and one width for all layers. Version 4 added embeddings of fewer than 16 bits
// and output matrices of other than 8; version 5 added a checksum for each tensor, without
// which a version 5 file is refused; version 6 added multiples as scales of layers, version 7 as
// those of embedding and output matrix.
const (
	Method  = "specquant"
	Version = 7

	layersVersion = 6
	halvesVersion = 5
)

// VersionOf is the format that is written with these scales, of layers, of the output matrix and of the
// embedding: the oldest that has them, so that programs that do not know multiples read all other
// artefacts.
func VersionOf(layers, head, embedding quant.ScaleKind) int {
	switch quant.ScalesMultiples {
	case head, embedding:
		return Version
	case layers:
		return layersVersion
	}
	return halvesVersion
}

// Quantization is the quantization_config of config.json: all that a reader
// needs beside the tensors.
type Quantization struct {
	Method  string        `json:"quant_method"`
	Version int           `json:"format_version"`
	Bits    quant.Bits    `json:"bits"`
	Group   int           `json:"group_size"`      // inputs that share a scale; 0: the whole row
	ActClip float64       `json:"activation_clip"` // fraction of a token's range that the grid covers
	Head    int           `json:"head_bits"`       // of the output matrix: 2 to 8, or 16: not quantized
	Branch  *BranchFormat `json:"branch,omitempty"`

	// Zero is the kind of the weights' zero points: symmetric (or absent),
	// centred or asymmetric.
	Zero quant.ZeroKind `json:"zero_point,omitempty"`
	// Scales is how the scales of groups are stored: halves (or absent) or multiples.
	Scales quant.ScaleKind `json:"scales,omitzero"`
	// HeadGroup is the number of columns of the output matrix that share a scale; 0: the
	// whole row. HeadScales is how their scales are stored. Embedding, EmbeddingGroup and
	// EmbeddingScales are the same for the embedding, where absent bits mean 16. A tied model in
	// which both have the same format stores only the output matrix.
	HeadGroup       int             `json:"head_group_size,omitempty"`
	HeadScales      quant.ScaleKind `json:"head_scales,omitzero"`
	Embedding       int             `json:"embedding_bits,omitempty"`
	EmbeddingGroup  int             `json:"embedding_group_size,omitempty"`
	EmbeddingScales quant.ScaleKind `json:"embedding_scales,omitzero"`
	// Layers are the bits of layers that differ from bits.weights, by name; 16: not
	// quantized.
	Layers map[string]int `json:"layer_bits,omitempty"`
	// ActGroup is the number of input channels that share a grid: 16, 32, 64 or
	// 128, with activations of 4 bits; 0: the whole token.
	ActGroup int `json:"activation_group,omitempty"`
	// Transforms are applied to activations at run time.
	Transforms Transforms `json:"transforms,omitzero"`
}

// Transforms names the transforms of activations that the runtime applies and whose
// inverses are folded into the weights. Empty: none.
type Transforms struct {
	Attn  string `json:"attn,omitempty"`  // of the input of q, k and v: hadamard or kronecker
	O     string `json:"o,omitempty"`     // hadamard, heads (across heads only) or kronecker
	MLP   string `json:"mlp,omitempty"`   // of the input of gate and up: hadamard or kronecker
	Down  string `json:"down,omitempty"`  // hadamard or kronecker
	Head  string `json:"head,omitempty"`  // of the input of a quantized output matrix: hadamard
	Cache string `json:"cache,omitempty"` // of queries and keys after RoPE: hadamard (for each head) or balanced
}

// Input is the name of the transform of one of the four inputs.
func (t Transforms) Input(in llama.Input) string {
	return [llama.NumInputs]string{t.Attn, t.O, t.MLP, t.Down}[in]
}

// The names of transforms.
const (
	Hadamard  = "hadamard"  // over the whole width
	Heads     = "heads"     // a Hadamard matrix across the attention heads
	Kronecker = "kronecker" // two matrices stored with the layer
	Balanced  = "balanced"  // of queries and keys: see [QK]
)

func (t Transforms) check() error {
	for in := range llama.NumInputs {
		switch name := t.Input(in); {
		case name == "" || name == Hadamard || name == Kronecker || name == Heads && in == llama.OInput:
		default:
			return fmt.Errorf("transform of the input of %s is %q, expected %s or %s (or %s, for o)", in, name, Hadamard, Kronecker, Heads)
		}
	}
	if t.Head != "" && t.Head != Hadamard {
		return fmt.Errorf("transforms.head is %q, expected %s", t.Head, Hadamard)
	}
	if t.Cache != "" && t.Cache != Hadamard && t.Cache != Balanced {
		return fmt.Errorf("transforms.cache is %q, expected %s or %s", t.Cache, Hadamard, Balanced)
	}
	return nil
}

// LayerBits are the bits of the layer's weights.
func (q *Quantization) LayerBits(name string) int {
	if b, ok := q.Layers[name]; ok {
		return b
	}
	return q.Bits.Weights
}

// Grid is the grid of layers whose weights have so many bits.
func (q *Quantization) Grid(bits int) quant.Grid {
	if q.Scales == quant.ScalesMultiples {
		return quant.MultipleGrid(bits, q.Group)
	}
	return quant.Grid{Bits: bits, Group: q.Group, Zero: q.Zero}
}

// ProductGroup is the number of inputs whose products are added up before they are scaled; 0: all
// of a row. With multiples it is not the number that share a scale.
func (q *Quantization) ProductGroup() int {
	if q.Scales == quant.ScalesMultiples {
		return 0
	}
	return q.Group
}

// BranchFormat tells how the 16-bit branch is computed.
type BranchFormat struct {
	Basis    string  `json:"basis"`
	Axis     string  `json:"axis"`
	Truncate float64 `json:"truncate"`
	// Remove: the branch's subspace is removed from the activations before they are
	// quantized. Only for stored bases.
	Remove bool `json:"remove,omitempty"`
	// Bits are those of a stored basis and its coefficients: 8 or 16; absent: 16.
	Bits int `json:"bits,omitempty"`
}

// Stored reports whether the artefact holds the basis of each input.
func (b *BranchFormat) Stored() bool {
	return b.Basis == recipe.BasisKLT || b.Basis == recipe.BasisSVD || b.Basis == recipe.BasisColumns
}

// ParseQuantization reads a quantization_config; that of another tool is an error.
func ParseQuantization(raw json.RawMessage, file string) (*Quantization, error) {
	q, err := parseQuantization(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: quantization_config: %w", file, err)
	}
	return q, nil
}

func parseQuantization(raw json.RawMessage) (*Quantization, error) {
	// Check the method first: another tool may use our field names with other meanings.
	var q Quantization
	var whose struct {
		Method string `json:"quant_method"`
	}
	if err := input.JSON(raw, &whose); err != nil {
		return nil, err
	}
	q.Method = whose.Method
	if q.Method == Method {
		if err := input.JSON(raw, &q); err != nil {
			return nil, err
		}
	}
	if q.Method != Method {
		return nil, fmt.Errorf("quant_method is %q, expected %q; other tools' quantized models can't be read", q.Method, Method)
	}
	return &q, q.check()
}

// check returns an error for values that this version of the format does not have.
func (q *Quantization) check() error {
	if q.Version < 1 || q.Version > Version {
		return fmt.Errorf("format_version is %d, this program reads 1 to %d", q.Version, Version)
	}
	if err := q.Bits.Check(); err != nil {
		return err
	}
	if err := q.CheckGroups(); err != nil {
		return err
	}
	if err := q.CheckTables(); err != nil {
		return err
	}
	if !(q.ActClip > 0 && q.ActClip <= 1) {
		return fmt.Errorf("activation_clip is %v, expected more than 0 and at most 1", q.ActClip)
	}
	switch q.Zero {
	case "", quant.ZeroSymmetric, quant.ZeroCentred, quant.ZeroAsymmetric:
	default:
		return fmt.Errorf("zero_point is %q, expected %s, %s or %s", q.Zero, quant.ZeroSymmetric, quant.ZeroCentred, quant.ZeroAsymmetric)
	}
	for name, bits := range q.Layers {
		if bits != 16 && !slices.Contains(quant.WeightBits, bits) {
			return fmt.Errorf("layer_bits of %s is %d, expected one of %v or 16", name, bits, quant.WeightBits)
		}
	}
	if err := q.checkScales(); err != nil {
		return err
	}
	if err := q.Transforms.check(); err != nil {
		return err
	}
	return q.Branch.check()
}

// checkScales returns an error for multiples as scales of a grid that cannot have them.
func (q *Quantization) checkScales() error {
	switch q.Scales {
	case "", quant.ScalesHalves:
		return nil
	case quant.ScalesMultiples:
	default:
		return fmt.Errorf("scales is %q, expected %s or %s", q.Scales, quant.ScalesHalves, quant.ScalesMultiples)
	}
	switch {
	case q.Version < layersVersion:
		return fmt.Errorf("format_version is %d with scales %s, expected %d or more", q.Version, q.Scales, layersVersion)
	case q.Zero != "" && q.Zero != quant.ZeroSymmetric:
		return fmt.Errorf("zero_point is %s with scales %s, expected %s", q.Zero, q.Scales, quant.ZeroSymmetric)
	case !quant.MultipleGroup(q.Group):
		return fmt.Errorf("group_size is %d with scales %s, expected 16 or a multiple of 32", q.Group, q.Scales)
	case !slices.Contains(quant.MultipleBits, q.Bits.Weights):
		return fmt.Errorf("bits.weights is %d with scales %s, expected one of %v", q.Bits.Weights, q.Scales, quant.MultipleBits)
	}
	for name, bits := range q.Layers {
		if bits != quant.FullBits && !slices.Contains(quant.MultipleBits, bits) {
			return fmt.Errorf("layer_bits of %s is %d with scales %s, expected one of %v or %d", name, bits, q.Scales, quant.MultipleBits, quant.FullBits)
		}
	}
	return nil
}

// check returns an error for a branch that cannot be computed; nil, no branch, is valid.
func (b *BranchFormat) check() error {
	if b == nil {
		return nil
	}
	if b.Basis != "dft" && b.Basis != "dct" && !b.Stored() {
		return fmt.Errorf("branch.basis is %q, expected dft, dct, klt, svd or columns", b.Basis)
	}
	if b.Stored() && (b.Axis != "output" || b.Truncate != 0) {
		return fmt.Errorf("branch.axis is %q and branch.truncate %v, expected output and 0 with basis %s", b.Axis, b.Truncate, b.Basis)
	}
	if b.Remove && !b.Stored() {
		return fmt.Errorf("branch.remove is set, expected a stored basis with it, not %s", b.Basis)
	}
	if b.Bits != 0 && b.Bits != 8 && b.Bits != 16 {
		return fmt.Errorf("branch.bits is %d, expected 8 or 16", b.Bits)
	}
	if b.Bits == 8 && !b.Stored() {
		return fmt.Errorf("branch.bits is 8, expected a stored basis with it, not %s", b.Basis)
	}
	if b.Axis != "output" && b.Axis != "input" {
		return fmt.Errorf("branch.axis is %q, expected output or input", b.Axis)
	}
	if !(b.Truncate >= 0 && b.Truncate < 1) {
		return fmt.Errorf("branch.truncate is %v, expected 0 to 1", b.Truncate)
	}
	return nil
}

// ActGrid is the grid to which the inputs of quantized layers are rounded.
func (q *Quantization) ActGrid() integer.ActGrid {
	return integer.ActGrid{Bits: q.Bits.Activations, Clip: float32(q.ActClip), Group: q.ActGroup}
}

// CheckGroups says whether the groups of weights and activations are ones that there
// are kernels for.
func (q *Quantization) CheckGroups() error {
	switch {
	case q.Group != 0 && (q.Group < 8 || q.Group%8 != 0 || q.Group > maxGroup):
		return fmt.Errorf("group_size is %d, expected 0 or a multiple of 8 up to %d", q.Group, maxGroup)
	case q.ActGroup == 0:
	case !slices.Contains(recipe.ActGroups, q.ActGroup):
		return fmt.Errorf("activation_group is %d, expected 0 or one of %v", q.ActGroup, recipe.ActGroups)
	case q.Bits.Activations != recipe.ActGroupBits:
		return fmt.Errorf("activation_group is %d with activations of %s, expected %s, or no groups", q.ActGroup, plural.Of(q.Bits.Activations, "bit"), plural.Of(recipe.ActGroupBits, "bit"))
	case q.Group != 0 && q.Group%q.ActGroup != 0 && q.ActGroup%q.Group != 0:
		return fmt.Errorf("activation_group is %d and group_size %d, expected one to divide the other", q.ActGroup, q.Group)
	}
	return nil
}

// maxGroup is above any layer's width.
const maxGroup = 1 << 20

// ManifestFile is the manifest's name in the artefact.
const ManifestFile = checkpoint.ManifestFile

// Manifest records where an artefact comes from and what the job measured. It contains no
// time and no machine, so that equal jobs write equal bytes.
type Manifest struct {
	Tool          string                `json:"tool"`
	Recipe        *recipe.Recipe        `json:"recipe"`
	Inputs        []checkpoint.FileHash `json:"inputs"`                // the checkpoint's files
	Calibration   *Calibration          `json:"calibration,omitempty"` // nil: none was needed
	Rotations     []Rotation            `json:"rotations,omitempty"`   // how the recipe's rotations were constructed
	Budget        *TimeBudget           `json:"time_budget,omitempty"` // nil: no time was stated
	Layers        []Layer               `json:"layers"`
	BitsPerWeight float64               `json:"bits_per_weight"`     // over the quantized layers, everything stored included
	Fallbacks     []Fallback            `json:"fallbacks,omitempty"` // where the job deviated from its recipe
	Check         *Check                `json:"check,omitempty"`

	// Files are all other files of the artefact, sorted by name; artefacts of early
	// versions list none. See [Verify].
	Files []checkpoint.FileHash `json:"files,omitempty"`
}

// TimeBudget is the time that was stated for a job and what it left of the calibration.
type TimeBudget struct {
	Seconds float64 `json:"seconds"`
	Windows int     `json:"windows"` // of calibration that it allowed
	Asked   int     `json:"asked"`   // that the recipe and the text would have given
}

// Calibration is the text that the statistics come from.
type Calibration struct {
	Sources []checkpoint.FileHash `json:"sources"`
	Windows int                   `json:"windows"`
	HeldOut int                   `json:"held_out_windows,omitempty"` // used to judge the result, never fitted on
	Tokens  int                   `json:"tokens_per_window"`
	Hash    string                `json:"token_sha256"` // of the token ids used, as little-endian uint32
}

// Layer is the report on one linear layer. Errors are relative: ‖y − y'‖ / ‖y‖ over
// calibration tokens, with activations quantized.
type Layer struct {
	Name          string   `json:"name"`
	Alpha         string   `json:"alpha,omitempty"`
	EnergyKept    float64  `json:"energy_kept"` // fraction of ‖Ŵ‖² in the branch
	BitsPerWeight float64  `json:"bits_per_weight"`
	Error         float64  `json:"error"`           // with this recipe, before tune and distil change the layer
	ErrorNoBranch float64  `json:"error_no_branch"` // the same without the branch
	ErrorRTN      float64  `json:"error_rtn"`       // plain rounding of the original weights
	Damp          float64  `json:"damp,omitempty"`
	DeadChannels  int      `json:"dead_channels,omitempty"`
	Strength      *float32 `json:"strength,omitempty"`    // of the fit to the full-precision model, 0 to 1, by windows left out of it (solve.correct: judged); nil: was not judged
	Uncorrected   bool     `json:"uncorrected,omitempty"` // solve.correct was left out because it exceeded the weights themselves
	Seconds       float64  `json:"-"`                     // to split, solve and measure the layer; not in the file, because equal jobs write equal bytes

	// Tokens is how many calibration tokens the router sent to the expert that the layer is
	// of; nil: it is of none, or nothing was calibrated.
	Tokens *int `json:"calibration_tokens,omitempty"`
	// Borrowed says that these are too few, so that the expert was calibrated on tokens of
	// others too.
	Borrowed bool `json:"calibration_borrowed,omitempty"`

	// Clipped is the fraction of the (residual) weights beyond the ends of their grid,
	// before rounding.
	Clipped float64 `json:"clipped,omitempty"`
	// Outliers are the input channels with unusually large |x|, largest first, before
	// smoothing; Peak is the largest channel's maximum |x| relative to the median
	// channel's, after smoothing. Both are over the calibration tokens.
	Outliers []Outlier `json:"outliers,omitempty"`
	Peak     float64   `json:"peak,omitempty"`
}

// Outlier is a channel of a layer's input.
type Outlier struct {
	Channel int     `json:"channel"`
	Ratio   float64 `json:"ratio"` // its maximum |x| relative to the median channel's
}

// Check is the comparison with full precision after writing, on windows of the calibration
// text that nothing was fitted on, if there are any.
type Check struct {
	HeldOut       bool    `json:"held_out"` // false: on the calibration text itself
	Tokens        int     `json:"tokens"`
	PerplexityRef float64 `json:"perplexity_full"`
	Perplexity    float64 `json:"perplexity"`
	KL            float64 `json:"kl"`
	Top1          float64 `json:"top1_agreement"`
	Passed        bool    `json:"passed"`

	// KLFitted is the divergence on as many tokens of the windows that the weights were
	// fitted on; 0: not measured. If it is much smaller than KL, the model has memorized
	// its calibration text instead of learning the language: see [Check.Ratio].
	KLFitted float64 `json:"kl_fitted,omitempty"`

	KLErr       float64 `json:"kl_err,omitempty"`        // standard error of KL over its tokens; 0: not known
	KLFittedErr float64 `json:"kl_fitted_err,omitempty"` // that of KLFitted
}

// checkJSON is a Check as it is stored in the manifest.
type checkJSON struct {
	HeldOut       bool            `json:"held_out"`
	Tokens        int             `json:"tokens"`
	PerplexityRef jsonfloat.Float `json:"perplexity_full"`
	Perplexity    jsonfloat.Float `json:"perplexity"`
	KL            jsonfloat.Float `json:"kl"`
	Top1          jsonfloat.Float `json:"top1_agreement"`
	Passed        bool            `json:"passed"`
	KLFitted      jsonfloat.Float `json:"kl_fitted,omitempty"`
	KLErr         jsonfloat.Float `json:"kl_err,omitempty"`
	KLFittedErr   jsonfloat.Float `json:"kl_fitted_err,omitempty"`
}

// MarshalJSON implements json.Marshaler. A result that was accepted although it gives a
// token probability 0 has an infinite perplexity, which JSON numbers cannot hold.
func (c Check) MarshalJSON() ([]byte, error) {
	return json.Marshal(checkJSON{c.HeldOut, c.Tokens, jsonfloat.Float(c.PerplexityRef), jsonfloat.Float(c.Perplexity), jsonfloat.Float(c.KL), jsonfloat.Float(c.Top1), c.Passed, jsonfloat.Float(c.KLFitted),
		jsonfloat.Float(c.KLErr), jsonfloat.Float(c.KLFittedErr)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Check) UnmarshalJSON(data []byte) error {
	var v checkJSON
	err := json.Unmarshal(data, &v)
	*c = Check{v.HeldOut, v.Tokens, float64(v.PerplexityRef), float64(v.Perplexity), float64(v.KL), float64(v.Top1), v.Passed, float64(v.KLFitted), float64(v.KLErr), float64(v.KLFittedErr)}
	return err
}

// Ratio is the generalization ratio: the divergence from full precision on held-out text
// divided by that on text the weights were fitted on. 0: unknown.
func (c *Check) Ratio() float64 {
	if !c.HeldOut || c.KLFitted <= 0 {
		return 0
	}
	return c.KL / c.KLFitted
}

// Overfitted reports whether the generalization ratio is above [MaxRatio] by more than chance:
// by two standard errors of the few tokens that a job compares.
func (c *Check) Overfitted() bool {
	return c.Ratio() > MaxRatio && c.KL-MaxRatio*c.KLFitted > 2*math.Hypot(c.KLErr, MaxRatio*c.KLFittedErr)
}

// MaxRatio is the generalization ratio above which a job prints a warning.
const MaxRatio = 2
