package recipe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/spectrum"
)

// Kind is what sort of value a key takes.
type Kind int

const (
	Text      Kind = iota // any text
	Word                  // one of Key.Values
	Number                // a number from Key.Min to Key.Max
	Whole                 // a whole number: one of Key.Values if there are any, else from Key.Min to Key.Max
	Flag                  // true or false
	WordList              // a list of words, each one of Key.Values
	WholeList             // a list of whole numbers, each one of Key.Values
	Strengths             // "off" and numbers from Key.Min to Key.Max, one of them or a list
	LayerList             // a list of {match: PATTERN, bits: N}, N being one of Key.Values
)

// Key describes one key of the recipe language: what it may be, what it is where
// a recipe leaves it out, and what it does.
type Key struct {
	Path     string   // section and name, such as "weights.group"
	Kind     Kind     //
	Values   []string // what a word or a whole number may be; nil: see Min and Max
	Min, Max float64  // limits of a number, both included
	Default  string   // as written in YAML; "": the key has to be given where its section is
	Doc      string   // what it does, in a sentence or two, with its unit
}

// Section describes the keys whose paths begin with its name.
type Section struct {
	Name     string
	Optional bool // a recipe that leaves it out leaves the stage out; otherwise the defaults hold
	Doc      string
}

// leftOut is the default of a key whose absence leaves its part out. It is not a
// value that a recipe may write.
const leftOut = "left out"

var (
	weightBits  = numbers(quant.WeightBits...)
	layerBits   = append(slices.Clone(weightBits), "16")
	groups      = numbers(0, 32, 64, 128)
	inputs      = inputNames[:]
	maxWindows  = 1e6
	maxTokens   = float64(1 << 20)
	maxSeed     = float64(1<<64 - 1)
	importances = func() (names []string) {
		for _, k := range spectrum.Importances() {
			names = append(names, string(k))
		}
		return names
	}()
)

func numbers(list ...int) (out []string) {
	for _, n := range list {
		out = append(out, strconv.Itoa(n))
	}
	return out
}

// Sections lists the sections in the order of the documentation.
func Sections() []Section {
	return []Section{
		{"", false, "What every recipe has."},
		{"weights", false, "The grid to which the weights are rounded, or what the branch leaves of them."},
		{"smooth", true, "Smoothing: channels of the activations that are much larger than the others are divided by a scale, and the weights that read them multiplied by it."},
		{"rotate", true, "Rotations that spread large channels over all channels (QuaRot, arXiv 2404.00456), each undone in the weights."},
		{"rotate.learn", true, "Learns the two rotations that are folded into the weights, R1 and R2, through the whole network (SpinQuant, arXiv 2405.16406)."},
		{"branch", true, "The part of each layer that stays in 16 (or 8) bits, beside the quantized rest."},
		{"solve", false, "How the weights are rounded to their grid."},
		{"learn", true, "Scales, transforms and the ends of the grids are learned block by block, before the weights are rounded."},
		{"tune", true, "Each quantized block is tuned by gradients to give what the full-precision block gives."},
		{"distil", true, "After all blocks are quantized they are tuned together, to predict what the full-precision model predicts."},
		{"activations", false, "The grid to which the inputs of the layers are rounded at run time."},
		{"head", false, "How the output matrix is stored, which has one row for each token of the vocabulary, on a symmetric grid."},
		{"embedding", false, "The same for the embedding, which is rounded to nearest. Where it is also the output matrix, head decides, unless a rotation of the residual stream makes two of them."},
		{"calibration", false, "Which text the statistics come from, and what the layers see of it."},
	}
}

// tuneKeys are the keys of tune and of distil.
func tuneKeys(section string) []Key {
	rate := func(name, doc string) Key {
		return Key{section + "." + name, Number, nil, 0, 1, "0", "Adam's rate for " + doc + "; 0 leaves them as they are."}
	}
	return []Key{
		{section + ".epochs", Whole, nil, 1, 1000, "", "Passes over the calibration windows."},
		{section + ".batch", Whole, nil, 1, 1024, "", "Calibration windows in a step."},
		rate("rounding", "what is added to each weight before it is rounded, in steps of its grid"),
		rate("scales", "the scales of the weights, as a share of each"),
		rate("branch", "the coefficients of the branch, as a share of each"),
		rate("norms", "the gains of the norms, as a share of each"),
	}
}

