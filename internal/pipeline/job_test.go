package pipeline

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

// text is calibration text for the byte-level test models.
var text = strings.Repeat("The quick brown fox jumps over the lazy dog; 12345 sphinxes of quartz judge my vow. ", 20)

// smallRecipe is the embedded recipe, with a shorter α grid and few tokens.
func smallRecipe(t testing.TB, name, bits string, change ...string) *recipe.Recipe {
	t.Helper()
	yaml := `
name: ` + name + `
bits: ` + bits + `
weights: {group: 0, clip: mse}
smooth: {alpha: [off, 0.5, 1]}
branch: {basis: dft, axis: output, components: 2, overhead: 0, importance: interaction, temperature: 1, literal: false, truncate: 0}
solve: {method: gptq, damp: 0.01, act-order: true}
activations: {clip: 1}
calibration: {samples: 8, tokens: 64, propagate: quantized}
`
	if name == "rtn" {
		yaml = "name: rtn\nbits: " + bits + "\nsolve: {method: rtn}\n"
	}
	for i := 0; i < len(change); i += 2 {
		if !strings.Contains(yaml, change[i]) {
			t.Fatalf("recipe has no %q", change[i])
		}
		yaml = strings.Replace(yaml, change[i], change[i+1], 1)
	}
	r, err := recipe.Parse([]byte(yaml), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func options(t testing.TB, o testmodel.Options, r *recipe.Recipe, threads int) Options {
	t.Helper()
	dir := t.TempDir()
	if err := testmodel.Write(filepath.Join(dir, "model"), o); err != nil {
		t.Fatal(err)
	}
	calib := filepath.Join(dir, "calibration.txt")
	if err := os.WriteFile(calib, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	pool := parallel.NewPool(threads)
	t.Cleanup(pool.Close)
	return Options{Dir: filepath.Join(dir, "model"), Out: filepath.Join(dir, "out"), Recipe: r, Calibration: []string{calib}, Pool: pool, Tool: "test"}
}

// sums are the hashes of all files of a folder.
func sums(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		h, err := checkpoint.HashFiles(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = h[0].SHA256
	}
	return out
}

func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d files, want %d", what, len(got), len(want))
	}
	for name, sum := range want {
		if got[name] != sum {
			t.Errorf("%s: %s differs", what, name)
		}
	}
}

// stopAnywhere begins the job anew once for each of its events, stops it there,
// takes it up, and wants the bytes of a job that was not stopped.
func stopAnywhere(t *testing.T, o Options, want map[string]string) {
	t.Helper()
	out := o.Out
	for stop := 1; ; stop++ {
		o.Out = fmt.Sprintf("%s-stopped-%d", out, stop)
		ctx, cancel := context.WithCancel(t.Context())
		seen, at := 0, ""
		o.Progress = func(e Event) {
			if seen++; seen == stop {
				at = e.Stage
				cancel()
			}
		}
		_, err := Run(ctx, o)
		cancel()
		if seen < stop {
			if err != nil {
				t.Fatal(err)
			}
			if stop < 3 {
				t.Errorf("the job has %d events", seen)
			}
			return
		}
		if err != nil { // the last event is too late to stop anything
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if _, err := os.Stat(o.Out); err == nil {
				t.Fatal("an interrupted job has left its final name")
			}
			o.Progress = nil
			if _, err := Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}
		same(t, fmt.Sprintf("stopped at event %d, %q", stop, at), sums(t, o.Out), want)
	}
}

// TestSameBytes holds the job to its promise: threads, spilling and
// interruption leave no trace in what is written.
func TestSameBytes(t *testing.T) {
	for _, propagate := range []string{"quantized", "full"} {
		t.Run(propagate, func(t *testing.T) {
			shape := testmodel.Options{Layers: 3, Hidden: 40, Heads: 4, KVHeads: 2, HeadDim: 8, Bias: true}
			o := options(t, shape, smallRecipe(t, "spec", "4-4-4", "propagate: quantized", "propagate: "+propagate), 1)
			if _, err := Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			want := sums(t, o.Out)

			o.Out += "-threads"
			o.Pool = parallel.NewPool(3)
			defer o.Pool.Close()
			if _, err := Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			same(t, "three threads", sums(t, o.Out), want)

			o.Out += "-spilled"
			plan, err := PlanJob(o)
			if err != nil {
				t.Fatal(err)
			}
			o.MaxMemory = plan.Peak - 1
			if _, err := Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			same(t, "spilled", sums(t, o.Out), want)
			o.MaxMemory = 0

			stopAnywhere(t, o, want)
		})
	}
}

// TestContinuesMultiples: blocks on disk are large enough to be mapped into memory, and what is kept
// of the last one when the job goes on outlives the map.
func TestContinuesMultiples(t *testing.T) {
	const weights = "weights: {group: 0, clip: mse}"
	r := smallRecipe(t, "spec", "4-8-8", weights, "weights: {group: 16, scales: multiples, clip: mse}", "propagate: quantized", "propagate: runtime",
		"branch: {basis: dft, axis: output, components: 2, overhead: 0, importance: interaction, temperature: 1, literal: false, truncate: 0}\n", "")
	o := options(t, testmodel.Options{Layers: 3, Hidden: 256, Intermediate: 512}, r, 2)
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want := sums(t, o.Out)
	o.Out += "-stopped"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Progress = func(e Event) {
		if e.Block == 2 {
			cancel()
		}
	}
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	o.Progress = nil
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	same(t, "continued", sums(t, o.Out), want)
}

// TestOtherJob: an unfinished job is not mixed with another.
func TestOtherJob(t *testing.T) {
	o := options(t, testmodel.Options{}, smallRecipe(t, "spec", "4-4-4"), 1)
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(e Event) {
		if e.Block == 1 {
			cancel()
		}
	}
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	o.Progress = nil
	o.Recipe = smallRecipe(t, "spec", "4-8-8")
	_, err := Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "another job") || !strings.Contains(err.Error(), "--restart") {
		t.Fatalf("got %v", err)
	}
	o.Restart = true
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if _, err = Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Fatalf("an existing output: got %v", err)
	}
}

