package pipeline

import (
	"runtime"
	"slices"
	"time"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/meter"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// kind is a kind of operation whose speed is measured by itself: one does not
// follow from another, on another processor least of all.
type kind int

const (
	products kind = iota // float32 matrix products, in operations; attention is counted here too
	moments              // second moments of activations (the Hessians), in operations
	wide                 // float64 matrix products (factors, eigenproblems), in operations
	elements             // activations rounded as at run time, and other elementwise work, in numbers
	integers             // products of quantized layers and activations, in operations
	stored               // bytes read, hashing the checkpoint, or written and read again: not measured, see storedRate
	kinds
)

// effort is how much of each kind a part of a job has to do.
type effort [kinds]float64

func (e *effort) add(other effort, times float64) {
	for k, n := range other {
		e[k] += n * times
	}
}

// operations are those of products.
func (e *effort) operations() float64 { return e[products] + e[moments] + e[wide] + e[integers] }

// phases are the parts of a job: what is done once before the blocks, what is done for each
// block, and what is done once after them.
type phases struct{ before, block, after effort }

// efforts counts what a job does: the passes of the calibration windows through the
// blocks, the second moments, their factors, rounding, learning, and the comparison
// at the end.
func efforts(c *checkpoint.Config, r *recipe.Recipe, windows, tokens int, read, artefact int64) phases {
	var p phases
	run := plannedPasses(r, windows)
	var weights float64
	for l := range llama.NumLinears {
		weights += p.addLayer(c, r, l, run, windows, tokens)
	}
	if windows > 0 {
		p.addInputs(c, r, run, float64(windows), float64(tokens))
	}
	learning := learningWork(c, r, windows, tokens)
	p.block[products] += learning.block
	p.before[products] += learning.before
	p.after[products] += learning.after
	// The comparison runs both models over a window, and reads what was written.
	vt := float64(verifyTokens(c))
	all := weights*float64(c.Layers) + float64(c.VocabSize)*float64(c.HiddenSize)
	p.after[products] += 2 * all * vt * 2
	p.before[stored] += float64(read) // hashed
	p.after[stored] += 2 * float64(artefact)
	p.block[stored] += float64(read) / float64(c.Layers)
	return p
}

// passes says how often the calibration windows run through the parts of a block.
type passes struct {
	to        [llama.NumInputs]float64 // through the layers that read an input
	later     kind                     // the kind of operation of those that are quantized already
	attention float64                  // through attention
	looked    float64                  // share of the windows that statistics are computed from
	reference float64                  // of the full-precision model beside it, through the whole block
}

// plannedPasses counts the passes of a recipe. The statistics need a pass to the input of down,
// of some of the windows. The second moments of an input need one from the input before it. What
// remains of the block after attention is one more, to the next block's input (see
// stage/windows.go). All but the first run through layers that are quantized already.
func plannedPasses(r *recipe.Recipe, windows int) passes {
	p := passes{to: [llama.NumInputs]float64{llama.AttnInput: 1, llama.OInput: 1, llama.MLPInput: 2, llama.DownInput: 1},
		later: products, attention: 1, looked: 1}
	if s := r.Calibration.Statistics; s > 0 {
		p.looked = min(1, float64(s)/float64(max(1, windows)))
	}
	if r.Runtime() && r.Bits.Activations < quant.Full.Activations {
		p.later = integers
	}
	if r.Tune != nil { // tuning has changed the block, so that this pass starts at its beginning
		p.to[llama.AttnInput], p.to[llama.OInput], p.attention = 2, 2, 2
	}
	if r.Solve.Correct != "" {
		p.to[llama.MLPInput]++ // to the input of down again, for the fit
		p.reference = 1
		p.attention++
	}
	return p
}

// addLayer adds the work on layer l of a block, and returns the number of its weights.
func (p *phases) addLayer(c *checkpoint.Config, r *recipe.Recipe, l llama.Which, run passes, windows, tokens int) (weights float64) {
	b := &p.block
	o, i := l.Shape(c)
	w, t := float64(o)*float64(i), float64(windows)*float64(tokens)
	n := min(float64(stage.SampleTokens), t)
	if c.Experts.Count > 0 && l >= llama.Gate { // all experts together, each with its tokens
		share := float64(c.Experts.Used) / float64(c.Experts.Count)
		w, t, n = w*float64(c.Experts.Count), t*share, min(n, t*share)
	}
	b[run.later] += 2 * w * t * run.to[l.Input()]
	if l.Input() != llama.DownInput {
		b[products] += 2 * w * t * run.looked
	}
	b[products] += 2 * w * t * run.reference
	if r.Solve.Correct != "" { // what the outputs lack, and its moments with the input
		lacks := w * t
		if r.Branch == nil && (l.Input() == llama.AttnInput || l.Input() == llama.MLPInput) {
			lacks = float64(i) * float64(i) * t / float64(len(l.Input().Readers()))
		} else {
			b[products] += 2 * lacks
		}
		b[moments] += 2 * lacks
		b[products] += 2 * w * float64(i) * 2 // the step
	}
	b[products] += 2 * w * n * 4 // outputs for the report: exact, rounded to nearest, quantized
	b[elements] += w * elementsAWeight(r)
	if r.Smooth != nil && r.Smooth.Method == recipe.SmoothAWQ {
		b[products] += float64(len(stage.AWQRatios())) * 2 * w * min(stage.AWQTokens, t)
		b[elements] += float64(len(stage.AWQRatios())) * w
	}
	if r.Smooth != nil && len(r.Smooth.Alpha) > 1 {
		b[products] += float64(len(r.Smooth.Alpha)) * 2 * w * n * 3
		b[elements] += float64(len(r.Smooth.Alpha)) * w
	}
	if windows > 0 && r.Solve.Method == "gptq" {
		solves := 1.0
		if r.Branch != nil && !r.Branch.Stored() {
			solves = 2 // once more without it, for the report
		}
		b[products] += solves * w * float64(i) * r.Solve.Passes()
	}
	return w
}

// addInputs adds attention and the work on the inputs of a block's layers.
func (p *phases) addInputs(c *checkpoint.Config, r *recipe.Recipe, run passes, windows, tokens float64) {
	b, t := &p.block, windows*tokens
	b[products] += 4 * float64(c.Heads*c.HeadDim) * t * tokens / 2 * (run.attention + run.looked)
	for i := range llama.NumInputs {
		d, t, copies := float64(i.Width(c)), t, 1.
		if c.Experts.Count > 0 && i >= llama.MLPInput {
			t, copies = t*float64(c.Experts.Used), float64(c.Experts.Count) // t of all together
		}
		b[elements] += t * d * (run.to[i] + run.looked) // rounding, transforming or normalizing, copying
		if r.NeedsHessian() {
			b[moments] += t * d * d
		}
		if r.Solve.Method == "gptq" {
			b[wide] += copies * factorWork(d)
		}
		if r.Branch.Stored() && r.Branch.Has(i) {
			b[wide] += copies * 4 * d * d * d
		}
	}
}

// factorWork is the work on a factor of order n: its 2/3·n³ operations, at the share of the
// speed of plain products that they reach, .61 at 14,336 and .24 at 576.
func factorWork(n float64) float64 { return 2. / 3 * n * n * (n + 1000) / 0.65 }

// elementsAWeight is how much of [elements] the work on one weight is: its scale, the search for
// its clip, packing. For multiples many more scales are tried, in smaller groups.
func elementsAWeight(r *recipe.Recipe) float64 {
	if r.Weights.Scales == quant.ScalesMultiples {
		return 40
	}
	return 12
}

// storedRate is taken for bytes that are hashed, or written to a disk and read
// again: what an ordinary disk does with the page cache before it. blockSeconds is
// the time that a block's file takes to reach the disk.
const (
	storedRate   = 400e6
	blockSeconds = 0.03
)

// speeds are how many operations of each kind a second does: a low quartile and the
// most of what was seen.
type speeds [kinds]struct{ least, most float64 }

// measureSpeeds runs each kind of operation for a moment, at the model's widths as
// far as they are not too large for that, in turns. Speeds are by the processors' time, where
// the system tells it, as if no other program ran: what those take is counted by [stretch].
func measureSpeeds(c *checkpoint.Config, pool *parallel.Pool, tokens int) speeds {
	run := samples(c, pool, tokens)
	for k := range stored {
		run[k].once() // memory touched, threads awake
	}
	var seen [kinds][]float64
	for range speedRounds {
		for k := range stored {
			seen[k] = append(seen[k], run[k].speed(pool.Threads()))
		}
	}
	s := speeds{}
	for k := range stored {
		slices.Sort(seen[k])
		// Not the very least: a moment in which others had the machine does not last.
		s[k].least, s[k].most = seen[k][speedRounds/4], seen[k][speedRounds-1]
	}
	s[stored].least, s[stored].most = storedRate, storedRate
	return s
}

// sample is an operation whose speed is measured: what it counts for, and how to do it once.
type sample struct {
	operations float64
	once       func()
}

// speed repeats the operation for a moment and returns the operations in a second.
func (s sample) speed(threads int) float64 {
	rounds, start, cpu := 0., time.Now(), meter.CPUSeconds()
	for rounds == 0 || time.Since(start) < speedTime {
		s.once()
		rounds++
	}
	took := time.Since(start).Seconds()
	if cpu = (meter.CPUSeconds() - cpu) / float64(min(threads, runtime.NumCPU())); cpu > 0 {
		took = min(took, cpu)
	}
	return rounds * s.operations / took
}

// samples are the operations of each kind, except [stored], at the model's widths.
func samples(c *checkpoint.Config, pool *parallel.Pool, tokens int) [kinds]sample {
	const widest = 2048
	if tokens == 0 {
		tokens = stage.SampleTokens
	}
	m, in, out := min(tokens, 256), min(c.HiddenSize, widest), min(c.IntermediateSize, widest)
	if m < 1 || in < 1 || out < 1 {
		m, in, out = 64, 64, 64
	}
	x, w, y := make([]float32, m*max(in, out)), make([]float32, out*in), make([]float32, m*out)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	for i := range w {
		w[i] = float32(i%5) - 2
	}
	h := make([]float64, in*in)
	n := min(in, 512)
	a, b := make([]float64, n*n), make([]float64, n*n)
	var acts, codes integer.Activations
	var gram integer.Gram
	matrix := codesFor(out, in)
	codes.Quantize(pool, x, in, m, in, integer.ActGrid{Bits: 8, Clip: 1}, matrix.Group)
	wideY := y
	if out < in { // it must have room for the elements
		wideY = make([]float32, m*in)
	}
	return [kinds]sample{
		products: {2 * float64(m) * float64(in) * float64(out), func() { float.MatMulNT(pool, y, out, x, in, w, in, m, out, in, false) }},
		moments:  {float64(m) * float64(in) * float64(in), func() { gram.AddLower(pool, h, in, x, in, m) }},
		wide:     {2 * float64(n) * float64(n) * float64(n), func() { float.MatMulNT64(pool, b, n, a, n, a, n, n, n, n, float.Set) }},
		integers: {2 * float64(m) * float64(in) * float64(out), func() { integer.Mul(pool, y, out, matrix, &codes) }},
		elements: {float64(m) * float64(in), func() {
			acts.Quantize(pool, x, in, m, in, integer.ActGrid{Bits: 8}, 0)
			acts.Dequantize(pool, wideY[:m*in], in)
		}},
	}
}

// codesFor is a matrix of codes of 4 bits, to measure products on.
func codesFor(out, in int) *integer.Matrix {
	const bits = 4
	scale := make([]float32, integer.ScaleLen(out, in, 0))
	m, err := integer.NewMatrix(bits, out, in, 0, make([]byte, integer.TileBytes(bits, out, in)), scale, nil)
	if err != nil {
		panic(err)
	}
	return m
}

// speedRounds rounds of speedTime for each kind take a sixth of a second.
const (
	speedRounds = 6
	speedTime   = 6 * time.Millisecond
)

// A job takes longer than its counted operations alone would: what is between them
// is not counted. The factors were set by a few jobs of seconds to minutes on a busy
// machine, and not yet checked on an idle one.
const (
	leastFactor = 0.9
	mostFactor  = 1.6
)

// seconds is the range of the time that an effort takes.
func (s *speeds) seconds(e effort) (least, most float64) {
	for k := range kinds {
		least += leastFactor * e[k] / s[k].most
		most += mostFactor * e[k] / s[k].least
	}
	return least, most
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// span is a range of seconds.
type span struct{ least, most float64 }

func (s span) middle() float64 { return (s.least + s.most) / 2 }
