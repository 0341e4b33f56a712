// Package pipeline is the job: plan, then block by block through the stages
// of a recipe, each finished block committed to disk, then the whole made
// visible under its final name.
package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/calibration"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/method"
	"github.com/specquant/specquant/internal/tokenizer"
)

// Options describe a job.
type Options struct {
	Dir         string // the checkpoint
	Out         string // the artefact's folder; must not exist
	Recipe      *method.Recipe
	Calibration []string // text files; none: the embedded text
	Pool        *kernel.Pool
	MaxMemory   int64  // bytes; 0: no limit
	Restart     bool   // throw away an unfinished job of the same name
	Tool        string // name and version for the manifest

	Progress func(Event) // may be nil
	// Verify judges the finished artefact in its temporary folder before it
	// gets its name; it may be nil. ids are tokens to look at.
	Verify func(ctx context.Context, dir string, full *checkpoint.Checkpoint, ids []int) (*artefact.Check, error)
}

// Event tells how far a job is.
type Event struct {
	Block, Blocks int // blocks finished, and in all
	Stage         string
	Layers        []artefact.Layer // of the block just finished
	Elapsed       time.Duration    // since the job began
	Seconds       float64          // the block just finished took
	Resumed       bool             // the block was finished by an earlier run
}

// PartialSuffix is appended to the artefact's name while it is being made.
const PartialSuffix = ".partial"

// RejectedError says that an artefact was written and found to talk nonsense.
type RejectedError struct {
	Check artefact.Check
	Dir   string
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("the quantized model fails the comparison with full precision: perplexity %.4g against %.4g, KL divergence %.3g, top-1 agreement %.1f %%; it is left in %s; try more bits, smoothing, or a calibration text closer to the model's training",
		e.Check.Perplexity, e.Check.PerplexityRef, e.Check.KL, 100*e.Check.Top1, e.Dir)
}

// job is a job under way.
type job struct {
	Options
	ck       *checkpoint.Checkpoint
	tok      *tokenizer.Tokenizer
	set      *calibration.Set // nil: no calibration
	plan     *Plan
	partial  string
	manifest artefact.Manifest
	start    time.Time
	unlock   func()
}

// Prepare opens the checkpoint, reads the calibration text and plans.
func prepare(o Options) (*job, error) {
	o.Out = filepath.Clean(o.Out)
	j := &job{Options: o, start: time.Now(), partial: o.Out + PartialSuffix}
	var err error
	if j.ck, err = checkpoint.Open(o.Dir); err != nil {
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
	if n := j.tok.VocabSize(); n > c.VocabSize {
		return fmt.Errorf("%s: the tokenizer has %d tokens, config.json's vocab_size is %d; the files do not belong together", j.Dir, n, c.VocabSize)
	}
	r := j.Recipe
	windows, tokens := 0, 0
	if r.NeedsCalibration() || len(j.Calibration) > 0 {
		texts, err := calibration.ReadFiles(j.Calibration)
		if err != nil {
			return err
		}
		j.set, err = calibration.NewSet(j.tok, texts, r.Calibration.Samples, min(r.Calibration.Tokens, c.MaxPositions), r.Calibration.Seed)
		if err != nil {
			return err
		}
		windows, tokens = len(j.set.Windows), j.set.Tokens
	}
	j.plan, err = NewPlan(c, j.ck.Bytes(), j.embedBytes(), r, j.Pool.Threads(), windows, tokens, j.MaxMemory)
	return err
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
var copied = []string{"model.embed_tokens.weight", "model.norm.weight", headWeight}

const headWeight = artefact.HeadName + ".weight"

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
	if _, err := os.Lstat(o.Out); err == nil {
		return nil, fmt.Errorf("%s exists; remove it or choose another name", o.Out)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	j, err := prepare(o)
	if err != nil {
		return nil, err
	}
	defer j.ck.Close()
	if err := j.begin(); err != nil {
		return nil, err
	}
	defer j.unlock()
	if err := j.blocks(ctx); err != nil {
		return nil, err
	}
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
	j.manifest = artefact.Manifest{Tool: j.Tool, Recipe: r, Inputs: inputs}
	if j.set != nil {
		j.manifest.Calibration = &artefact.Calibration{Sources: j.set.Sources, Windows: len(j.set.Windows), Tokens: j.set.Tokens, Hash: j.set.Hash}
	}
	want, err := json.MarshalIndent(&j.manifest, "", "  ")
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
		entries, err := os.ReadDir(j.partial)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := os.RemoveAll(filepath.Join(j.partial, e.Name())); err != nil {
				return err
			}
		}
	}
	path := filepath.Join(j.partial, jobFile)
	have, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkpoint.WriteFileAtomic(path, want)
	case err != nil:
		return err
	case !bytes.Equal(have, want):
		return fmt.Errorf("%s is the unfinished work of another job (recipe, bits, calibration, checkpoint or version differ); remove it or say --restart", j.partial)
	}
	return nil
}