// tableKeys are the keys of head and of embedding.
func tableKeys(section string) []Key {
	return []Key{
		{section + ".bits", Whole, layerBits, 0, 0, "16", "Bits of a weight; 16: not quantized."},
		{section + ".group", Whole, groups, 0, 0, "0", "Columns that share a scale; 0: the whole row."},
	}
}

// Keys is the recipe language: every key that a recipe may have. Parsing, defaults,
// checks, the help text and docs/RECIPES.md are all made from it.
func Keys() []Key { return keys }

var keys = slices.Concat(
	[]Key{
		{"name", Text, nil, 0, 0, "", "Name of the recipe, in tables and in the manifest."},
		{"about", Text, nil, 0, 0, leftOut, "What it is, in one line."},
		{"bits", Text, nil, 0, 0, "", "Bits of weights, activations and KV cache, such as 4-8-8: 2 to 8, 4 or 8 or 16, 4 or 8 or 16. The flag --bits overrides it."},

		{"weights.group", Whole, groups, 0, 0, "0", "Inputs of a row that share a scale; 0: the whole row."},
		{"weights.clip", Word, []string{string(quant.ClipNone), string(quant.ClipMSE), string(quant.ClipHessian), string(ClipAWQ)}, 0, 0, string(quant.ClipNone),
			"Where the grid ends. none: at the largest weight; mse: where the squared error of the weights is least; hessian: where that error weighted by E[x²] of each input is; awq: AWQ's search by the output of each group, for all layers but q and k."},
		{"weights.zero", Word, []string{string(quant.ZeroSymmetric), string(quant.ZeroCentred), string(quant.ZeroAsymmetric)}, 0, 0, string(quant.ZeroSymmetric),
			"symmetric: levels −2^(b−1)…2^(b−1)−1, one of which is 0; centred: 2^b levels evenly about 0, which is none of them; asymmetric: a zero point is stored with each scale."},
		{"weights.layers", LayerList, layerBits, 0, 0, leftOut, "Layers with another number of bits, as a list of {match: PATTERN, bits: N}. The pattern (as of Go's path.Match) is held against the end of the layer's name: down_proj, layers.0.*, *. The last that matches counts; 16: the layer is not quantized."},
		{"weights.average", Number, nil, 0, 8, "0", "If not 0, the bits of the layers that weights.layers leaves alone are chosen so that their mean is at most this, by measured error."},
		{"weights.widths", WholeList, weightBits, 0, 0, leftOut, "The numbers of bits that weights.average may choose from; left out: all."},
		{"weights.fill", Word, []string{FillQ4}, 0, 0, leftOut, "q4_0: the bits of the weights are raised, and groups narrowed, as far as the whole artefact stays no larger than llama.cpp's Q4_0 file of the same model. Not where --bits or --size say what is wanted."},

		{"smooth.method", Word, []string{SmoothAlpha, SmoothAWQ}, 0, 0, SmoothAlpha, "alpha: SmoothQuant's scales with a strength α; awq: AWQ's, powers of the mean activation."},
		{"smooth.alpha", Strengths, nil, 0, 1, leftOut, "Strengths to try; of several, each input takes the one with the least output error. off: no smoothing (0 still divides by the largest weights)."},
		{"smooth.inputs", WordList, inputs, 0, 0, leftOut, "Which inputs of a block are smoothed; left out: all."},

		{"rotate.residual", Word, []string{hadamard}, 0, 0, leftOut, "R1, of the residual stream, folded into the weights."},
		{"rotate.heads", Word, []string{hadamard}, 0, 0, leftOut, "R2, of each head of the values, folded into the weights."},
		{"rotate.cache", Word, []string{hadamard, balanced}, 0, 0, leftOut, "R3, of each head of queries and keys after RoPE, at run time. balanced: keys less their mean, with their spread balanced against the queries'; where that does not pay, hadamard; for a cache of 16 bits, nothing."},
		{"rotate.attn", Word, []string{hadamard}, 0, 0, leftOut, "The input of q, k and v, at run time."},
		{"rotate.o", Word, []string{hadamard, "heads"}, 0, 0, leftOut, "The input of o, at run time. heads: only across heads, where rotate.heads already rotates within each head."},
		{"rotate.mlp", Word, []string{hadamard}, 0, 0, leftOut, "The input of gate and up, at run time."},
		{"rotate.down", Word, []string{hadamard}, 0, 0, leftOut, "R4, the input of down, at run time."},
		{"rotate.seed", Whole, nil, 0, maxSeed, "0", "Seed of the random signs of the rotations."},
		{"rotate.learn.steps", Whole, nil, 1, 1e5, "", "Steps of descent."},
		{"rotate.learn.rate", Number, nil, 0, 100, "0", "Rate of the first step, falling to 0 along a cosine."},
		{"rotate.learn.windows", Whole, nil, 1, 1024, "", "Calibration windows in a step."},

		{"branch.basis", Word, []string{"dft", "dct", BasisKLT, BasisSVD, BasisColumns}, 0, 0, "", "dft, dct: Fourier and cosine bases, which need no storing; klt: leading eigenvectors of the input's second moments; svd: leading singular vectors of the weights; columns: the channels with the most energy. The last three are stored with each input."},
		{"branch.axis", Word, []string{spectrum.OutputChannel.String(), spectrum.InputChannel.String()}, 0, 0, "", "Along which channels the spectrum is taken. output: that of each row of the weights."},
		{"branch.components", Number, nil, 0, 1 << 16, "0", "Components, or basis vectors, that a channel keeps on average."},
		{"branch.share", Number, nil, 0, 1, "0", "Of stored bases, instead of components: vectors as a share of the input's width."},
		{"branch.overhead", Number, nil, 0, 16, "0", "At most this many bits for each weight of the layer: narrow layers keep fewer components. 0: no limit."},
		{"branch.importance", Word, importances, 0, 0, leftOut, "Of dft and dct: what makes a channel important, and so gives it more components."},
		{"branch.temperature", Number, nil, 0, 100, "0", "Of dft and dct: τ of the softmax over importances; 0: every channel keeps as many."},
		{"branch.literal", Flag, nil, 0, 0, "false", "Of dft and dct: equation 13 of the paper as printed."},
		{"branch.truncate", Number, nil, 0, 0.5, "0", "Of dft and dct: share of the energy that the runtime may leave out of a token's projection."},
		{"branch.remove", Flag, nil, 0, 0, "false", "Of stored bases: what the branch carries is taken out of the activations before they are rounded."},
		{"branch.bits", Whole, numbers(0, 8, 16), 0, 0, "0", "Of stored bases: bits of a number of the basis and the coefficients; 0 means 16."},
		{"branch.inputs", WordList, inputs, 0, 0, leftOut, "Of stored bases: which inputs of a block have a branch; left out: all."},
		{"branch.rounds", Whole, nil, 0, 1000, "0", "Of svd: at most this many rounds of SVDQuant's iteration, which fits the branch to what rounding leaves."},
		{"branch.whiten", Flag, nil, 0, 0, "false", "Of svd: directions of the input count as much as they are large."},

		{"solve.method", Word, []string{"rtn", "gptq"}, 0, 0, "", "rtn: each weight to the nearest level; gptq: column by column, later columns taking up the error (arXiv 2210.17323)."},
		{"solve.damp", Number, nil, 0, 1, "0", "Of gptq: share of the Hessian's mean diagonal that is added to the diagonal. Usually 0.01."},
		{"solve.act-order", Flag, nil, 0, 0, "false", "Of gptq: columns with the largest diagonal first."},
		{"solve.dynamic-groups", Flag, nil, 0, 0, "false", "Of gptq: each group's scale is taken from the weights as GPTQ has changed them by then."},
		{"solve.correct", Word, []string{CorrectOutputs, CorrectStream}, 0, 0, leftOut, "Of gptq: weights are first fitted to the activations they will be given. outputs: to give the full-precision layer's output (GPTAQ, arXiv 2504.02692); stream: o and down also take back the error of the residual stream."},
		{"solve.sweeps", Whole, nil, 0, 100, "0", "Of gptq: passes of coordinate descent after it (QuantEase, arXiv 2309.01885)."},
		{"solve.rescale", Flag, nil, 0, 0, "false", "Of gptq: scales are fitted to the codes, before the first sweep and after the last."},

		{"learn.method", Word, []string{LearnOmniQuant, LearnFlatQuant}, 0, 0, "", "omniquant: smoothing scales and the ends of the grids (arXiv 2308.13137); flatquant: Kronecker products of two matrices as well (arXiv 2410.09426)."},
		{"learn.epochs", Whole, nil, 1, 1000, "", "Passes over the calibration windows."},
		{"learn.batch", Whole, nil, 1, 1024, "", "Calibration windows in a step."},
		{"learn.rate", Number, nil, 0, 1, "0", "AdamW's rate for scales (their logarithms) and transforms."},
		{"learn.clip-rate", Number, nil, 0, 1, "0", "AdamW's rate for the ends of the grids; 0: they stay at the largest weight."},
		{"learn.input", Word, []string{InputQuantized, InputFull}, 0, 0, InputQuantized, "What a block is given while it learns: the quantized model's activations, or the full-precision model's."},
	},
	tuneKeys("tune"), tuneKeys("distil"),
	[]Key{
		{"activations.clip", Number, nil, 0.1, 1, "1", "Share of the range of a token (or group) that the grid covers."},
		{"activations.group", Whole, append([]string{"0"}, numbers(ActGroups...)...), 0, 0, "0", "At 4 bits: channels that share a scale; 0: the whole token. At 8 and 16 bits it has no effect."},
	},
	tableKeys("head"), tableKeys("embedding"),
	[]Key{
		{"head.method", Word, []string{"rtn", "gptq"}, 0, 0, "rtn", "rtn: rounded to nearest; gptq: on what the last block gives for the calibration text, with solve.damp and solve.act-order."},
		{"head.transform", Word, []string{hadamard}, 0, 0, leftOut, "A Hadamard transform of the matrix's input at run time, undone in the matrix, so that a few large channels do not set the grid to which that input is rounded (8 bits)."},

		{"calibration.samples", Whole, nil, 1, maxWindows, "256", "Windows taken from the text, at most."},
		{"calibration.tokens", Whole, nil, 2, maxTokens, "2048", "Tokens of a window, at most the model's context."},
		{"calibration.seed", Whole, nil, 0, maxSeed, "0", "Chooses the windows where the text has more."},
		{"calibration.propagate", Word, []string{"quantized", "full", "runtime"}, 0, 0, "quantized", "What a block's calibration sees of the blocks before it. quantized: their quantized weights; full: full precision; runtime: quantized weights, activations and cache, as at run time."},
	},
)

