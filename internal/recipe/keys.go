package recipe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/spectrum"
)

// Kind is the type of a key's value.
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

// Key describes one key of the recipe language: its possible values, its default and its
// effect.
type Key struct {
	Path     string   // section and name, such as "weights.group"
	Kind     Kind     //
	Values   []string // possible values of a word or a whole number; nil: see Min and Max
	Min, Max float64  // limits of a number, both included
	Default  string   // as written in YAML; "": the key is required in its section
	Doc      string   // its effect and unit, in a sentence or two
}

// Section describes the keys whose paths begin with its name.
type Section struct {
	Name     string
	Optional bool // leaving the section out leaves the stage out; otherwise the defaults hold
	Doc      string
}

// leftOut is the default of a key without which its stage is left out. Recipes cannot write
// it as a value.
const leftOut = "left out"

var (
	weightBits  = numbers(quant.WeightBits...)
	layerBits   = append(slices.Clone(weightBits), "16")
	groups      = numbers(0, 16, 32, 64, 128)
	scaleKinds  = []string{string(quant.ScalesHalves), string(quant.ScalesMultiples)}
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
		{"weights", false, "The grid to which the weights are rounded (with a branch, the residual weights)."},
		{"smooth", true, "Smoothing: activation channels that are much larger than the others are divided by a scale, and the weights that read them are multiplied by it."},
		{"rotate", true, "Rotations that spread large channels over all channels (QuaRot, arXiv 2404.00456). Their inverses are folded into the weights."},
		{"rotate.learn", true, "The two rotations that are folded into the weights, R1 and R2, are learned by gradient descent through the whole network (SpinQuant, arXiv 2405.16406)."},
		{"branch", true, "A part of each layer that is stored in 16 (or 8) bits and added to the quantized rest."},
		{"solve", false, "How the weights are rounded to their grid."},
		{"learn", true, "Scales, transforms and clips of the weights are learned block by block, before the weights are rounded."},
		{"tune", true, "Each quantized block is tuned by gradient descent to reproduce the output of the full-precision block, as far as windows that are not trained on (a tenth of them) gain from it."},
		{"distil", true, "After all blocks are quantized, they are tuned together to reproduce the predictions of the full-precision model, as far as windows that are not trained on (a tenth of them) gain from it."},
		{"activations", false, "The grid to which the inputs of the layers are rounded at run time."},
		{"head", false, "How the output matrix, with one row for each token of the vocabulary, is stored. Its grid is symmetric (with scales multiples, of 2 and 3 bits, centred)."},
		{"embedding", false, "The same for the embedding, which is rounded to nearest. If the model uses one matrix as both, the head section applies, unless rotate.residual makes the two differ."},
		{"calibration", false, "How much of the calibration text is used, and on which activations later blocks are calibrated."},
	}
}

// tuneKeys are the keys of the sections tune and distil.
func tuneKeys(section string) []Key {
	rate := func(name, doc string) Key {
		return Key{section + "." + name, Number, nil, 0, 1, "0", "Learning rate (Adam) for " + doc + "; 0: not tuned."}
	}
	return []Key{
		{section + ".epochs", Whole, nil, 1, 1000, "", "Passes over the calibration windows."},
		{section + ".batch", Whole, nil, 1, 1024, "", "Calibration windows per step."},
		rate("rounding", "an offset added to each weight before rounding, in steps of its grid"),
		rate("scales", "the scales of the weights, relative to each"),
		rate("branch", "the coefficients of the branch, relative to each"),
		rate("norms", "the gains of the norms, relative to each"),
	}
}

// tableKeys are the keys of the sections head and embedding.
func tableKeys(section string) []Key {
	return []Key{
		{section + ".bits", Whole, layerBits, 0, 0, "16", "Bits per weight; 16: not quantized."},
		{section + ".group", Whole, groups, 0, 0, "0", "Columns that share a scale; 0: the whole row. 16 with scales multiples only, 0 with halves only."},
		{section + ".scales", Word, scaleKinds, 0, 0, string(quant.ScalesHalves),
			"As weights.scales: halves: a 16-bit float for each group; multiples: one for each row, and for each group a multiple of it. For 2 to 7 bits (the grid of 2 and 3 bits is then centred). Where --size or fill choose 8 bits, the scales are halves."},
	}
}

