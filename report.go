package specquant

import (
	"errors"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/meter"
	"github.com/specquant/specquant/internal/pipeline"
)

// Plan is what a job will read, hold, compute and write, decided from
// config.json, the calibration text and the recipe before any weight is read.
// Sizes are in bytes.
type Plan struct {
	Recipe  string // its name
	Bits    string // of weights, activations and KV cache, such as 4-4-16
	Threads int
	Blocks  int          // of the model; they are quantized one after the other
	Windows int          // of calibration; 0: none is needed
	Tokens  int          // of a calibration window
	Widths  []WidthShare // how many of the layers' weights have a number of bits, the most common first

	Memory    []MemoryItem // what is held at the peak
	Peak      int64        // their sum
	MaxMemory int64        // the limit that was asked for; 0: none
	Spill     int64        // calibration activations that go to a file instead of memory

	Read     int64 // weights
	Artefact int64 // written, about: all of the folder
	Disk     int64 // most disk space in use at once: artefact and spilled activations

	Rotations []Rotation // how the recipe's rotations are constructed for the model's widths
	Fallbacks []Fallback // where the job will deviate from the recipe
	Warnings  []string   // what is wrong with files beside the weights, which the quantized model will have too

	Choices *Choices // nil: [QuantizeOptions].Choices was not set

	Budget *TimeBudget // what [QuantizeOptions].Time left of the calibration; nil: no time limit was given

	Work float64 // floating-point operations
	// The range in which the duration of the job is expected, from the speed of this
	// machine as measured just now.
	Least, Most time.Duration
	Load        float64 // share of each processor that other programs use at the moment, from 0 to 1; it widens the range
}

// WidthShare is how many of the weights of the blocks' linear layers have a number of bits.
type WidthShare = pipeline.WidthShare

// BusyLoad is the [Plan].Load from which on other programs are said to use the machine.
const BusyLoad = 0.75

// TimeBudget is the time limit that was given for a job, and how much calibration it allows.
type TimeBudget struct {
	Seconds float64 `json:"seconds"`
	Windows int     `json:"windows"` // calibration windows that it allows
	Asked   int     `json:"asked"`   // calibration windows without the limit
}

// Choice is the recipe with one of the possible settings of the weights' bits and groups.
type Choice struct {
	Bits          int       `json:"bits"`            // of a weight; 16: not quantized
	Filled        bool      `json:"filled"`          // layers have different bits, by a size or an average: Bits is that of most
	Head          int       `json:"head_bits"`       // of the output matrix
	Group         int       `json:"group"`           // of weights that share a scale; 0: one scale a row
	Multiples     bool      `json:"multiples"`       // scales are multiples of their row's
	BitsPerWeight float64   `json:"bits_per_weight"` // of the linear layers, with their scales, branches and keys
	File          int64     `json:"file_bytes"`      // all of the folder, about
	Running       []Running `json:"running"`
	// Tokens per second to expect on this machine, measured just now on random weights of
	// this format: reading a prompt of 512 tokens, writing one answer, writing eight at once.
	Prefill float64 `json:"prefill"`
	Decode  float64 `json:"decode"`
	Decode8 float64 `json:"decode_8_sequences"`
	Chosen  bool    `json:"chosen"` // by the recipe and the options

	Measured *Measured `json:"measured,omitempty"` // nil: not known, see [Plan.AddMeasured]
}

// Running is the memory that a model takes when it runs: weights, KV cache, scratch memory and
// garbage.
type Running struct {
	Context   int   `json:"context"` // tokens of each sequence, at most the model's context
	Sequences int   `json:"sequences"`
	Bytes     int64 `json:"bytes"`
}

// Choices lists the possible settings from the largest to the smallest. To learn how accurate
// each is, use [CompareRecipes].
type Choices struct {
	All  []Choice `json:"all"`
	Free int64    `json:"free_memory_bytes"` // of the machine, now; 0: not known
	Fits int      `json:"fits"`              // of All: the first that runs with 8,192 tokens of context in what is free; -1: none
}