func (j *job) shard(i int) string {
	return fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, j.ck.Config.Layers+1)
}

func (j *job) event(e Event) {
	if j.Progress != nil {
		e.Blocks, e.Elapsed = j.ck.Config.Layers, time.Since(j.start)
		j.Progress(e)
	}
}

// quantization is what a reader of the artefact has to know.
func (j *job) quantization() *artefact.Quantization {
	r := j.Recipe
	q := &artefact.Quantization{Method: artefact.Method, Version: artefact.Version, Bits: r.Bits,
		Group: r.Weights.Group, ActClip: r.Activations.Clip, Head: r.Head.Bits}
	if b := r.Branch; b != nil {
		q.Branch = &artefact.BranchFormat{Basis: b.Basis, Axis: b.Axis, Truncate: b.Truncate}
	}
	return q
}

// layersKey is the shard's metadata entry that holds the report of its layers.
const layersKey = "specquant.layers"

// blocks quantizes the blocks that are not yet on disk, carrying the
// calibration activations along.
func (j *job) blocks(ctx context.Context) error {
	c := &j.ck.Config
	windows, tokens := j.plan.Windows, j.plan.Tokens
	w := newWorker(c, j.Recipe, j.Pool, windows, tokens)
	if windows > 0 {
		spill := ""
		if j.plan.Spill > 0 {
			spill = filepath.Join(j.partial, "activations.tmp")
		}
		if err := w.fill(j.ck, j.set, spill); err != nil {
			return err
		}
		defer w.x.close()
	}
	for i := range c.Layers {
		start := time.Now()
		path := filepath.Join(j.partial, j.shard(i))
		done := false
		if _, err := os.Stat(path); err == nil {
			done = true
		}
		w.stage = func(s string) { j.event(Event{Block: i, Stage: s}) }
		layers, err := j.block(ctx, w, i, path, done)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("block %d: %w", i, err)
		}
		j.manifest.Layers = append(j.manifest.Layers, layers...)
		j.event(Event{Block: i + 1, Layers: layers, Seconds: time.Since(start).Seconds(), Resumed: done})
		runtime.GC() // what is left over from one block is not to add to the next
	}
	return nil
}

// fill stores the embeddings of the calibration windows, in memory or in the
// file spill.
func (w *worker) fill(ck *checkpoint.Checkpoint, set *calibration.Set, spill string) error {
	var err error
	if w.x, err = newStore(len(set.Windows), set.Tokens*ck.Config.HiddenSize, spill); err != nil {
		return err
	}
	for i, ids := range set.Windows {
		x, err := w.x.get(i)
		if err != nil {
			return err
		}
		if err := llama.Embed(ck, x, ids); err != nil {
			return err
		}
		if err := w.x.put(i, x); err != nil {
			return err
		}
	}
	if t, err := ck.Tensor(copied[0]); err == nil {
		t.Release()
	}
	return nil
}

