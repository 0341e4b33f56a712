package report

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

const expertsText = "Pack my box with five dozen liquor jugs, said the wizard; 9876 of them. "

// quantizedExperts quantizes the folder's model by a recipe on a short text.
func quantizedExperts(t *testing.T, dir, yaml string, pool *parallel.Pool) (out string) {
	t.Helper()
	out, calib := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "calib.txt")
	if err := os.WriteFile(calib, []byte(strings.Repeat(expertsText, 12)), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := recipe.Parse([]byte("name: t\n"+yaml), "t")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pipeline.Run(t.Context(), pipeline.Options{Dir: dir, Out: out, Recipe: r, Calibration: []string{calib}, Pool: pool, Tool: "test"}); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestExperts looks at models with experts, of which one has blocks without them, too.
func TestExperts(t *testing.T) {
	for _, name := range []string{"olmoe", "qwen3-moe"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := testmodel.FamilyNamed(name).Write(dir); err != nil {
				t.Fatal(err)
			}
			pool := parallel.NewPool(2)
			defer pool.Close()
			for _, yaml := range []string{
				"bits: 4-8-8\nsolve: {method: rtn}\n",
				"bits: 4-8-8\nsmooth: {alpha: 0.5}\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 6, tokens: 32}\n",
			} {
				checkExperts(t, dir, quantizedExperts(t, dir, yaml, pool), pool)
			}
			for _, alpha := range []recipe.Alpha{recipe.Off, 0.5} {
				rows, err := Spectrum(t.Context(), dir, SpectrumOptions{Pool: pool, Alpha: alpha, Windows: 2, Seeds: 1})
				if err != nil {
					t.Fatal(err)
				}
				ck, err := checkpoint.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				defer ck.Close()
				at := 0
				for i := range ck.Config.Layers {
					for _, l := range llama.Layers(ck.Config.Of(i)) {
						for range 2 {
							r := rows[at]
							if r.Layer != llama.TensorPrefix(i)+l.String() || !(r.Before.Share > 0 && r.Before.Share < 1) || (r.After != nil) != (alpha != recipe.Off) {
								t.Fatalf("row %d: %+v, expected layer %s of block %d", at, r, l, i)
							}
							at++
						}
					}
				}
				if at != len(rows) {
					t.Errorf("%d rows, expected %d", len(rows), at)
				}
			}
		})
	}
}