func newChoices(c *pipeline.Choices) *Choices {
	if c == nil {
		return nil
	}
	out := &Choices{Free: c.Free, Fits: c.Fits}
	for _, one := range c.All {
		to := Choice{Bits: one.Bits, Filled: one.Filled, Head: one.Head, Group: one.Group, Multiples: one.Multiples, BitsPerWeight: one.BitsPerWeight, File: one.File, Chosen: one.Chosen}
		for _, r := range one.Running {
			to.Running = append(to.Running, Running(r))
		}
		out.All = append(out.All, to)
	}
	return out
}

// MemoryItem is one of the parts of a job's memory.
type MemoryItem struct {
	Name  string
	Bytes int64
}

// Limit sets Go's memory limit to the planned peak until restore is called. Without it the
// process may use more memory than Peak, because garbage is collected later.
func (p *Plan) Limit() (restore func()) { return (&pipeline.Plan{Peak: p.Peak}).Limit() }

func newPlan(p *pipeline.Plan) *Plan {
	out := &Plan{Recipe: p.Recipe, Bits: p.Bits, Threads: p.Threads, Blocks: p.Blocks, Windows: p.Windows, Tokens: p.Tokens, Widths: p.Widths,
		Peak: p.Peak, MaxMemory: p.MaxMemory, Spill: p.Spill, Read: p.Read, Artefact: p.Artefact, Disk: p.Disk,
		Rotations: newRotations(p.Rotations), Fallbacks: newFallbacks(p.Fallbacks), Work: p.Work, Least: p.Least, Most: p.Most, Load: p.Load}
	out.Budget, out.Choices = (*TimeBudget)(p.Budget), newChoices(p.Choices)
	for _, i := range p.Memory {
		out.Memory = append(out.Memory, MemoryItem(i))
	}
	return out
}

// Event is the progress of a job. One is sent when a stage of a block begins, and one with
// Layers when a block is finished.
type Event struct {
	Block   int           // blocks finished
	Blocks  int           // blocks in all
	Stage   string        // the present step, for people
	Layers  []Layer       // of the block that was just finished; nil in between
	Elapsed time.Duration // since the job began
	Seconds float64       // that the finished block took
	Resumed bool          // an earlier run had finished the block
	Note    string        // a warning, such as that files of an earlier run are damaged; "": none

	// The range in which the remaining time is expected: from the plan until a block is
	// finished, then from the time that blocks have taken. Both are 0 if the job takes
	// longer than expected.
	LeftLeast, LeftMost time.Duration
}

func newEvent(e pipeline.Event) Event {
	return Event{Block: e.Block, Blocks: e.Blocks, Stage: e.Stage, Layers: newLayers(e.Layers), Elapsed: e.Elapsed, Seconds: e.Seconds, Resumed: e.Resumed, Note: e.Note,
		LeftLeast: e.LeftLeast, LeftMost: e.LeftMost}
}

// Report describes a finished job: what the artefact was made from, and measurements of each
// layer. It is stored in the artefact's specquant.json, together with the recipe.
type Report struct {
	Tool          string       `json:"tool"` // name and version of the program that made it
	Recipe        Recipe       `json:"recipe"`
	Inputs        []File       `json:"inputs"`                // the checkpoint's files
	Calibration   *Calibration `json:"calibration,omitempty"` // nil: none was needed
	Rotations     []Rotation   `json:"rotations,omitempty"`
	Layers        []Layer      `json:"layers"`
	BitsPerWeight float64      `json:"bits_per_weight"`       // over the linear layers of the blocks, scales and branch counted
	Fallbacks     []Fallback   `json:"fallbacks,omitempty"`   // where the job deviated from the recipe
	Check         *Check       `json:"check,omitempty"`       // the comparison with full precision after writing
	Files         []File       `json:"files,omitempty"`       // the artefact's files but specquant.json
	Budget        *TimeBudget  `json:"time_budget,omitempty"` // nil: no time limit was given
	Profile       *Profile     `json:"profile,omitempty"`     // nil: [QuantizeOptions].Profile was not set; it is not in specquant.json
}

