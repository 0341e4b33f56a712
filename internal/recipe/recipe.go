// Package recipe defines the language in which a model's quantization is
// described: the sections of a recipe, their keys, defaults and limits, and the
// recipes that are embedded in the program. It holds data only; the methods
// that a recipe selects are in other packages.
package recipe

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/spectrum"
)

// Recipe says how a model is quantized. Zero values leave a stage out.
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
	Head        Table       `yaml:"head" json:"head"`
	Embedding   Table       `yaml:"embedding" json:"embedding,omitzero"`
	Calibration Calibration `yaml:"calibration" json:"calibration"`

	Bits quant.Bits `yaml:"-" json:"-"` // BitsText, read
}

// Weights is the grid of the (residual) weights.
type Weights struct {
	Group  int            `yaml:"group" json:"group"`             // inputs a scale: 0 (whole row), 32, 64 or 128
	Clip   quant.Clip     `yaml:"clip" json:"clip"`               // none, mse, hessian: squared errors weighted by E[x²], or awq: by the group's output, for all but q and k
	Zero   quant.ZeroKind `yaml:"zero" json:"zero"`               // symmetric, centred or asymmetric
	Layers []LayerBits    `yaml:"layers" json:"layers,omitempty"` // exceptions to the recipe's bits, the last that matches counts

	// Average, if not 0, replaces the recipe's bits by a mixture of Widths (none:
	// all there are) with no more bits a weight than that, over the layers that
	// Layers leaves alone: see [Mix]. Only the integers count.
	Average float64 `yaml:"average" json:"average,omitempty"`
	Widths  []int   `yaml:"widths" json:"widths,omitempty"`
}

// ClipAWQ searches each group's largest magnitude by its output error on a
// sample of tokens, as AWQ does.
const ClipAWQ quant.Clip = "awq"

// LayerBits gives some layers another width.
type LayerBits struct {
	Match string `yaml:"match" json:"match"` // of the name, as in path.Match, against its end: "down_proj", "layers.0.*", "*"
	Bits  int    `yaml:"bits" json:"bits"`   // 2 to 8; 16: the layer is not quantized
}

// Smooth moves activation outliers into the weights (METHOD: stage one).
type Smooth struct {
	Method string    `yaml:"method" json:"method,omitempty"` // alpha (or empty), or awq
	Alpha  AlphaGrid `yaml:"alpha" json:"alpha,omitempty"`   // the strengths to try; one value fixes it
	Inputs []string  `yaml:"inputs" json:"inputs,omitempty"` // which of attn, o, mlp, down; none: all
}

// The ways to choose λ.
const (
	SmoothAlpha = "alpha" // SmoothQuant's formula, see [Lambda]
	SmoothAWQ   = "awq"   // AWQ's, see [AWQScale]
)

// Has says whether the input is smoothed.
func (s *Smooth) Has(in llama.Input) bool { return s != nil && among(s.Inputs, in) }

// inputNames are the inputs as recipes name them.
var inputNames = [llama.NumInputs]string{"attn", "o", "mlp", "down"}

// among says whether a list of inputs has one; an empty list has all.
func among(list []string, in llama.Input) bool {
	return len(list) == 0 || slices.Contains(list, inputNames[in])
}

// Branch is the part kept in 16 bits (stage two).
type Branch struct {
	Basis       string              `yaml:"basis" json:"basis"`
	Axis        string              `yaml:"axis" json:"axis"`
	Components  float64             `yaml:"components" json:"components"`   // kept per channel, on average
	Overhead    float64             `yaml:"overhead" json:"overhead"`       // most bits per weight for the branch; 0: no limit
	Importance  spectrum.Importance `yaml:"importance" json:"importance"`   // what makes a channel important
	Temperature float64             `yaml:"temperature" json:"temperature"` // τ of the softmax over channels; 0: uniform
	Literal     bool                `yaml:"literal" json:"literal"`         // eq. 13 as printed
	Truncate    float64             `yaml:"truncate" json:"truncate"`       // run-time truncation ε
	Remove      bool                `yaml:"remove" json:"remove,omitempty"` // take the subspace out of the activations that are quantized

	// Of stored bases only.
	Share  float64  `yaml:"share" json:"share,omitempty"`   // of the input's width that the basis spans, instead of components
	Bits   int      `yaml:"bits" json:"bits,omitempty"`     // of basis and coefficients: 16 (or 0), or 8
	Inputs []string `yaml:"inputs" json:"inputs,omitempty"` // which of attn, o, mlp, down have one; none: all

	// Of basis svd only, see [Branch.Iterate].
	Rounds int  `yaml:"rounds" json:"rounds,omitempty"` // most rounds of SVDQuant's iteration; 0: the weights' own singular vectors
	Whiten bool `yaml:"whiten" json:"whiten,omitempty"` // weigh the directions of the input by how large they are
}