// checkExperts reads the report of an artefact, looks at its checkpoint and writes the page.
func checkExperts(t *testing.T, dir, out string, pool *parallel.Pool) {
	t.Helper()
	s, err := Open(out, pool)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Checkpoint.Close()
	ck, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	p := &Page{Subject: s, Tool: "test", Against: dir}
	if p.Look, err = LookAt(t.Context(), ck, LookOptions{Pool: pool, Pictures: true, Of: s, Windows: 2, Tokens: 32}); err != nil {
		t.Fatal(err)
	}
	n, tokens := 0, p.Look.Windows*p.Look.Tokens
	for i := range ck.Config.Layers {
		c := ck.Config.Of(i)
		sent := 0
		for _, at := range inputsOf(c) {
			in := p.Look.Inputs[n]
			n++
			if in.Block != i || in.Input != at.in || in.Expert != at.expert {
				t.Fatalf("input %d is %+v, expected %v of block %d", n-1, in, at, i)
			}
			if at.expert >= 0 {
				sent += in.Tokens
			} else if in.Tokens != tokens {
				t.Errorf("%d tokens came to %v of block %d, expected %d", in.Tokens, at, i, tokens)
			}
		}
		if sent != tokens*c.Experts.Used {
			t.Errorf("%d tokens came to the experts of block %d, expected %d", sent, i, tokens*c.Experts.Used)
		}
		for k, l := range llama.Layers(c) {
			at := &s.Layers[s.first(i)+k]
			if at.Name != llama.TensorPrefix(i)+l.String() || at.Which != l.Which || at.Expert != l.Expert {
				t.Fatalf("layer %+v, expected %s of block %d", at, l, i)
			}
			e, known := at.OutputError()
			reached := l.Expert < 0 || p.Look.input(i, place{llama.DownInput, l.Expert}) != nil
			if (known || reached) && !(e > 0 && e < 0.5) {
				t.Errorf("%s: output error %v, known %v", at.Name, e, known)
			}
			if s.Manifest.Recipe.NeedsCalibration() && l.Which == llama.Down {
				for _, i := range s.reading(i, llama.DownInput, l.Expert) {
					if s.Layers[i].Which != llama.Down || s.Layers[i].Expert != l.Expert {
						t.Errorf("%s: its input is said to be read by %s", at.Name, s.Layers[i].Name)
					}
				}
			}
		}
	}
	if n != len(p.Look.Inputs) {
		t.Errorf("%d inputs, expected %d", len(p.Look.Inputs), n)
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	html := b.String()
	for _, want := range []string{"of expert ", "Where the spectral energy lies", "the charts show the mean"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(html, "NaN") {
		t.Error("the page has a value that is not a number")
	}
}

// TestDeadExperts: an expert that no token is sent to, and one whose weights are all 0, are
// quantized, looked at and named.
func TestDeadExperts(t *testing.T) {
	dir := t.TempDir()
	if err := testmodel.FamilyNamed("olmoe").Write(dir); err != nil {
		t.Fatal(err)
	}
	edit := func(name string, change func(i int, v float32) float32) {
		t.Helper()
		ck, err := checkpoint.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		tensor, err := ck.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		v, path := make([]float32, tensor.Elems()), tensor.File
		if err := tensor.Float32(v); err != nil {
			t.Fatal(err)
		}
		ck.Close()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		old := make([]byte, 0, 4*len(v))
		for _, x := range v {
			old = binary.LittleEndian.AppendUint32(old, math.Float32bits(x))
		}
		at := bytes.Index(data, old)
		if at < 0 {
			t.Fatalf("%s was not found in %s", name, path)
		}
		for i, x := range v {
			binary.LittleEndian.PutUint32(data[at+4*i:], math.Float32bits(change(i, x)))
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ck, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := ck.Config
	ck.Close()
	const dead, zero = 1, 2
	// Three experts' rows of the router are the negatives of three others', so that three logits
	// are above 0 for any token; the dead expert's logit is 0, and three are chosen.
	var router []float32
	edit(llama.TensorPrefix(0)+llama.RouterName, func(i int, v float32) float32 {
		router = append(router, v)
		row, col := i/c.HiddenSize, i%c.HiddenSize
		opposite := map[int]int{4: 3, 6: 5, 7: 0}
		if row == dead {
			return 0
		}
		if of, ok := opposite[row]; ok {
			return -router[of*c.HiddenSize+col]
		}
		return v
	})
	for _, l := range []llama.Which{llama.Gate, llama.Up, llama.Down} {
		edit(llama.TensorPrefix(0)+llama.Layer{Which: l, Expert: zero}.String()+".weight", func(int, float32) float32 { return 0 })
	}
	pool := parallel.NewPool(2)
	defer pool.Close()
	for _, yaml := range []string{
		"bits: 4-8-8\nsolve: {method: rtn}\n",
		"bits: 4-8-8\nsmooth: {alpha: [off, 0.5]}\nrotate: {heads: hadamard, down: hadamard, seed: 3}\nsolve: {method: gptq, damp: 0.01, act-order: true}\ncalibration: {samples: 6, tokens: 32}\n",
	} {
		out := quantizedExperts(t, dir, yaml, pool)
		s, err := Open(out, pool)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Checkpoint.Close()
		ck, err := checkpoint.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer ck.Close()
		look, err := LookAt(t.Context(), ck, LookOptions{Pool: pool, Pictures: true, Of: s, Windows: 2, Tokens: 32})
		if err != nil {
			t.Fatal(err)
		}
		if in := look.input(0, place{llama.DownInput, dead}); in != nil {
			t.Errorf("the dead expert was sent %d tokens", in.Tokens)
		}
		found := Diagnose(s, look, nil)
		for _, f := range found {
			if strings.Contains(f.Detail, "NaN") {
				t.Errorf("%+v", f)
			}
		}
		if !strings.Contains(text(found), "none to 1") {
			t.Errorf("that no token is sent to an expert is not named:\n%s", text(found))
		}
		if !strings.Contains(text(found), "output channels of zeros") {
			t.Errorf("an expert of zeros is not named:\n%s", text(found))
		}
	}
}

func text(found []Finding) string {
	var b strings.Builder
	for _, f := range found {
		b.WriteString(f.Where + ": " + f.Cause + ": " + f.Detail + "\n")
	}
	return b.String()
}