// Profile is where the time of a job went. For a resumed job it covers the last run only.
type Profile struct {
	Threads    int           `json:"threads"`
	Seconds    float64       `json:"seconds"`               // of the clock
	CPUSeconds float64       `json:"cpu_seconds,omitempty"` // of all threads; 0: not known on this system
	Rate       float64       `json:"flops_per_cpu_second"`  // measured peak of one processor, in float32 operations per second (a multiply-add is two); 0: not known
	Planned    float64       `json:"planned_flops"`         // the plan's count for the whole job
	Parts      []ProfilePart `json:"parts"`                 // in the order in which they were begun
}

// ProfilePart is one part of the work of a job.
type ProfilePart struct {
	Name       string  `json:"name"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds,omitempty"`
	Flops      float64 `json:"flops,omitempty"`         // of its matrix products; other work is not counted
	Share      float64 `json:"share_of_rate,omitempty"` // share of [Profile].Rate that its matrix products reach per CPU second; float64 operations count twice
}

// Busy is the mean share of the threads that were working: 1 means all threads all the time.
func (p *Profile) Busy() float64 { return p.CPUSeconds / (p.Seconds * float64(p.Threads)) }

func newProfile(p *meter.Profile) *Profile {
	out := &Profile{Threads: p.Threads, Seconds: p.Seconds, CPUSeconds: p.CPU, Rate: p.Rate, Planned: p.Planned}
	for _, part := range p.Parts {
		out.Parts = append(out.Parts, ProfilePart{part.Name, part.Seconds, part.CPU, part.Flops, part.Share(p.Rate)})
	}
	return out
}

// File is a file and the hash of its contents.
type File struct {
	Name   string `json:"name"` // without its folder
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // lower-case hexadecimal
}

// Calibration describes the calibration text, in windows of tokens.
type Calibration struct {
	Sources []File `json:"sources"`
	Windows int    `json:"windows"`                    // that the weights were fitted to
	HeldOut int    `json:"held_out_windows,omitempty"` // kept for the check at the end
	Tokens  int    `json:"tokens_per_window"`
	Hash    string `json:"token_sha256"` // of the token ids, as little-endian uint32
}

// Rotation is how a transform of the recipe was constructed. (Hadamard matrices are not known
// for every width.)
type Rotation struct {
	Where string `json:"where"` // the recipe's key, such as rotate.down
	Width int    `json:"width"` // channels
	Name  string `json:"name"`  // such as "cosine 107 × Sylvester 128"
}

// Layer is what a job reports about one linear layer. Errors are ‖y − y'‖/‖y‖ of its outputs y
// on a sample of calibration tokens, with quantized activations; 0: not measured.
type Layer struct {
	Name          string    `json:"name"`            // such as model.layers.0.mlp.down_proj
	Alpha         string    `json:"alpha,omitempty"` // the smoothing that was chosen for its input
	EnergyKept    float64   `json:"energy_kept"`     // share of the weights' squared norm that is in the branch
	BitsPerWeight float64   `json:"bits_per_weight"` // scales and branch counted
	Error         float64   `json:"error"`           // with this recipe, before the steps tune and distil change the layer
	ErrorNoBranch float64   `json:"error_no_branch"` // the same without the branch
	ErrorRTN      float64   `json:"error_rtn"`       // with the original weights rounded to nearest
	Damp          float64   `json:"damp,omitempty"`  // what GPTQ had to add to the Hessian's diagonal, as a share of its mean
	DeadChannels  int       `json:"dead_channels,omitempty"`
	Tokens        *int      `json:"calibration_tokens,omitempty"`   // calibration tokens that the router sent to the expert; nil: the layer is not an expert's
	Borrowed      bool      `json:"calibration_borrowed,omitempty"` // those were too few, so the expert was calibrated on tokens of other experts too
	Strength      *float32  `json:"strength,omitempty"`             // of the fit to the full-precision model (solve.correct: judged), from 0, not changed, to 1; nil: not judged
	Uncorrected   bool      `json:"uncorrected,omitempty"`          // the recipe's solve.correct was left out, see [FallbackCorrect]
	Clipped       float64   `json:"clipped,omitempty"`              // share of the weights that lie outside their grid and were clipped
	Outliers      []Outlier `json:"outliers,omitempty"`             // input channels with large activations before smoothing, largest first
	Peak          float64   `json:"peak,omitempty"`                 // largest |x| of its input divided by the median channel's, after smoothing
	Seconds       float64   `json:"-"`                              // to split, solve and measure it
}