// TestTwoAtOnce: the same job twice at once is refused, not mixed.
func TestTwoAtOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("folders can't be locked")
	}
	o := options(t, testmodel.Options{}, smallRecipe(t, "rtn", "4-16-16"), 1)
	second := o
	var inner error
	o.Progress = func(e Event) {
		if e.Block == 1 && inner == nil {
			second.Progress = nil
			_, inner = Run(t.Context(), second)
		}
	}
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if inner == nil || !strings.Contains(inner.Error(), "another process") {
		t.Errorf("the second job: %v", inner)
	}
}

// TestFormsOfCheckpoint: shards, types, ties and plain rounding all go through.
func TestFormsOfCheckpoint(t *testing.T) {
	for name, shape := range map[string]testmodel.Options{
		"sharded": {Shards: 3}, "bf16": {DType: checkpoint.BF16}, "f16 tied": {DType: checkpoint.F16, Tied: true},
		"ragged": {Hidden: 36, Intermediate: 50, Heads: 3, KVHeads: 1, HeadDim: 12},
	} {
		for _, r := range []*recipe.Recipe{smallRecipe(t, "rtn", "4-16-16"), smallRecipe(t, "spec", "4-4-16"), smallRecipe(t, "spec", "8-8-8", "axis: output", "axis: input")} {
			t.Run(name+" "+r.Name+" "+r.Bits.String(), func(t *testing.T) {
				o := options(t, shape, r, 2)
				m, err := Run(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				if len(m.Layers) != 14 || m.BitsPerWeight < float64(r.Bits.Weights) {
					t.Errorf("%d layers, %v bits a weight", len(m.Layers), m.BitsPerWeight)
				}
				ck, err := checkpoint.Open(o.Out)
				if err != nil {
					t.Fatal(err)
				}
				ck.Close()
			})
		}
	}
}

// TestBadInput: what is wrong, where, and nothing under the final name.
func TestBadInput(t *testing.T) {
	break1 := func(name string, change func(dir string) error, want ...string) {
		t.Run(name, func(t *testing.T) {
			o := options(t, testmodel.Options{}, smallRecipe(t, "spec", "4-4-4"), 1)
			if err := change(o.Dir); err != nil {
				t.Fatal(err)
			}
			_, err := Run(t.Context(), o)
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not mention %q", err, w)
				}
			}
			if _, err := os.Stat(o.Out); err == nil {
				t.Error("something was written under the final name")
			}
		})
	}
	weights := func(dir string) string { return filepath.Join(dir, "model.safetensors") }
	break1("truncated", func(dir string) error { return os.Truncate(weights(dir), 5000) }, "model.safetensors", "truncated")
	break1("missing weights", func(dir string) error { return os.Remove(weights(dir)) }, "model.safetensors")
	break1("missing tokenizer", func(dir string) error { return os.Remove(filepath.Join(dir, "tokenizer.json")) }, "tokenizer")
	break1("architecture", func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"architectures":["GPT2LMHeadModel"],"model_type":"gpt2"}`), 0o644)
	}, "GPT2LMHeadModel", "LlamaForCausalLM")
	break1("vocabulary", func(dir string) error {
		return testmodelConfig(dir, map[string]any{"vocab_size": 100, "bos_token_id": 1, "eos_token_id": 2})
	}, "vocab")
	break1("NaN", func(dir string) error {
		f, err := os.OpenFile(weights(dir), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte{0, 0, 0xc0, 0x7f}, info.Size()/2&^3)
		return err
	}, "NaN", `tensor "model.layers`, "element")
	for name, at := range map[string][2]int{
		"model.embed_tokens.weight": {5, 3}, "lm_head.weight": {7, 0}, "model.norm.weight": {4, -1},
		"model.layers.1.mlp.down_proj.weight": {31, 55}, "model.layers.0.input_layernorm.weight": {0, -1},
	} { // named by element before the first block
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(-1))} {
			index := fmt.Sprintf("[%d,%d]", at[0], at[1])
			if at[1] < 0 {
				index = fmt.Sprintf("[%d]", at[0])
			}
			break1(fmt.Sprint(name, bad), func(dir string) error {
				f, err := checkpoint.OpenFile(weights(dir))
				if err != nil {
					return err
				}
				defer f.Close()
				tensor, _ := f.Tensor(name)
				i := at[0]
				if at[1] >= 0 {
					i = i*tensor.Shape[1] + at[1]
				}
				data, err := os.ReadFile(weights(dir))
				if err != nil {
					return err
				}
				where := bytes.Index(data, tensor.Data) + 4*i
				binary.LittleEndian.PutUint32(data[where:], math.Float32bits(bad))
				return os.WriteFile(weights(dir), data, 0o644)
			}, fmt.Sprint("is ", bad), `tensor "`+name+`"`, index, "model.safetensors")
		}
	}
	break1("F64", func(dir string) error {
		f, err := checkpoint.OpenFile(weights(dir))
		if err != nil {
			return err
		}
		var specs []checkpoint.TensorSpec
		for _, name := range f.Names() {
			tensor, _ := f.Tensor(name)
			w := make([]float32, tensor.Elems())
			if err := tensor.Float32(w); err != nil {
				return err
			}
			data, err := checkpoint.AppendFloats(nil, checkpoint.F64, w)
			if err != nil {
				return err
			}
			specs = append(specs, checkpoint.TensorSpec{Name: name, DType: checkpoint.F64, Shape: tensor.Shape, Data: data})
		}
		f.Close()
		return checkpoint.WriteFile(weights(dir), specs, nil)
	}, "F64", `tensor "model.embed_tokens.weight"`, "more tensors", "convert it")
}

// testmodelConfig rewrites the model with other fields in its config.json.
func testmodelConfig(dir string, fields map[string]any) error {
	path := filepath.Join(dir, "config.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s := string(raw)
	for k, v := range fields {
		i := strings.Index(s, `"`+k+`":`)
		end := i + strings.IndexAny(s[i:], ",\n")
		s = s[:i] + `"` + k + `": ` + fmt.Sprint(v) + s[end:]
	}
	return os.WriteFile(path, []byte(s), 0o644)
}