// block quantizes block i, or reads what an earlier run made of it, and moves
// the activations past it. The next block sees what the file says, so that a
// resumed job can't differ.
func (j *job) block(ctx context.Context, w *worker, i int, path string, done bool) ([]artefact.Layer, error) {
	var reports []artefact.Layer
	if !done {
		if err := llama.LoadBlock(j.ck, i, &w.block); err != nil {
			return nil, err
		}
		quantized, layers, err := w.quantize(ctx)
		if err != nil {
			return nil, err
		}
		prefix := llama.TensorPrefix(i)
		for k := range layers {
			layers[k].Name = prefix + layers[k].Name
		}
		specs := []checkpoint.TensorSpec{
			artefact.Floats(prefix+"input_layernorm.weight", w.block.AttnNorm),
			artefact.Floats(prefix+"post_attention_layernorm.weight", w.block.MLPNorm),
		}
		for l := range llama.NumLinears {
			specs = append(specs, quantized[l].Tensors(prefix+l.String())...)
		}
		report, err := json.Marshal(layers)
		if err != nil {
			return nil, err
		}
		if err := checkpoint.WriteFile(path, specs, map[string]string{"format": "pt", layersKey: string(report)}); err != nil {
			return nil, err
		}
		reports = layers
	} else {
		var err error
		if reports, err = j.reload(w, i, path); err != nil {
			return nil, err
		}
	}
	if w.windows == 0 || i == j.ck.Config.Layers-1 {
		return reports, nil
	}
	if j.Recipe.Calibration.Propagate == "full" {
		if err := llama.LoadBlock(j.ck, i, &w.block); err != nil {
			return nil, err
		}
	}
	w.stage("next block's input")
	return reports, w.pass(ctx, nil, true)
}

// reload fills the worker's block from a finished shard.
func (j *job) reload(w *worker, i int, path string) ([]artefact.Layer, error) {
	f, err := checkpoint.OpenFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w; remove %s and start again", err, j.partial)
	}
	defer f.Close()
	var reports []artefact.Layer
	if err := json.Unmarshal([]byte(f.Metadata[layersKey]), &reports); err != nil {
		return nil, fmt.Errorf("%s: metadata %s: %w; remove %s and start again", path, layersKey, err, j.partial)
	}
	src := shardSource{f}
	prefix := llama.TensorPrefix(i)
	if w.block.AttnNorm, err = vector(src, prefix+"input_layernorm.weight"); err != nil {
		return nil, err
	}
	if w.block.MLPNorm, err = vector(src, prefix+"post_attention_layernorm.weight"); err != nil {
		return nil, err
	}
	q := j.quantization()
	for l := range llama.NumLinears {
		out, in := l.Shape(&j.ck.Config)
		linear, err := artefact.ReadLinear(src, prefix+l.String(), out, in, q)
		if err != nil {
			return nil, err
		}
		d := &w.block.Linears[l]
		d.Out, d.In, d.Bias = out, in, linear.Bias
		if cap(d.W) < out*in {
			d.W = make([]float32, out*in)
		}
		d.W = d.W[:out*in]
		linear.Dense(d.W, j.Pool.Run)
	}
	return reports, nil
}

// shardSource gives the tensors of one file.
type shardSource struct{ f *checkpoint.File }

func (s shardSource) Has(name string) bool {
	_, ok := s.f.Tensor(name)
	return ok
}

func (s shardSource) Tensor(name string) (checkpoint.Tensor, error) {
	t, ok := s.f.Tensor(name)
	if !ok {
		return t, fmt.Errorf("%s: has no tensor %s", s.f.Path(), name)
	}
	return t, nil
}

func vector(src shardSource, name string) ([]float32, error) {
	t, err := src.Tensor(name)
	if err != nil {
		return nil, err
	}
	v := make([]float32, t.Elems())
	return v, t.Float32(v)
}

// finish writes what is not a block, looks at the result and gives it its name.
func (j *job) finish(ctx context.Context) error {
	if err := j.writeRest(); err != nil {
		return err
	}
	var stored, weights float64
	for _, l := range j.manifest.Layers {
		n := j.weights(l.Name)
		weights += n
		stored += n * l.BitsPerWeight
	}
	j.manifest.BitsPerWeight = stored / weights
	if j.Verify != nil {
		j.event(Event{Block: j.ck.Config.Layers, Stage: "comparing with full precision"})
		ids, err := j.verifyIDs()
		if err != nil {
			return err
		}
		if j.manifest.Check, err = j.Verify(ctx, j.partial, j.ck, ids); err != nil {
			return fmt.Errorf("reopening the artefact: %w", err)
		}
		if !j.manifest.Check.Passed {
			return &RejectedError{Check: *j.manifest.Check, Dir: j.partial}
		}
	}
	data, err := json.MarshalIndent(&j.manifest, "", "  ")
	if err != nil {
		return err
	}
	if err := checkpoint.WriteFileAtomic(filepath.Join(j.partial, artefact.ManifestFile), append(data, '\n')); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(j.partial, jobFile)); err != nil {
		return err
	}
	return checkpoint.RenameDir(j.partial, j.Out)
}