// byPath finds keys; sections finds sections.
var (
	byPath   = map[string]*Key{}
	sections = map[string]*Section{}
)

func init() {
	for i := range keys {
		byPath[keys[i].Path] = &keys[i]
	}
	for _, s := range Sections() {
		sections[s.Name] = &s
	}
}

// section is the part of the path before the key's own name.
func (k *Key) section() string {
	if i := strings.LastIndexByte(k.Path, '.'); i >= 0 {
		return k.Path[:i]
	}
	return ""
}

// name is the key's own name in its section.
func (k *Key) name() string { return k.Path[strings.LastIndexByte(k.Path, '.')+1:] }

// Range says what the key may be.
func (k *Key) Range() string {
	values := strings.Join(k.Values, ", ")
	switch k.Kind {
	case Text:
		return "text"
	case Flag:
		return "true or false"
	case Word:
		return values
	case WordList:
		return "list of " + values
	case WholeList:
		return "list of " + values
	case Strengths:
		return fmt.Sprintf("off, %v to %v, or a list of these", k.Min, k.Max)
	case LayerList:
		return "list of {match, bits}; bits: " + values
	}
	switch {
	case k.Values != nil:
		return values
	case k.Kind == Whole && k.Max == maxSeed:
		return "whole number, not negative"
	case k.Kind == Whole:
		return fmt.Sprintf("whole number, %.0f to %.0f", k.Min, k.Max)
	}
	return fmt.Sprintf("%v to %v", k.Min, k.Max)
}