// Outlier is a channel of a layer's input with large activations.
type Outlier struct {
	Channel int     `json:"channel"`
	Ratio   float64 `json:"ratio"` // its largest |x| divided by the median channel's
}

// Check is the comparison of a finished artefact with full precision, on windows of
// the calibration text that were held out: nothing was fitted to them.
type Check struct {
	HeldOut       bool    `json:"held_out"` // false: the text was too short, so the windows are those that the weights were fitted to
	Tokens        int     `json:"tokens"`
	PerplexityRef float64 `json:"perplexity_full"`
	Perplexity    float64 `json:"perplexity"`
	KL            float64 `json:"kl"`             // divergence from full precision, nats a token
	Top1          float64 `json:"top1_agreement"` // share of tokens with the same most likely successor
	Passed        bool    `json:"passed"`

	// KLFitted is the divergence on the same number of tokens that the weights were fitted
	// to; 0: not measured.
	KLFitted float64 `json:"kl_fitted,omitempty"`

	KLErr       float64 `json:"kl_err,omitempty"`        // standard error of KL over its tokens; 0: not known
	KLFittedErr float64 `json:"kl_fitted_err,omitempty"` // that of KLFitted
}

// MarshalJSON implements json.Marshaler. An infinite number is "Infinity".
func (c Check) MarshalJSON() ([]byte, error) { return artefact.Check(c).MarshalJSON() }

// UnmarshalJSON implements json.Unmarshaler.
func (c *Check) UnmarshalJSON(data []byte) error { return (*artefact.Check)(c).UnmarshalJSON(data) }

// Ratio is the generalization ratio, KL/KLFitted; 0: not known. A ratio far above 1 means that
// the weights are overfitted to the calibration text.
func (c *Check) Ratio() float64 {
	k := artefact.Check(*c)
	return k.Ratio()
}

// MaxRatio is the generalization ratio above which weights count as overfitted.
const MaxRatio = artefact.MaxRatio

// Overfitted reports whether Ratio is above [MaxRatio] by more than two standard errors.
func (c *Check) Overfitted() bool {
	k := artefact.Check(*c)
	return k.Overfitted()
}

// ReadReport reads the report of the artefact in a folder: what [Quantize] returned, without
// the seconds of each layer. The error is fs.ErrNotExist if the folder holds no artefact.
func ReadReport(dir string) (*Report, error) {
	m, err := artefact.ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	return newReport(m), nil
}

func newReport(m *artefact.Manifest) *Report {
	r := &Report{Tool: m.Tool, Inputs: newFiles(m.Inputs), Rotations: newRotations(m.Rotations), Layers: newLayers(m.Layers),
		BitsPerWeight: m.BitsPerWeight, Fallbacks: newFallbacks(m.Fallbacks), Files: newFiles(m.Files)}
	r.Budget = (*TimeBudget)(m.Budget)
	if m.Recipe != nil {
		r.Recipe = Recipe{Name: m.Recipe.Name, Bits: m.Recipe.BitsText, About: m.Recipe.About}
	}
	if c := m.Calibration; c != nil {
		r.Calibration = &Calibration{Sources: newFiles(c.Sources), Windows: c.Windows, HeldOut: c.HeldOut, Tokens: c.Tokens, Hash: c.Hash}
	}
	if m.Check != nil {
		c := Check(*m.Check)
		r.Check = &c
	}
	return r
}

func newFiles(all []checkpoint.FileHash) (out []File) {
	for _, f := range all {
		out = append(out, File(f))
	}
	return out
}

func newRotations(all []artefact.Rotation) (out []Rotation) {
	for _, r := range all {
		out = append(out, Rotation(r))
	}
	return out
}