func (j *job) weights(layer string) float64 {
	for l := range llama.NumLinears {
		if len(layer) > len(l.String()) && layer[len(layer)-len(l.String()):] == l.String() {
			out, in := l.Shape(&j.ck.Config)
			return float64(out) * float64(in)
		}
	}
	return 0
}

// verifyIDs are the first tokens of the calibration text.
func (j *job) verifyIDs() ([]int, error) {
	limit := min(256, j.ck.Config.MaxPositions, max(32, (16<<20)/j.ck.Config.VocabSize))
	if j.set != nil {
		ids := j.set.Windows[0]
		return ids[:min(limit, len(ids))], nil
	}
	text := calibration.Default()
	ids, err := j.tok.Encode(text[:min(len(text), 8*limit)], true)
	if err != nil {
		return nil, err
	}
	return ids[:min(limit, len(ids))], nil
}

// writeRest writes the tensors that are copied, the index, config.json with
// its quantization_config, and the tokenizer's files as they are.
func (j *job) writeRest() error {
	c := &j.ck.Config
	last := j.shard(c.Layers)
	var specs []checkpoint.TensorSpec
	where := map[string]string{}
	for _, name := range copied {
		t, err := j.ck.Tensor(name)
		if err != nil {
			return err
		}
		if name == headWeight && j.Recipe.Head.Bits == 8 {
			for _, s := range artefact.QuantizeHead(t, j.Pool.Run) {
				specs = append(specs, s)
				where[s.Name] = last
			}
			if !c.TieEmbeddings {
				continue
			}
		}
		if t.Name != name {
			continue // tied: stored under its other name
		}
		specs = append(specs, checkpoint.TensorSpec{Name: name, DType: t.DType, Shape: t.Shape, Data: t.Data})
		where[name] = last
	}
	if err := checkpoint.WriteFile(filepath.Join(j.partial, last), specs, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	for _, s := range specs {
		if t, err := j.ck.Tensor(s.Name); err == nil {
			t.Release()
		}
	}
	var total int64
	for i := range c.Layers + 1 {
		f, err := checkpoint.OpenFile(filepath.Join(j.partial, j.shard(i)))
		if err != nil {
			return err
		}
		for _, name := range f.Names() {
			where[name] = j.shard(i)
		}
		total += f.Bytes()
		f.Close()
	}
	index, err := json.MarshalIndent(map[string]any{"metadata": map[string]any{"total_size": total}, "weight_map": where}, "", "  ")
	if err != nil {
		return err
	}
	if err := checkpoint.WriteFileAtomic(filepath.Join(j.partial, "model.safetensors.index.json"), append(index, '\n')); err != nil {
		return err
	}
	config, err := withQuantization(c.Raw, j.quantization())
	if err != nil {
		return err
	}
	if err := checkpoint.WriteFileAtomic(filepath.Join(j.partial, "config.json"), config); err != nil {
		return err
	}
	for _, name := range append(j.tok.Files(), "LICENSE", "LICENSE.txt") {
		data, err := os.ReadFile(filepath.Join(j.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := checkpoint.WriteFileAtomic(filepath.Join(j.partial, name), data); err != nil {
			return err
		}
	}
	return nil
}

// withQuantization adds the quantization_config to config.json, leaving the
// rest as it was, in its order.
func withQuantization(config []byte, q *artefact.Quantization) ([]byte, error) {
	end := bytes.LastIndexByte(config, '}')
	if end < 0 {
		return nil, errors.New("config.json: no closing brace")
	}
	body, err := json.MarshalIndent(q, "  ", "  ")
	if err != nil {
		return nil, err
	}
	head := bytes.TrimRight(config[:end], " \t\r\n")
	var out bytes.Buffer
	out.Write(head)
	out.WriteString(",\n  \"quantization_config\": ")
	out.Write(body)
	out.WriteString("\n}\n")
	return out.Bytes(), nil
}