// Has says whether the layers that read an input have a branch.
func (b *Branch) Has(in llama.Input) bool { return b != nil && among(b.Inputs, in) }

// Iterated says whether the branch is fitted to what rounding leaves.
func (b *Branch) Iterated() bool { return b != nil && (b.Rounds > 0 || b.Whiten) }

// Stored says whether the basis is made from the model, one for each input, and
// kept in the artefact.
func (b *Branch) Stored() bool {
	return b != nil && (b.Basis == BasisKLT || b.Basis == BasisSVD || b.Basis == BasisColumns)
}

// The bases that are made from the model.
const (
	BasisKLT     = "klt"     // the leading eigenvectors of E[x̂ x̂ᵀ]
	BasisSVD     = "svd"     // the leading right singular vectors of the readers' weights
	BasisColumns = "columns" // the channels with the most energy, as they are
)

// Solve quantizes the residual (stage three).
type Solve struct {
	Method   string  `yaml:"method" json:"method"`       // rtn or gptq
	Damp     float64 `yaml:"damp" json:"damp,omitempty"` // share of the mean diagonal added to the Hessian
	ActOrder bool    `yaml:"act-order" json:"act_order"` // quantize the columns with the largest diagonal first

	// DynamicGroups takes each group's scale from the weights as GPTQ has changed
	// them by then, not from those it was given.
	DynamicGroups bool `yaml:"dynamic-groups" json:"dynamic_groups,omitempty"`

	// Correct fits the weights, before they are quantized, to what they will be
	// given: "outputs" aims at the full-precision layer's output on its own input
	// (as GPTAQ, arXiv 2504.02692, does), "stream" also makes o and down take back
	// the error that the residual stream has gathered. Empty: the layer as it is.
	Correct string `yaml:"correct" json:"correct,omitempty"`

	// Sweeps are passes of coordinate descent after GPTQ, Rescale fits the scales to
	// the integers before the first and after the last: see [Factor.Refine].
	Sweeps  int  `yaml:"sweeps" json:"sweeps,omitempty"`
	Rescale bool `yaml:"rescale" json:"rescale,omitempty"`
}

// Refines says whether anything is done after GPTQ.
func (s *Solve) Refines() bool { return s.Sweeps > 0 || s.Rescale }

// Tune lets each quantized block learn, by gradients through its rounding, to
// give what the full-precision block gives: as OmniQuant (arXiv 2308.13137),
// AutoRound (2309.05516) and their kin do. Rates are those of Adam's first
// step; 0 leaves a part as it is.
type Tune struct {
	Epochs   int     `yaml:"epochs" json:"epochs"`     // passes over the calibration windows
	Batch    int     `yaml:"batch" json:"batch"`       // windows a step
	Rounding float64 `yaml:"rounding" json:"rounding"` // of what is added to each weight before it is rounded, in steps of its grid
	Scales   float64 `yaml:"scales" json:"scales"`     // of the scales, as a share of them
	Branch   float64 `yaml:"branch" json:"branch"`     // of the branch's coefficients, as a share
	Norms    float64 `yaml:"norms" json:"norms"`       // of the norms' gains, as a share
}

// Activations is the grid of the inputs, one a token.
type Activations struct {
	Clip float64 `yaml:"clip" json:"clip"` // share of the range that is covered, in (0, 1]
	// Group is the number of channels that share a grid at 4 bits: 16, 32, 64 or
	// 128; 0: the whole token. At 8 and 16 bits it has no effect.
	Group int `yaml:"group" json:"group,omitempty"`
}

// ActGroups are the sizes of groups of channels, beside 0, and ActGroupBits the
// bits of activations that they are for.
var ActGroups = []int{16, 32, 64, 128}

