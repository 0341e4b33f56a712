// Package pipeline is the job: plan, then block by block through the stages
// of a recipe, each finished block committed to disk, then the whole made
// visible under its final name.
package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/calibration"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
	"github.com/specquant/specquant/internal/tokenizer"
)

// Options describe a job.
type Options struct {
	Dir         string // the checkpoint
	Out         string // the artefact's folder; must not exist
	Recipe      *recipe.Recipe
	Calibration []string // text files; none: the embedded text
	Pool        *kernel.Pool
	MaxMemory   int64  // bytes; 0: no limit
	Size        int64  // bytes of the artefact, at most, see [fit]; 0: as the recipe says
	Restart     bool   // throw away an unfinished job of the same name
	Tool        string // name and version for the manifest
	Strict      bool   // make the first fallback an error, see [artefact.Fallback]

	Progress func(Event) // may be nil
	// Verify judges the finished artefact in its temporary folder before it
	// gets its name; it may be nil. fitted are windows of tokens that the weights were
	// fitted on, heldOut others, see [calibration.Set]; one of them may be empty.
	Verify func(ctx context.Context, dir string, full *checkpoint.Checkpoint, fitted, heldOut [][]int) (*artefact.Check, error)
}

// Event tells how far a job is.
type Event struct {
	Block, Blocks int // blocks finished, and in all
	Stage         string
	Layers        []artefact.Layer // of the block just finished
	Elapsed       time.Duration    // since the job began
	Seconds       float64          // the block just finished took
	Resumed       bool             // the block was finished by an earlier run
	Note          string           // what people should know although the job goes on; else ""

	// The range of the time that is left; 0 and 0 where the job takes longer than
	// was foreseen.
	LeftLeast, LeftMost time.Duration
}

// PartialSuffix is appended to the artefact's name while it is being made.
const PartialSuffix = ".partial"

// RejectedError is the error of a job whose artefact was written, but predicts far worse
// than full precision.
type RejectedError struct {
	Check artefact.Check
	Dir   string
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("the quantized model fails the comparison with full precision: perplexity %.4g against %.4g, KL divergence %.3g, top-1 agreement %.1f %%; it is left in %s; try more bits, smoothing, or a calibration text closer to the model's training; or say --keep-bad with the same command: it takes the finished blocks up and accepts the result as it is",
		e.Check.Perplexity, e.Check.PerplexityRef, e.Check.KL, 100*e.Check.Top1, e.Dir)
}

// job is a job under way.
type job struct {
	Options
	ck        *checkpoint.Checkpoint
	tok       *tokenizer.Tokenizer
	set       *calibration.Set // nil: no calibration
	head      *stage.Head      // how the output matrix is rounded; set when all blocks are done
	plan      *Plan
	partial   string
	manifest  artefact.Manifest
	rotations *stage.LearnedRotations // learned rotations; nil: none
	left      *remaining              // time; nil: nobody asks
	finished  bool                    // an earlier run has done all but clean up
	start     time.Time
	unlock    func()
}

// Prepare opens the checkpoint, reads the calibration text and plans.
func prepare(o Options) (*job, error) {
	o.Out = filepath.Clean(o.Out)
	j := &job{Options: o, start: time.Now(), partial: o.Out + PartialSuffix}
	var err error
	if j.ck, err = checkpoint.OpenFolder(o.Dir); err != nil {
		return nil, err
	}
	c := &j.ck.Config
	if c.Quantization != nil {
		j.ck.Close()
		return nil, fmt.Errorf("%s: is quantized already (config.json has a quantization_config); quantize the original checkpoint", o.Dir)
	}
	if err := j.open(); err != nil {
		j.ck.Close()
		return nil, err
	}
	return j, nil
}

func (j *job) open() error {
	if err := j.ck.Check(); err != nil {
		return err
	}
	c := &j.ck.Config
	var err error
	if j.tok, err = tokenizer.Load(j.Dir); err != nil {
		return err
	}
	if err := j.tok.Fits(c.VocabSize); err != nil {
		return fmt.Errorf("%s: %w", j.Dir, err)
	}
	r, err := j.resolved()
	if err != nil {
		return err
	}
	j.Recipe = r
	windows, tokens := 0, 0
	if r.NeedsCalibration() || len(j.Calibration) > 0 {
		texts, err := calibration.ReadFiles(context.Background(), j.Calibration)
		if err != nil {
			return err
		}
		j.set, err = calibration.NewSet(j.tok, texts, r.Calibration.Samples, min(r.Calibration.Tokens, c.MaxPositions), r.Calibration.Seed)
		if err != nil {
			return err
		}
		windows, tokens = len(j.set.Windows), j.set.Tokens
		freeMemory() // what encoding the text took is not to add to what the blocks hold
	}
	j.plan, err = NewPlan(c, j.ck.Bytes(), j.embedBytes(), r, j.Pool.Threads(), windows, tokens, j.MaxMemory)
	if err != nil {
		return err
	}
	return j.strict(j.plan.Fallbacks)
}