func newLayers(all []artefact.Layer) (out []Layer) {
	for _, l := range all {
		layer := Layer{Name: l.Name, Alpha: l.Alpha, EnergyKept: l.EnergyKept, BitsPerWeight: l.BitsPerWeight, Error: l.Error,
			ErrorNoBranch: l.ErrorNoBranch, ErrorRTN: l.ErrorRTN, Damp: l.Damp, DeadChannels: l.DeadChannels, Tokens: l.Tokens, Borrowed: l.Borrowed, Strength: l.Strength, Uncorrected: l.Uncorrected,
			Clipped: l.Clipped, Peak: l.Peak, Seconds: l.Seconds}
		for _, o := range l.Outliers {
			layer.Outliers = append(layer.Outliers, Outlier(o))
		}
		out = append(out, layer)
	}
	return out
}

// Fallback is a deviation of a job from its recipe that the model or the calibration text made
// necessary.
type Fallback struct {
	Kind  string `json:"kind"`  // one of the constants below
	Where string `json:"where"` // a layer, an input of all blocks, or a key of the recipe
	Cause string `json:"cause"` // for people
}

// The kinds of [Fallback].
const (
	FallbackCalibration = artefact.FallbackCalibration // the text has fewer or shorter windows than asked for
	FallbackRotation    = artefact.FallbackRotation    // no Hadamard matrix of that width is known: part of it is a cosine transform
	FallbackGroup       = artefact.FallbackGroup       // a group is wider than the layer: one scale for each row or token is used
	FallbackBranch      = artefact.FallbackBranch      // the size limit of the branch leaves an input without one
	FallbackDead        = artefact.FallbackDead        // input channels that are zero for all calibration tokens: their weights are rounded to nearest
	FallbackDamping     = artefact.FallbackDamping     // the Hessian needed more damping than the recipe says
	FallbackExperts     = artefact.FallbackExperts     // experts with too few calibration tokens: calibrated on tokens of other experts too
	FallbackCorrect     = artefact.FallbackCorrect     // solve.correct was left out, because it would have changed weights by many times their size
)

// String is one line.
func (f Fallback) String() string { return artefact.Fallback(f).String() }

// FallbackLines describes fallbacks for people, with one line for all of the same kind and
// cause.
func FallbackLines(all []Fallback) []string {
	var inner []artefact.Fallback
	for _, f := range all {
		inner = append(inner, artefact.Fallback(f))
	}
	return artefact.FallbackLines(inner)
}

func newFallbacks(all []artefact.Fallback) (out []Fallback) {
	for _, f := range all {
		out = append(out, Fallback(f))
	}
	return out
}

// StrictError is the error of a job with [QuantizeOptions].Strict that would have to deviate
// from its recipe.
type StrictError struct {
	Fallbacks []Fallback // never empty
	err       error
}

func (e *StrictError) Error() string {
	return message(e.err, "specquant: a strict job would have fallen back")
}
func (e *StrictError) Unwrap() error { return e.err }

// RejectedError is the error of a job whose result was written, but whose predictions are so
// much worse than full precision that it is useless.
type RejectedError struct {
	Check Check
	Dir   string // where the result was left; not the folder that was asked for
	err   error
}

func (e *RejectedError) Error() string {
	return message(e.err, "specquant: the result fails the comparison with full precision")
}
func (e *RejectedError) Unwrap() error { return e.err }

// ContextError is the error of a text that does not fit the model's context. The
// fields are in tokens.
type ContextError struct {
	Tokens  int // of the text
	Context int // of the model
	err     error
}

func (e *ContextError) Error() string {
	return message(e.err, "specquant: the text does not fit the context")
}
func (e *ContextError) Unwrap() error { return e.err }

// message returns the message of the wrapped error, or text if there is none because a caller
// made the error.
func message(err error, text string) string {
	if err == nil {
		return text
	}
	return err.Error()
}

// publicError converts internal errors to the public types that callers can distinguish. The
// message stays.
func publicError(err error) error {
	var strict *pipeline.StrictError
	var rejected *pipeline.RejectedError
	var long *engine.ContextError
	switch {
	case errors.As(err, &strict):
		return &StrictError{Fallbacks: newFallbacks(strict.Fallbacks), err: err}
	case errors.As(err, &rejected):
		return &RejectedError{Check: Check(rejected.Check), Dir: rejected.Dir, err: err}
	case errors.As(err, &long):
		return &ContextError{Tokens: long.Tokens, Context: long.Context, err: err}
	}
	return err
}
