package main

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/plural"
)

// The demo's model was trained for this project on public-domain books (one
// million parameters, byte-level BPE of 1024 tokens); its evaluation text was
// written for this project and is in neither the training nor the calibration
// text.
//
//go:embed demo
var demoFiles embed.FS

type demoCmd struct {
	Keep    string `help:"Folder in which to keep the checkpoint and the quantized model; must not exist." placeholder:"DIR"`
	Threads int    `help:"Threads. 0: one for each CPU." default:"0"`
}

const demoPrompt = "The old man looked at the sea, and said"

func (c *demoCmd) Run(e *env) error {
	start := time.Now()
	dir := c.Keep
	if dir == "" {
		tmp, err := os.MkdirTemp("", "specquant-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		e.scratch.Store(&tmp)
		dir = tmp
	} else if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	model, out := filepath.Join(dir, "books-1m"), filepath.Join(dir, "books-1m-4-4-4")
	if err := unpackDemo(model); err != nil {
		os.RemoveAll(dir) // remove the incomplete folder
		return err
	}
	text, err := demoFiles.ReadFile("demo/evaluation.txt")
	if err != nil {
		return err
	}
	if err := c.compare(e, model, string(text), start); err != nil {
		return err
	}
	fmt.Fprintln(e.out)
	if err := c.generate(e, model, out); err != nil {
		return err
	}
	fmt.Fprintf(e.err, "\ndone in %s; your own model: specquant quantize DIR -o OUT\n", durationText(time.Since(start)))
	return nil
}

// compare prints the accuracy of three recipes at three bit settings.
func (c *demoCmd) compare(e *env, model, text string, start time.Time) error {
	fmt.Fprintln(e.out, "A LLaMA of one million parameters, trained on old books, is quantized by plain rounding (rtn), by SpecQuant as published")
	fmt.Fprintln(e.out, "(specquant) and by the default recipe (specquant-fast) at that paper's three bit settings, each measured against")
	fmt.Fprintln(e.out, "full precision on a text that was used neither for training nor for calibration.")
	fmt.Fprintln(e.out)
	t, err := specquant.CompareRecipes(e.ctx, model, specquant.CompareOptions{Texts: []specquant.EvaluationText{{Name: "books", Content: text}}, Threads: c.Threads,
		Cell: func(r specquant.Row) {
			if e.isTerm {
				fmt.Fprintf(e.err, "\r\x1b[K%s %s done, %s", r.Recipe, r.Bits, durationText(time.Since(start)))
			}
		}})
	if e.isTerm {
		fmt.Fprint(e.err, "\r\x1b[K")
	}
	if err != nil {
		return err
	}
	printTable(e.out, t, false)
	fmt.Fprintf(e.out, "Perplexity by the GPTQ protocol: %s of %s, %d predicted, ± standard error. KL divergence in nats a token,\n", plural.Of(t.Windows, "window"), plural.Of(t.Window, "token"), t.Tokens)
	fmt.Fprintln(e.out, "from full precision. Bits per weight are those of the blocks' linear layers, with scales and branch; at this")
	fmt.Fprintln(e.out, "model's width of 128 the branch is expensive: one 16-bit number for every channel is 1/8 bit per weight.")
	return nil
}

// generate quantizes the model by the default recipe to the folder out, and lets it continue a text.
func (c *demoCmd) generate(e *env, model, out string) error {
	if _, err := specquant.Quantize(e.ctx, model, out, specquant.QuantizeOptions{Bits: "4-4-4", Threads: c.Threads}); err != nil {
		return err
	}
	m, err := specquant.Open(out, specquant.Options{Threads: c.Threads})
	if err != nil {
		return err
	}
	defer m.Close()
	fmt.Fprintf(e.out, "The %s model continues a text:\n\n%s", m.Bits(), demoPrompt)
	for token, err := range m.Generate(e.ctx, demoPrompt, specquant.GenerateOptions{MaxTokens: 200, Temperature: 0.8, TopP: 0.95, MinP: 0.05, Seed: 7}) {
		if err != nil {
			return err
		}
		fmt.Fprint(e.out, token.Text)
	}
	fmt.Fprintln(e.out)
	return nil
}

// unpackDemo writes the embedded model to a folder.
func unpackDemo(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	files, err := fs.Sub(demoFiles, "demo/model")
	if err != nil {
		return err
	}
	return os.CopyFS(dir, files)
}