// embedBytes is the size of what is copied as it is.
func (j *job) embedBytes() int64 {
	var n int64
	for _, name := range copied {
		if t, err := j.ck.Tensor(name); err == nil && t.Name == name {
			n += int64(len(t.Data))
		}
	}
	return n
}

// copied are the tensors that are not quantized.
var copied = []string{stage.EmbedWeight, stage.NormWeight, stage.HeadWeight}

// PlanJob says what [Run] would do with the same options.
func PlanJob(o Options) (*Plan, error) {
	j, err := prepare(o)
	if err != nil {
		return nil, err
	}
	defer j.ck.Close()
	j.plan.Measure(o.Pool)
	return j.plan, nil
}

// Run quantizes a checkpoint. A run that was killed is taken up where it was
// and writes the same bytes.
func Run(ctx context.Context, o Options) (*artefact.Manifest, error) {
	if err := CheckTarget(o.Out); err != nil {
		return nil, err
	}
	j, err := prepare(o)
	if err != nil {
		return nil, err
	}
	defer j.ck.Close()
	if err := CheckSpace(o.Out, j.plan); err != nil {
		return nil, err
	}
	if j.Progress != nil {
		j.plan.Measure(o.Pool)
		j.left = j.plan.remaining()
		j.event(Event{Stage: "reading the checkpoint"})
	}
	if err := j.scan(); err != nil {
		return nil, err
	}
	if err := j.begin(); err != nil {
		return nil, err
	}
	defer j.unlock()
	if j.finished {
		if err := j.strict(j.manifest.Fallbacks); err != nil {
			return nil, err
		}
		return &j.manifest, j.publish()
	}
	if err := j.blocks(ctx); err != nil {
		return nil, err
	}
	freeMemory()
	if err := j.finish(ctx); err != nil {
		return nil, err
	}
	return &j.manifest, nil
}

// jobFile is what makes two runs the same job.
const jobFile = "job.json"

// begin makes or takes up the folder of the unfinished artefact.
func (j *job) begin() error {
	r := j.Recipe
	paths := append([]string{filepath.Join(j.Dir, "config.json")}, j.ck.Files()...)
	for _, f := range j.tok.Files() {
		paths = append(paths, filepath.Join(j.Dir, f))
	}
	inputs, err := checkpoint.HashFiles(paths...)
	if err != nil {
		return err
	}
	j.manifest = artefact.Manifest{Tool: j.Tool, Recipe: r, Inputs: inputs, Rotations: j.plan.Rotations}
	if j.set != nil {
		j.manifest.Calibration = &artefact.Calibration{Sources: j.set.Sources, Windows: len(j.set.Windows), HeldOut: len(j.set.HeldOut), Tokens: j.set.Tokens, Hash: j.set.Hash}
	}
	want, err := sealedJSON(&j.manifest)
	if err != nil {
		return err
	}
	if err := os.Mkdir(j.partial, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if j.unlock, err = lock(j.partial); err != nil {
		return err
	}
	if err := j.takeUp(want); err != nil {
		j.unlock()
		return err
	}
	return nil
}

// takeUp makes sure that what lies in the locked folder belongs to this job.
func (j *job) takeUp(want []byte) error {
	if j.Restart {
		if err := j.clear(); err != nil {
			return err
		}
	}
	path := filepath.Join(j.partial, jobFile)
	have, err := input.ReadFile(path, input.MaxSmall)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if have, err = j.readFinished(); err != nil {
			return err
		}
		if have == nil {
			return checkpoint.WriteFileAtomic(path, want)
		}
	case err != nil:
		return err
	}
	if !bytes.Equal(have, want) {
		if j.isEmpty() {
			return checkpoint.WriteFileAtomic(path, want)
		}
		if err := checkpoint.CheckSeal(have); err != nil {
			return fmt.Errorf("%s: %w, so it can't be told whose work %s is; remove that folder or say --restart", path, err, j.partial)
		}
		return fmt.Errorf("%s is the unfinished work of another job (recipe, bits, calibration, checkpoint or version differ); remove it or say --restart", j.partial)
	}
	if j.finished {
		return j.checkFinished(path, want)
	}
	return nil
}