const ActGroupBits = 4

// ActGrid is how the inputs of quantized layers are rounded at run time, if
// they are.
func (r *Recipe) ActGrid() kernel.ActGrid {
	g := kernel.ActGrid{Bits: r.Bits.Activations, Clip: float32(r.Activations.Clip)}
	if g.Bits == ActGroupBits {
		g.Group = r.Activations.Group
	}
	return g
}

// Table is how one of the two matrices with a row for each token of the
// vocabulary is stored: the embedding, and the output matrix (head). In small
// models with large vocabularies they are most of the file. Each row is rounded
// to nearest on a symmetric grid.
type Table struct {
	Bits  int `yaml:"bits" json:"bits"`             // 2 to 8, or 16: as it is
	Group int `yaml:"group" json:"group,omitempty"` // columns that share a scale: 32, 64 or 128; 0: the whole row
}

// Calibration is what the calibration text is used for.
type Calibration struct {
	Samples   int    `yaml:"samples" json:"samples"`     // windows taken from the text, at most
	Tokens    int    `yaml:"tokens" json:"tokens"`       // tokens of a window, at most the model's context
	Seed      uint64 `yaml:"seed" json:"seed"`           // chooses the windows where the text has more
	Propagate string `yaml:"propagate" json:"propagate"` // what later layers see: quantized weights, full precision, or runtime: activations and cache quantized too
}

// Alpha is a smoothing strength; Off stands for no smoothing.
type Alpha float64

// Off leaves an input as it is. It is not α = 0, which still divides by the
// weights' maxima.
const Off Alpha = -1

func (a Alpha) String() string {
	if a == Off {
		return "off"
	}
	return fmt.Sprintf("%.2f", float64(a))
}

// AlphaGrid is a list of strengths in a recipe: numbers in [0, 1] and "off", or one of them.
type AlphaGrid []Alpha

// UnmarshalYAML implements yaml.BytesUnmarshaler.
func (g *AlphaGrid) UnmarshalYAML(data []byte) error {
	var list []any
	if err := yaml.Unmarshal(data, &list); err != nil {
		var one any
		if err := yaml.Unmarshal(data, &one); err != nil {
			return err
		}
		list = []any{one}
	}
	*g = nil
	for _, item := range list {
		a := Alpha(-2)
		switch v := item.(type) {
		case string:
			if v == "off" {
				*g = append(*g, Off)
				continue
			}
			if f, err := strconv.ParseFloat(v, 64); err == nil { // 1e-1 has no dot, which YAML 1.1 wants
				a = Alpha(f)
			}
		case bool: // YAML 1.1 reads off as false
			if !v {
				*g = append(*g, Off)
				continue
			}
		case float64:
			a = Alpha(v)
		case uint64:
			a = Alpha(v)
		case int64:
			a = Alpha(v)
		}
		if !(a >= 0 && a <= 1) { // Off, −1, is no number of a recipe
			return fmt.Errorf("smooth.alpha: %v is neither off nor a number from 0 to 1", item)
		}
		*g = append(*g, a)
	}
	return nil
}

//go:embed recipes/*.yaml
var embedded embed.FS

