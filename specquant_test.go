package specquant_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/gguf"
	"github.com/specquant/specquant/internal/testdata"
	"github.com/specquant/specquant/internal/testmodel"
)

const text = "How vexingly quick daft zebras jump; sphinx of black quartz, judge my vow 12345 times. "

func model(t *testing.T, o testmodel.Options) (dir, calib string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "model")
	if err := testmodel.Write(dir, o); err != nil {
		t.Fatal(err)
	}
	calib = filepath.Join(t.TempDir(), "calibration.txt")
	if err := os.WriteFile(calib, []byte(strings.Repeat(text, 20)), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, calib
}

// TestLibrary walks through what a program does: plan, quantize, open,
// generate, measure.
func TestLibrary(t *testing.T) {
	dir, calib := model(t, testmodel.Options{})
	out := filepath.Join(t.TempDir(), "out")
	o := specquant.QuantizeOptions{Bits: "4-8-8", Calibration: []string{calib}, KeepBad: true}
	plan, err := specquant.PlanQuantize(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Peak <= 0 || plan.Blocks != 2 || plan.Windows == 0 {
		t.Errorf("plan: %+v", plan)
	}
	report, err := specquant.Quantize(t.Context(), dir, out, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Layers) != 14 || report.Check == nil {
		t.Errorf("report: %d layers, check %v", len(report.Layers), report.Check)
	}
	read, err := specquant.ReadReport(out)
	if err != nil {
		t.Fatal(err)
	}
	for i := range report.Layers {
		report.Layers[i].Seconds = 0 // which the file does not have
	}
	if !reflect.DeepEqual(read, report) {
		t.Errorf("read again: %+v, want %+v", read, report)
	}
	if _, err := specquant.ReadReport(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the report of a checkpoint: %v", err)
	}
	m, err := specquant.Open(out, specquant.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Bits().String() != "4-8-8" || m.Context() != 64 {
		t.Errorf("bits %s, context %d", m.Bits(), m.Context())
	}
	generate := func(o specquant.GenerateOptions) (ids []int) {
		t.Helper()
		for token, err := range m.Generate(t.Context(), "zebra", o) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, token.ID)
		}
		return ids
	}
	sampled := specquant.GenerateOptions{MaxTokens: 20, Temperature: 1, Seed: 3, IgnoreEOS: true}
	first := generate(sampled)
	if len(first) < 20 || !slices.Equal(first, generate(sampled)) {
		t.Errorf("the same seed gives %v and %v", first, generate(sampled))
	}
	sampled.Seed = 4
	if slices.Equal(first, generate(sampled)) {
		t.Error("another seed gives the same text")
	}
	if n := len(generate(specquant.GenerateOptions{IgnoreEOS: true})); n < 58 || n > 59 { // 64 less <s> and "zebra", plus a rest of bytes
		t.Errorf("%d tokens fill a context of 64", n)
	}
	p, err := m.Perplexity(t.Context(), strings.Repeat(text, 5), specquant.PerplexityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if f := p.Fingerprint; p.Perplexity.Mean < 1 || f.Protocol != "gptq" || f.Window != 64 || f.Tokens != f.Windows*63 {
		t.Errorf("perplexity %+v", p)
	}
	ref, err := specquant.Open(dir, specquant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer ref.Close()
	same, err := ref.Divergence(t.Context(), ref, strings.Repeat(text, 5), specquant.DivergenceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if same.KL.Mean != 0 || same.Top1.Mean != 1 {
		t.Errorf("a model differs from itself: %+v", same.Divergence)
	}
	d, err := m.Divergence(t.Context(), ref, strings.Repeat(text, 5), specquant.DivergenceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !(d.KL.Mean > 0) || !(d.KLBack.Mean > 0) {
		t.Errorf("divergence %+v", d.Divergence)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range m.Generate(ctx, "x", specquant.GenerateOptions{}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
	var full *specquant.ContextError
	for _, err := range m.Generate(t.Context(), strings.Repeat("x", 100), specquant.GenerateOptions{}) {
		if !errors.As(err, &full) {
			t.Errorf("a prompt that does not fit: %v", err)
		}
	}
}

// TestRejected: a model that talks nonsense is a failure, not a result.
func TestRejected(t *testing.T) {
	dir, calib := model(t, testmodel.Options{Layers: 4})
	planted := filepath.Join(t.TempDir(), "recipe.yaml")
	// Four bits for everything and a range clipped to a tenth: nothing survives.
	yaml := "name: worst\nbits: 4-4-4\nactivations: {clip: 0.1}\nsolve: {method: rtn}\n"
	if err := os.WriteFile(planted, []byte(yaml), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	_, err := specquant.Quantize(t.Context(), dir, out, specquant.QuantizeOptions{Recipe: planted, Calibration: []string{calib}})
	var rejected *specquant.RejectedError
	if !errors.As(err, &rejected) {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a rejected model has its final name")
	}
}

// TestGreedy holds generation to what independent float64 programs say.
func TestGreedy(t *testing.T) {
	dirs := map[string]string{}
	for _, name := range []string{"tinystories-656k", "books-1m", "books-5m"} {
		dirs[name] = testdata.Path(t, "models", name)
	}
	dirs["stories260k"] = filepath.Join(t.TempDir(), "stories260k")
	if err := gguf.Import(testdata.Path(t, "models", "stories260k", "stories260K-f32.gguf"), dirs["stories260k"]); err != nil {
		t.Fatal(err)
	}
	for name, dir := range dirs {
		t.Run(name, func(t *testing.T) {
			g := testdata.ReadGolden(t, testdata.Path(t, "models", name, "golden_f64.json"))
			m, err := specquant.Open(dir, specquant.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			prompt := m.Decode(g.PromptIDs)
			ids, err := m.Encode(prompt)
			if err != nil || !slices.Equal(ids, g.PromptIDs) {
				t.Fatalf("the prompt %q is %v, want %v, %v", prompt, ids, g.PromptIDs, err)
			}
			for token, err := range m.Generate(t.Context(), prompt, specquant.GenerateOptions{MaxTokens: len(g.GreedyIDs) - len(ids), IgnoreEOS: true}) {
				if err != nil {
					t.Fatal(err)
				}
				if token.ID >= 0 {
					ids = append(ids, token.ID)
				}
			}
			if !slices.Equal(ids, g.GreedyIDs) {
				t.Errorf("got %v\nwant %v", ids, g.GreedyIDs)
			}
		})
	}
}

// TestOpenErrors: kinds of errors can be told apart.
func TestOpenErrors(t *testing.T) {
	dir, _ := model(t, testmodel.Options{})
	if err := os.Truncate(filepath.Join(dir, "model.safetensors"), 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := specquant.Open(dir, specquant.Options{}); !errors.Is(err, specquant.ErrMalformed) {
		t.Errorf("truncated: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"architectures":["FalconForCausalLM"],"model_type":"falcon"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := specquant.Open(dir, specquant.Options{}); !errors.Is(err, specquant.ErrUnsupported) {
		t.Errorf("unsupported: %v", err)
	}
}

// TestNames: what options may name is listed.
func TestNames(t *testing.T) {
	if got := specquant.Protocols(); !slices.Contains(got, "gptq") || !slices.Contains(got, "lm-eval") {
		t.Errorf("protocols %v", got)
	}
	for _, name := range specquant.Ablations() {
		_, err := specquant.CompareRecipes(t.Context(), t.TempDir(), specquant.CompareOptions{Ablation: name})
		if err == nil || strings.Contains(err.Error(), "unknown ablation") {
			t.Errorf("ablation %s: %v", name, err)
		}
	}
}