// clear removes all that lies in the locked folder.
func (j *job) clear() error {
	entries, err := os.ReadDir(j.partial)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(j.partial, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// checkFinished holds the files of a job that lacks only its name against its
// manifest. Where they are not those that were written, the job is begun anew: what it
// could be taken up with has been removed by then.
func (j *job) checkFinished(path string, want []byte) error {
	fault := ""
	for _, f := range j.manifest.Files {
		h, err := checkpoint.HashFiles(filepath.Join(j.partial, f.Name))
		if err != nil {
			fault = err.Error()
		} else if h[0] != f {
			fault = fmt.Sprintf("%s is damaged: its sha256 is %s, expected %s", filepath.Join(j.partial, f.Name), h[0].SHA256, f.SHA256)
		}
	}
	if fault == "" {
		return nil
	}
	j.event(Event{Note: fault + "; the job is begun anew"})
	m := &j.manifest
	j.finished, m.Layers, m.BitsPerWeight, m.Fallbacks, m.Check, m.Files = false, nil, 0, nil, nil, nil
	if err := j.clear(); err != nil {
		return err
	}
	return checkpoint.WriteFileAtomic(path, want)
}

// isEmpty reports whether the folder holds no finished work: what a job left that failed
// before its first block was written does not stop another job.
func (j *job) isEmpty() bool {
	entries, err := os.ReadDir(j.partial)
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return e.Name() != jobFile && filepath.Ext(e.Name()) != ".tmp"
	})
}

// readFinished reads the manifest that [job.finish] writes before it removes the
// job's own files, and returns what job.json would hold; nil where there is none.
func (j *job) readFinished() ([]byte, error) {
	path := filepath.Join(j.partial, artefact.ManifestFile)
	data, err := input.ReadFile(path, input.MaxSmall)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if j.manifest, err = readManifest(data); err != nil {
		return nil, fmt.Errorf("%s: %w; remove %s and start again", path, err, j.partial)
	}
	j.finished = true
	return begunOf(data)
}

// readManifest reads a manifest and holds it against its sum.
func readManifest(data []byte) (m artefact.Manifest, err error) {
	if err := checkpoint.CheckSeal(data); err != nil {
		return m, err
	}
	return m, input.JSON(data, &m)
}

// begunOf is what job.json held when the job of a manifest was begun.
func begunOf(manifest []byte) ([]byte, error) {
	m, err := readManifest(manifest)
	if err != nil {
		return nil, err
	}
	m.Layers, m.BitsPerWeight, m.Fallbacks, m.Check, m.Files = nil, 0, nil, nil, nil
	return sealedJSON(&m)
}

// shardName is the file of a block, counted from 1, of how many files.
const shardName = "model-%05d-of-%05d.safetensors"

func (j *job) shard(i int) string {
	return fmt.Sprintf(shardName, i+1, j.ck.Config.Layers+1)
}

func (j *job) event(e Event) {
	if j.Progress != nil {
		e.Blocks, e.Elapsed = j.ck.Config.Layers, time.Since(j.start)
		j.left.told(e)
		e.LeftLeast, e.LeftMost = j.left.at(time.Now())
		j.Progress(e)
	}
}

// quantization is what a reader of the artefact has to know.
func (j *job) quantization() *artefact.Quantization {
	r := j.Recipe
	q := &artefact.Quantization{Method: artefact.Method, Version: artefact.Version, Bits: r.Bits,
		Group: r.Weights.Group, ActClip: r.Activations.Clip, ActGroup: r.ActGrid().Group,
		Head: r.Head.Bits, HeadGroup: r.Head.Group, Embedding: r.Embedding.Bits, EmbeddingGroup: r.Embedding.Group}
	if b := r.Branch; b != nil {
		q.Branch = &artefact.BranchFormat{Basis: b.Basis, Axis: b.Axis, Truncate: b.Truncate, Remove: b.Remove}
		if b.Width() == 8 {
			q.Branch.Bits = 8
		}
	}
	q.Zero, q.Transforms = r.Weights.Zero, stage.Transforms(r)
	for i := range j.ck.Config.Layers {
		for l := range llama.NumLinears {
			name := llama.TensorPrefix(i) + l.String()
			if bits := r.LayerBits(name); bits != r.Bits.Weights {
				if q.Layers == nil {
					q.Layers = map[string]int{}
				}
				q.Layers[name] = bits
			}
		}
	}
	return q
}

// layersKey is the shard's metadata entry that holds the report of its layers.
const layersKey = "specquant.layers"
