package pipeline

import (
	"fmt"
	"slices"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// Plan is what a job will read, hold, compute and write, decided from
// config.json and the recipe before anything is loaded. It is pure data.
type Plan struct {
	Recipe  string
	Bits    string
	Threads int
	Blocks  int
	Windows int // of calibration; 0: none is needed
	Tokens  int // of a window
	Widths  []WidthShare

	Memory    []Item // what is held at the peak
	Peak      int64  // their sum, bytes
	MaxMemory int64  // the limit that was asked for; 0: none
	Spill     int64  // activations that go to a file instead of memory, bytes

	Read     int64 // bytes of weights read
	Artefact int64 // bytes written, about: those of the folder
	Disk     int64 // most disk space in use at once: artefact and spill

	Rotations []artefact.Rotation // how the recipe's rotations are constructed at these widths
	Fallbacks []artefact.Fallback // where the job will deviate from the recipe

	Schedule *Schedule // every step

	Choices *Choices // nil: not asked for

	Budget *artefact.TimeBudget // what the time limit left of the calibration; nil: no limit

	Work        float64       // floating-point operations
	Least, Most time.Duration // the range of the time it takes, at the speeds measured just now
	Load        float64       // share of each processor that other programs use at the moment; it widens the range

	config               *checkpoint.Config
	phases               phases
	before, block, after span // their times, set by [Plan.Measure]
}

// NewPlan plans a job with windows × tokens of calibration. embedBytes is the size of embedding and output
// matrix in the checkpoint, sideBytes that of the files that are copied. maxMemory (0: no limit) decides
// whether activations go to a file. If the rest alone exceeds the limit, the error says how
// much memory would be enough.
func NewPlan(c *checkpoint.Config, weightBytes, embedBytes, sideBytes int64, r *recipe.Recipe, threads, windows, tokens int, maxMemory int64) (*Plan, error) {
	p := &Plan{config: c, Recipe: r.Name, Bits: r.Bits.String(), Threads: threads, Blocks: c.Layers,
		Windows: windows, Tokens: tokens, MaxMemory: maxMemory, Read: weightBytes}
	if err := checkCompatible(c, r); err != nil {
		return nil, err
	}
	rotation, err := stage.NewRotation(r, c)
	if err != nil {
		return nil, err
	}
	p.Widths = widthShares(c, r)
	p.Rotations, p.Fallbacks = rotation.Names(), plannedFallbacks(c, r, rotation, windows, tokens)
	p.Schedule = newSchedule(c, r, windows)
	if err := p.planMemory(r, embedBytes); err != nil {
		return nil, err
	}
	p.Artefact = folderAbout(c, r, embedBytes, sideBytes)
	p.Disk = p.Artefact + p.Spill
	p.phases = efforts(c, r, windows, tokens, weightBytes, p.Artefact)
	total := p.phases.before
	total.add(p.phases.block, float64(c.Layers))
	total.add(p.phases.after, 1)
	p.Work = total.operations()
	return p, nil
}

// hold adds an item to the planned memory, unless it has no bytes.
func (p *Plan) hold(name string, bytes int64) {
	if bytes > 0 {
		p.Memory = append(p.Memory, Item{Name: name, Bytes: bytes})
		p.Peak += bytes
	}
}

// planMemory lists what is in memory at the peak of the job.
func (p *Plan) planMemory(r *recipe.Recipe, embedBytes int64) error {
	c := p.config
	blockWeights := stage.BlockWeights(c)
	quantized, _ := stage.QuantizedBytes(c, r)
	if r.Branch != nil {
		quantized += blockWeights / 4 // 2 bits a weight, about
	}
	shape := stage.Shape{Config: c, Recipe: r, Threads: p.Threads, Windows: p.Windows, Tokens: p.Tokens}
	p.hold("program", programBytes)
	name := "one block, quantized"
	if !stage.RoundsOnly(r, p.Windows) {
		p.hold("one block in float32", 4*blockWeights)
		name = "the same, quantized"
	}
	p.hold(name, quantized)
	for _, i := range shape.Kept() {
		p.hold(i.Name, i.Bytes)
	}
	if p.Windows > 0 {
		if err := p.planCalibration(r, shape); err != nil {
			return err
		}
	}
	p.hold("garbage between collections", int64(slack*float64(p.Peak-programBytes)))
	if items, peak := comparing(c, r, blockWeights, embedBytes, p.Threads); peak > p.Peak {
		p.Memory, p.Peak = items, peak
	}
	if p.MaxMemory > 0 && p.Peak > p.MaxMemory {
		return fmt.Errorf("the job needs at least %s of memory, --max-memory allows %s; the largest parts are %s",
			input.SizeText(p.Peak), input.SizeText(p.MaxMemory), p.largestItems())
	}
	return nil
}

// planCalibration adds what calibration needs, and decides whether its activations go to a file.
func (p *Plan) planCalibration(r *recipe.Recipe, shape stage.Shape) error {
	c, windows, tokens := p.config, p.Windows, p.Tokens
	for _, i := range slices.Concat(p.Schedule.transient(shape), shape.Pooled()) {
		p.hold(i.Name, i.Bytes)
	}
	_, out, _ := stage.Largest(c)
	n := int64(min(stage.SampleTokens, windows*tokens))
	p.hold("operands of products, packed", packedBytes(r, p.Threads, max(n, int64(tokens), int64(out))))
	window := 4 * int64(tokens) * int64(c.HiddenSize)
	p.hold("running one window", llama.RunnerBytes(c, p.Threads, tokens)+window)
	stores := int64(1)
	if r.Fitting() {
		stores++
		p.hold("the full-precision block beside it", 4*stage.BlockWeights(c)+llama.RunnerBytes(c, p.Threads, tokens)+window)
	}
	if r.Learn != nil {
		stores++
	}
	if c.Experts.Count > 0 {
		stores++
		p.hold("which tokens each expert is sent", 8*int64(windows)*int64(tokens)*int64(c.Experts.Used))
	}
	if r.Tune != nil {
		p.hold("the weights before they were rounded", 4*stage.BlockWeights(c))
	}
	learning, err := learningMemory(c, r, windows, tokens, p.MaxMemory)
	if err != nil {
		return err
	}
	p.hold(learning.Name, learning.Bytes)
	p.hold("tokens of the calibration text, and the text", 12*int64(windows)*int64(tokens))
	window *= stores // one window of each store is always in memory
	if r.NeedsCalibration() {
		window += 4 * int64(tokens) * int64(stage.CarriedWidth(c))
	}
	if r.Solve.Correct != "" { // the full-precision model is carried through the block too
		window += 4 * int64(tokens) * int64(stage.CarriedWidth(c))
	}
	activations := int64(windows) * window
	if p.MaxMemory > 0 && float64(p.Peak+activations-programBytes)*(1+slack)+programBytes > float64(p.MaxMemory) {
		p.Spill = activations
		p.hold("activations, one window of them", window)
	} else {
		p.hold("activations", activations)
	}
	return nil
}

func (p *Plan) largestItems() string {
	var a, b Item
	for _, i := range p.Memory {
		if i.Bytes > a.Bytes {
			a, b = i, a
		} else if i.Bytes > b.Bytes {
			b = i
		}
	}
	return fmt.Sprintf("%q (%s) and %q (%s)", a.Name, input.SizeText(a.Bytes), b.Name, input.SizeText(b.Bytes))
}