// Keys is the recipe language: every key that a recipe may have. Parsing, defaults, checks,
// the help text and docs/RECIPES.md are all derived from it.
func Keys() []Key { return keys }

var keys = slices.Concat(
	[]Key{
		{"name", Text, nil, 0, 0, "", "Name of the recipe, in tables and in the manifest."},
		{"about", Text, nil, 0, 0, leftOut, "A description in one line."},
		{"bits", Text, nil, 0, 0, "", "Bits of weights (2 to 8), activations (4, 8 or 16) and KV cache (4, 8 or 16), such as 4-8-8. The flag --bits overrides it."},

		{"weights.group", Whole, groups, 0, 0, "0", "Adjacent inputs of a row that share a scale; 0: the whole row. 16 with scales multiples only, 0 with halves only."},
		{"weights.scales", Word, scaleKinds, 0, 0, string(quant.ScalesHalves),
			"halves: a 16-bit float for each group; multiples: one for each row, and for each group a multiple of it, so that groups can be smaller, and products need no scales of groups. Multiples are 1 to 16 and take 4 bits with weights of 2, 3 and 4 bits; with 5, 6 and 7 bits they are 1 to 8, 4 and 2, and take 3, 2 and 1. zero has to be symmetric; weights of 2 and 3 bits are centred nonetheless. Weights of 8 bits have no multiples, and activations of 4 bits gain nothing from them: where --bits asks for either, all layers have halves, zero is centred, and groups have 32 inputs at least. A size (--size, fill) takes halves for all layers, then with up to 8 bits, where less loss is expected of them. 8 bits in layers or widths are an error beside multiples; layers of 16 bits have no scales. The embedding and the output matrix have keys of their own."},
		{"weights.clip", Word, []string{string(quant.ClipNone), string(quant.ClipMSE), string(quant.ClipHessian), string(ClipAWQ)}, 0, 0, string(quant.ClipNone),
			"Where the grid of a group ends; weights beyond it are clipped. none: at the largest weight; mse: where the squared error of the weights is smallest; hessian: the same, with each input's errors weighted by E[x²]; awq: AWQ's search, by the output error of each group, in all layers except q and k."},
		{"weights.zero", Word, []string{string(quant.ZeroSymmetric), string(quant.ZeroCentred), string(quant.ZeroAsymmetric)}, 0, 0, string(quant.ZeroSymmetric),
			"symmetric: levels −2^(b−1)…2^(b−1)−1, including 0; centred: 2^b levels at ±½, ±1½, …, without 0; asymmetric: a zero point is stored with each scale."},
		{"weights.layers", LayerList, layerBits, 0, 0, leftOut, "Layers with another number of bits, as a list of {match: PATTERN, bits: N}. The pattern (syntax of Go's path.Match) is matched against the end of the layer's name: down_proj, layers.0.*, *. The last match applies; 16: the layer is not quantized."},
		{"weights.average", Number, nil, 0, 8, "0", "If not 0, each layer not matched by weights.layers gets its own number of bits, so that these layers' weights have at most this many on average, scales not counted; the loss that is expected of grids and kinds of layers decides, as with fill. The first number of bits, and of --bits, is not used then. An error with fill or --size, which choose the bits of the layers too."},
		{"weights.widths", WholeList, weightBits, 0, 0, leftOut, "The numbers of bits that weights.average chooses from; left out: all that scales can have."},
		{"weights.fill", Word, []string{FillQ4}, 0, 0, leftOut, "q4_0: the bits of the weights are raised, layer by layer, and the groups narrowed as long as the whole artefact is no larger than llama.cpp's Q4_0 file of the same model, by the loss that is expected of grids and kinds of layers; where head.method is gptq, the bits of the embedding and the output matrix are chosen too, 4 or more. The flag --size does the same for a size of one's own and overrides it, as --bits does."},

		{"smooth.method", Word, []string{SmoothAlpha, SmoothAWQ}, 0, 0, SmoothAlpha, "alpha: SmoothQuant's scales, with a strength α; awq: AWQ's scales, powers of the mean activation."},
		{"smooth.alpha", Strengths, nil, 0, 1, leftOut, "Strengths to try; each input uses the one with the smallest output error. off: no smoothing (0 still divides by the largest weights)."},
		{"smooth.inputs", WordList, inputs, 0, 0, leftOut, "Which inputs of a block are smoothed; left out: all."},

		{"rotate.residual", Word, []string{hadamard}, 0, 0, leftOut, "R1, of the residual stream, folded into the weights."},
		{"rotate.heads", Word, []string{hadamard}, 0, 0, leftOut, "R2, of each head of the values, folded into the weights."},
		{"rotate.cache", Word, []string{hadamard, balanced}, 0, 0, leftOut, "R3, of each head of queries and keys after RoPE, at run time. balanced: the mean of the keys is subtracted and their variance balanced against that of the queries; blocks in which this is not worth its bits use hadamard; a 16-bit cache is not transformed."},
		{"rotate.attn", Word, []string{hadamard}, 0, 0, leftOut, "The input of q, k and v, at run time."},
		{"rotate.o", Word, []string{hadamard, "heads"}, 0, 0, leftOut, "The input of o, at run time. heads: only across heads, for use with rotate.heads, which rotates within each head."},
		{"rotate.mlp", Word, []string{hadamard}, 0, 0, leftOut, "The input of gate and up, at run time."},
		{"rotate.down", Word, []string{hadamard}, 0, 0, leftOut, "R4, the input of down, at run time."},
		{"rotate.seed", Whole, nil, 0, maxSeed, "0", "Seed of the random signs of the rotations."},
		{"rotate.learn.steps", Whole, nil, 1, 1e5, "", "Steps of gradient descent."},
		{"rotate.learn.rate", Number, nil, 0, 100, "0", "Learning rate of the first step; it falls to 0 along a cosine."},
		{"rotate.learn.windows", Whole, nil, 1, 1024, "", "Calibration windows per step."},

		{"branch.basis", Word, []string{"dft", "dct", BasisKLT, BasisSVD, BasisColumns}, 0, 0, "", "dft, dct: Fourier and cosine bases, which are not stored; klt: leading eigenvectors of the input's second moments; svd: leading singular vectors of the weights; columns: the channels with the most energy. The last three (stored bases) are stored for each input."},
		{"branch.axis", Word, []string{spectrum.OutputChannel.String(), spectrum.InputChannel.String()}, 0, 0, "", "The channels that are transformed. output: each row of the weights; input: each column."},
		{"branch.components", Number, nil, 0, 1 << 16, "0", "Components (for stored bases: basis vectors) that a channel keeps on average."},
		{"branch.share", Number, nil, 0, 1, "0", "Stored bases: the number of vectors as a fraction of the input's width, instead of components."},
		{"branch.overhead", Number, nil, 0, 16, "0", "Largest size of the branch in bits per weight of the layer; narrow layers keep fewer components. 0: no limit."},
		{"branch.importance", Word, importances, 0, 0, leftOut, "dft and dct: the measure of a channel's importance; important channels keep more components."},
		{"branch.temperature", Number, nil, 0, 100, "0", "dft and dct: temperature τ of the softmax over importances; 0: every channel keeps the same number."},
		{"branch.literal", Flag, nil, 0, 0, "false", "dft and dct: use equation 13 of the paper as printed."},
		{"branch.truncate", Number, nil, 0, 0.5, "0", "dft and dct: fraction of the energy that the runtime may drop from a token's projection."},
		{"branch.remove", Flag, nil, 0, 0, "false", "Stored bases: the part of the activations that the branch carries is removed from them before they are rounded."},
		{"branch.bits", Whole, numbers(0, 8, 16), 0, 0, "0", "Stored bases: bits of each number of the basis and the coefficients; 0 means 16."},
		{"branch.inputs", WordList, inputs, 0, 0, leftOut, "Stored bases: which inputs of a block have a branch; left out: all."},
		{"branch.rounds", Whole, nil, 0, 1000, "0", "svd: largest number of rounds of SVDQuant's iteration, which fits the branch to the rounding error."},
		{"branch.whiten", Flag, nil, 0, 0, "false", "svd: the directions of the input are weighted by their magnitude."},

		{"solve.method", Word, []string{"rtn", "gptq"}, 0, 0, "", "rtn: each weight is rounded to the nearest level; gptq: column by column, with later columns compensating the error (arXiv 2210.17323)."},
		{"solve.damp", Number, nil, 0, 1, "0", "gptq: what is added to the Hessian's diagonal, relative to its mean; usually 0.01."},
		{"solve.act-order", Flag, nil, 0, 0, "false", "gptq: columns with the largest diagonal of the Hessian are rounded first."},
		{"solve.dynamic-groups", Flag, nil, 0, 0, "false", "gptq: each group's scale is computed when its first column is reached, from the weights as GPTQ has changed them."},
		{"solve.correct", Word, []string{CorrectOutputs, CorrectStream, CorrectJudged}, 0, 0, leftOut, "gptq: the weights are first fitted to the activations of the quantized model. outputs: to reproduce the full-precision layer's output (GPTAQ, arXiv 2504.02692); stream: o and down also compensate the error of the residual stream; judged: as stream, each layer as strongly (0 to 1) as helps a twelfth of the windows, at most 2,048 tokens, that are left out of the fit; not in mixtures of experts, nor with fewer than 10 calibration tokens for each input channel of the widest layer (32 where activations have fewer than 8 bits)."},
		{"solve.sweeps", Whole, nil, 0, 100, "0", "gptq: passes of coordinate descent afterwards (QuantEase, arXiv 2309.01885)."},
		{"solve.rescale", Flag, nil, 0, 0, "false", "gptq: scales are fitted to the codes, before the first sweep and after the last."},

		{"learn.method", Word, []string{LearnOmniQuant, LearnFlatQuant}, 0, 0, "", "omniquant: smoothing scales and clips of the weights are learned (arXiv 2308.13137); flatquant: also a transform of each input, a Kronecker product of two matrices (arXiv 2410.09426)."},
		{"learn.epochs", Whole, nil, 1, 1000, "", "Passes over the calibration windows."},
		{"learn.batch", Whole, nil, 1, 1024, "", "Calibration windows per step."},
		{"learn.rate", Number, nil, 0, 1, "0", "Learning rate (AdamW) for scales (their logarithms) and transforms."},
		{"learn.clip-rate", Number, nil, 0, 1, "0", "Learning rate (AdamW) for the clips; 0: no clipping."},
		{"learn.input", Word, []string{InputQuantized, InputFull}, 0, 0, InputQuantized, "What a block is given while it learns: the quantized model's activations, or the full-precision model's."},
	},
	tuneKeys("tune"), tuneKeys("distil"),
	[]Key{
		{"activations.clip", Number, nil, 0.1, 1, "1", "Fraction of the range of a token (or group) that the grid covers."},
		{"activations.group", Whole, append([]string{"0"}, numbers(ActGroups...)...), 0, 0, "0", "Activations of 4 bits: adjacent channels that share a scale; 0: the whole token. It has no effect at 8 and 16 bits."},
	},
	tableKeys("head"), tableKeys("embedding"),
	[]Key{
		{"head.method", Word, []string{"rtn", "gptq"}, 0, 0, "rtn", "rtn: rounded to nearest; gptq: by GPTQ on the last block's output for the calibration text, with solve.damp and solve.act-order."},
		{"head.transform", Word, []string{hadamard}, 0, 0, leftOut, "A Hadamard transform of the matrix's input at run time, with the inverse folded into the matrix, so that a few large channels do not determine the grid (8 bits) to which that input is rounded."},

		{"calibration.samples", Whole, nil, 1, maxWindows, "256", "Largest number of windows taken from the text."},
		{"calibration.tokens", Whole, nil, 2, maxTokens, "2048", "Tokens per window; at most the model's context."},
		{"calibration.statistics", Whole, nil, 0, maxWindows, "0", "Windows, evenly spaced, of which the statistics are taken that smoothing, the balance of keys and the report's errors need, by a pass of their own through the block before it is quantized; Hessians are of all. 0: all."},
		{"calibration.seed", Whole, nil, 0, maxSeed, "0", "Seed for choosing the windows if the text has more."},
		{"calibration.propagate", Word, []string{"quantized", "full", "runtime"}, 0, 0, "quantized", "How the blocks before a block are computed during its calibration. quantized: with quantized weights; full: in full precision; runtime: with quantized weights, activations and cache, as at run time."},
	},
)

// byPath and sections index keys and sections by path and name.
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

// section is the part of the path before the key's name.
func (k *Key) section() string {
	if i := strings.LastIndexByte(k.Path, '.'); i >= 0 {
		return k.Path[:i]
	}
	return ""
}

// name is the key's name within its section.
func (k *Key) name() string { return k.Path[strings.LastIndexByte(k.Path, '.')+1:] }

// Range describes the possible values of the key.
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