// Names lists the embedded recipes.
func Names() []string {
	entries, err := embedded.ReadDir("recipes")
	if err != nil {
		panic(err) // the folder is in the binary
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// Source is the YAML of an embedded recipe, comments included; the error names
// those there are.
func Source(name string) ([]byte, error) {
	data, err := embedded.ReadFile(path.Join("recipes", name+".yaml"))
	if err != nil {
		return nil, fmt.Errorf("unknown recipe %q; use one of %s", name, strings.Join(Names(), ", "))
	}
	return data, nil
}

// maxRecipe bounds a recipe file.
const maxRecipe = 1 << 20

// Load reads an embedded recipe by name, or a YAML file by path.
func Load(name string) (*Recipe, error) {
	if data, err := embedded.ReadFile(path.Join("recipes", name+".yaml")); err == nil {
		return Parse(data, name)
	}
	if ext := filepath.Ext(name); ext != ".yaml" && ext != ".yml" {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			return nil, fmt.Errorf("recipe %s: a recipe file's name ends in .yaml or .yml; rename it if it is one", name)
		}
		return nil, fmt.Errorf("unknown recipe %q; use one of %s, or a .yaml file", name, strings.Join(Names(), ", "))
	}
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("recipe %s: no such file", name)
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > maxRecipe {
		return nil, fmt.Errorf("recipe %s: has %d bytes, expected a YAML file of at most %d", name, info.Size(), maxRecipe)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return Parse(data, name)
}

// Parse reads a recipe strictly: an unknown key is an error with its line.
func Parse(data []byte, file string) (*Recipe, error) {
	r := &Recipe{Activations: Activations{Clip: 1}, Head: Table{Bits: 16}, Embedding: Table{Bits: 16}}
	r.Weights.Clip, r.Weights.Zero = quant.ClipNone, quant.ZeroSymmetric
	r.Calibration = Calibration{Samples: 256, Tokens: 2048, Propagate: "quantized"}
	if err := checkText(data); err != nil {
		return nil, fmt.Errorf("recipe %s: %w", file, err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict(), yaml.DisallowUnknownField())
	if err := guarded(func() error { return dec.Decode(r) }); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("recipe %s: is empty, expected name, bits, solve and what else the method needs", file)
	} else if err != nil {
		return nil, fmt.Errorf("recipe %s: %s", file, yamlError(err))
	}
	var second any
	if err := guarded(func() error { return dec.Decode(&second) }); !errors.Is(err, io.EOF) && (err != nil || second != nil) {
		return nil, fmt.Errorf("recipe %s: has a second YAML document, expected one", file)
	}
	if err := wholeNumbers(data); err != nil {
		return nil, fmt.Errorf("recipe %s: %w", file, err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("recipe %s: %w", file, err)
	}
	return r, nil
}

// wholeNumbers refuses fractions where the decoder would silently cut them off.
func wholeNumbers(data []byte) error {
	var r struct {
		Weights struct {
			Group  any
			Widths []any
			Layers []struct{ Bits any }
		}
		Branch              struct{ Bits, Rounds any }
		Solve               struct{ Sweeps any }
		Calibration         struct{ Samples, Tokens, Seed any }
		Head, Embedding     struct{ Bits, Group any }
		Activations         struct{ Group any }
		Tune, Distil, Learn struct{ Epochs, Batch any }
		Rotate              struct {
			Learn struct{ Steps, Windows any }
		}
	}
	if err := guarded(func() error { return yaml.Unmarshal(data, &r) }); err != nil {
		return err
	}
	type field struct {
		key   string
		value any
	}
	fields := []field{
		{"weights.group", r.Weights.Group},
		{"activations.group", r.Activations.Group},
		{"calibration.samples", r.Calibration.Samples},
		{"calibration.tokens", r.Calibration.Tokens},
		{"calibration.seed", r.Calibration.Seed},
		{"head.bits", r.Head.Bits},
		{"head.group", r.Head.Group},
		{"embedding.bits", r.Embedding.Bits},
		{"embedding.group", r.Embedding.Group},
		{"branch.bits", r.Branch.Bits},
		{"branch.rounds", r.Branch.Rounds},
		{"solve.sweeps", r.Solve.Sweeps},
		{"tune.epochs", r.Tune.Epochs},
		{"tune.batch", r.Tune.Batch},
		{"distil.epochs", r.Distil.Epochs},
		{"distil.batch", r.Distil.Batch},
		{"learn.epochs", r.Learn.Epochs},
		{"learn.batch", r.Learn.Batch},
		{"rotate.learn.steps", r.Rotate.Learn.Steps},
		{"rotate.learn.windows", r.Rotate.Learn.Windows},
	}
	for _, w := range r.Weights.Widths {
		fields = append(fields, field{"weights.widths", w})
	}
	for _, l := range r.Weights.Layers {
		fields = append(fields, field{"weights.layers", l.Bits})
	}
	for _, field := range fields {
		switch field.value.(type) {
		case nil, int64, uint64:
		default:
			return fmt.Errorf("%s: found %v, expected a whole number", field.key, field.value)
		}
	}
	return nil
}

// SetBits overrides the recipe's bits.
func (r *Recipe) SetBits(b quant.Bits) error {
	if err := b.Check(); err != nil {
		return err
	}
	r.Bits, r.BitsText = b, b.String()
	return nil
}

func (r *Recipe) check() error {
	bits, err := quant.ParseBits(r.BitsText)
	if err != nil {
		return err
	}
	r.Bits = bits
	oneOf := func(key, value string, can ...string) {
		if err == nil && !slices.Contains(can, value) {
			can = slices.DeleteFunc(slices.Clone(can), func(s string) bool { return s == "" }) // to leave it out is not to name it
			err = fmt.Errorf("%s: found %q, expected one of %s", key, value, strings.Join(can, ", "))
		}
	}
	within := func(key string, value, lo, hi float64) {
		if err == nil && !(value >= lo && value <= hi) {
			err = fmt.Errorf("%s: found %v, expected %v to %v", key, value, lo, hi)
		}
	}
	if r.Name == "" {
		return errors.New("name: missing")
	}
	r.checkNames(oneOf)
	for _, l := range r.Weights.Layers {
		if l.Bits != 16 && !slices.Contains(quant.WeightBits, l.Bits) && err == nil {
			err = fmt.Errorf("weights.layers: %s has %d bits, expected one of %v, or 16 for none", l.Match, l.Bits, quant.WeightBits)
		}
		if _, e := path.Match(l.Match, ""); (e != nil || l.Match == "") && err == nil {
			err = fmt.Errorf("weights.layers: match %q is not a pattern; expected such as down_proj or layers.0.*", l.Match)
		}
	}
	if err == nil {
		err = r.Weights.checkMix()
	}
	if o := r.Rotate; o != nil {
		if o.Cache == balanced && o.Learn != nil && err == nil {
			err = fmt.Errorf("rotate.cache: found %s with rotate.learn, expected hadamard: they are learned before there are keys to balance", balanced)
		}
	}
	if r.Solve.Correct != "" && r.Solve.Method != "gptq" && err == nil {
		err = fmt.Errorf("solve.correct: found %q with method %s, expected gptq, whose Hessian it uses", r.Solve.Correct, r.Solve.Method)
	}
	if r.Solve.Correct != "" && r.Calibration.Propagate != "runtime" && err == nil {
		err = fmt.Errorf("calibration.propagate: found %q, expected runtime with solve.correct: what is corrected is what the runtime does", r.Calibration.Propagate)
	}
	oneOf("weights.group", fmt.Sprint(r.Weights.Group), "0", "32", "64", "128")
	within("solve.damp", r.Solve.Damp, 0, 1)
	within("solve.sweeps", float64(r.Solve.Sweeps), 0, 100)
	if r.Solve.Refines() && r.Solve.Method != "gptq" && err == nil {
		err = fmt.Errorf("solve.sweeps, solve.rescale: found with method %s, expected gptq, whose Hessian they use", r.Solve.Method)
	}
	for key, t := range map[string]Table{"head": r.Head, "embedding": r.Embedding} {
		oneOf(key+".bits", fmt.Sprint(t.Bits), "2", "3", "4", "5", "6", "7", "8", "16")
		oneOf(key+".group", fmt.Sprint(t.Group), "0", "32", "64", "128")
	}
	within("activations.clip", r.Activations.Clip, 0.1, 1)
	oneOf("activations.group", fmt.Sprint(r.Activations.Group), "0", "16", "32", "64", "128")
	within("calibration.samples", float64(r.Calibration.Samples), 1, 1e6)
	within("calibration.tokens", float64(r.Calibration.Tokens), 2, 1<<20)
	for _, t := range []struct {
		key string
		*Tune
	}{{"tune", r.Tune}, {"distil", r.Distil}} {
		if t.Tune == nil {
			continue
		}
		if e := r.checkTune(t.key, t.Tune, within); e != nil && err == nil {
			err = e
		}
	}
	if e := r.checkLearn(within, oneOf); e != nil && err == nil {
		err = e
	}
	if r.Solve.Method == "gptq" && r.Solve.Damp == 0 && err == nil {
		err = errors.New("solve.damp: missing; GPTQ needs one, usually 0.01")
	}
	if r.Solve.DynamicGroups && err == nil {
		err = r.checkDynamic()
	}
	if r.Smooth != nil && err == nil {
		err = r.checkSmooth()
	}
	if b := r.Branch; b != nil && err == nil {
		if err = b.checkStored(); err != nil {
			return err
		}
		if b.Stored() && b.Axis != spectrum.OutputChannel.String() && err == nil {
			err = fmt.Errorf("branch.axis: found %q, expected output with basis %s", b.Axis, b.Basis)
		}
		if b.Stored() && (b.Truncate > 0 || b.Literal || b.Temperature > 0) && err == nil {
			err = fmt.Errorf("branch: truncate, literal and temperature are of the Fourier bases, found with basis %s; leave them out", b.Basis)
		}
		if b.Remove && !b.Stored() && err == nil {
			err = fmt.Errorf("branch.remove: found with basis %s, expected klt, svd or columns", b.Basis)
		}
		if _, e := spectrum.ParseAxis(b.Axis); e != nil && err == nil {
			err = fmt.Errorf("branch.axis: %w", e)
		}
		if !b.Stored() {
			oneOf("branch.importance", string(b.Importance), importances()...)
		}
		within("branch.components", b.Components, 0, 1<<16)
		within("branch.overhead", b.Overhead, 0, 16)
		within("branch.temperature", b.Temperature, 0, 100)
		within("branch.truncate", b.Truncate, 0, 0.5)
		if b.Truncate > 0 && b.Axis == spectrum.InputChannel.String() && err == nil {
			err = fmt.Errorf("branch.truncate: found %v, expected 0 on axis input; only the output axis has a projection to cut", b.Truncate)
		}
	}
	return err
}

// NeedsCalibration says whether any stage looks at activations.
func (r *Recipe) NeedsCalibration() bool {
	return r.Smooth != nil || r.Fitting() || r.Spins() || r.Branch != nil || r.Solve.Method == "gptq" ||
		r.Weights.Clip == quant.ClipHessian || r.Weights.Clip == ClipAWQ || r.Weights.Average > 0 || r.CacheTransform() == balanced
}

// What solve.correct aims at.
const (
	CorrectOutputs = "outputs"
	CorrectStream  = "stream"
)

// LayerBits are the bits of the layer's weights; 16: it is not quantized.
func (r *Recipe) LayerBits(name string) int {
	bits := r.Bits.Weights
	for _, l := range r.Weights.Layers {
		if matches(l.Match, name) {
			bits = l.Bits
		}
	}
	return bits
}

// Named says whether the recipe sets the layer's bits by name.
func (w *Weights) Named(name string) bool {
	return slices.ContainsFunc(w.Layers, func(l LayerBits) bool { return matches(l.Match, name) })
}

// matches says whether the pattern fits the name's end: its last parts, as many
// as the pattern has.
func matches(pattern, name string) bool {
	parts := strings.Split(name, ".")
	for from := range parts {
		if ok, _ := path.Match(pattern, strings.Join(parts[from:], ".")); ok {
			return true
		}
	}
	return false
}

// NeedsHessian says whether any stage looks at the second moments of a layer's input.
func (r *Recipe) NeedsHessian() bool {
	return r.Solve.Method == "gptq" || r.Weights.Clip == quant.ClipHessian ||
		r.Branch.Stored() && (r.Branch.Basis != BasisSVD || r.Branch.Whiten)
}

// Fitting says whether the weights are fitted to the full-precision model's
// outputs, which takes its activations beside the quantized one's.
func (r *Recipe) Fitting() bool {
	return r.Solve.Correct != "" || r.Learn != nil || r.Tune != nil || r.Distil != nil
}

// Runtime says whether calibration sees activations and cache quantized.
func (r *Recipe) Runtime() bool { return r.Calibration.Propagate == "runtime" }

// Passes are the multiply-adds of all that is done to a layer's weights, as GPTQ's
// own: n²/2 a row.
func (s *Solve) Passes() float64 {
	passes := 1 + 2*float64(s.Sweeps)
	if s.Rescale {
		passes += 2 * float64(min(s.Sweeps, 1)+1)
	}
	return passes
}

// MixWidths are the widths that a mixture may use, ascending.
func (w *Weights) MixWidths() []int {
	widths := slices.Clone(w.Widths)
	if len(widths) == 0 {
		widths = slices.Clone(quant.WeightBits)
	}
	slices.Sort(widths)
	return slices.Compact(widths)
}
