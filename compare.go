package specquant

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/method"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/tokenizer"
)

// CompareOptions describe a table of recipes at bit settings, all measured on
// one text by one protocol.
type CompareOptions struct {
	Recipes     []string // none: rtn and specquant
	Bits        []string // none: 4-16-16, 4-4-16, 4-4-4, the paper's settings
	Calibration []string // text files; none: the embedded text
	Text        string   // the evaluation text itself
	Window      int      // tokens of a window; 0: 2048, at most the model's context
	MaxWindows  int      // 0: all
	Threads     int

	// Cell is told of every finished row; it may be nil.
	Cell func(Row)
}

// Row is one line of a comparison. Perplexity, KL and top-1 agreement are over
// all predicted tokens of the evaluation windows; the rest of the fields count
// what is stored.
type Row struct {
	Recipe        string   `json:"recipe"` // "full precision" for the reference
	Bits          string   `json:"bits"`
	Perplexity    Estimate `json:"perplexity"`
	KL            Estimate `json:"kl"`              // from full precision, nats a token
	Top1          Estimate `json:"top1"`            // share of equal most likely tokens
	BitsPerWeight float64  `json:"bits_per_weight"` // of the linear layers of the blocks, scales and branch counted
	Bytes         int64    `json:"bytes"`           // all weights on disk, embeddings included
	Seconds       float64  `json:"seconds"`         // to quantize
}

// Table is a comparison with its protocol.
type Table struct {
	Windows int   `json:"windows"`
	Window  int   `json:"window"`
	Tokens  int   `json:"tokens"` // predicted, in each row
	Rows    []Row `json:"rows"`
}

// CompareRecipes quantizes the checkpoint in dir by every recipe at every bit
// setting, in a temporary folder, and measures each against full precision.
func CompareRecipes(ctx context.Context, dir string, o CompareOptions) (*Table, error) {
	if len(o.Recipes) == 0 {
		o.Recipes = []string{"rtn", "specquant"}
	}
	if len(o.Bits) == 0 {
		o.Bits = []string{"4-16-16", "4-4-16", "4-4-4"}
	}
	work, err := os.MkdirTemp("", "specquant-compare-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()

	ref, err := engine.Open(dir, engine.Options{Pool: pool})
	if err != nil {
		return nil, err
	}
	defer ref.Close()
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return nil, err
	}
	ids, err := tok.Encode(o.Text, true)
	if err != nil {
		return nil, err
	}
	if o.Window == 0 {
		o.Window = 2048
	}
	windows, err := eval.Windows(ids, min(o.Window, ref.Context))
	if err != nil {
		return nil, err
	}
	if o.MaxWindows > 0 && len(windows) > o.MaxWindows {
		windows = windows[:o.MaxWindows]
	}
	t := &Table{Windows: len(windows), Window: len(windows[0]), Tokens: len(windows) * (len(windows[0]) - 1)}
	add := func(r Row) {
		t.Rows = append(t.Rows, r)
		if o.Cell != nil {
			o.Cell(r)
		}
	}
	full, err := eval.Perplexity(ctx, ref, windows, nil)
	if err != nil {
		return nil, err
	}
	add(Row{Recipe: "full precision", Bits: quant.Full.String(), Perplexity: full, Top1: Estimate{Mean: 1},
		BitsPerWeight: storedBits(ref.Checkpoint), Bytes: ref.Checkpoint.Bytes()})
	for _, bits := range o.Bits {
		for _, recipe := range o.Recipes {
			out := filepath.Join(work, fmt.Sprintf("%s-%s", filepath.Base(recipe), bits))
			start := time.Now()
			q := QuantizeOptions{Recipe: recipe, Bits: bits, Threads: o.Threads, KeepBad: true}
			if r, err := method.Load(recipe); err != nil {
				return nil, err
			} else if r.NeedsCalibration() { // a recipe that does not is timed without
				q.Calibration = o.Calibration
			}
			report, err := Quantize(ctx, dir, out, q)
			if err != nil {
				return nil, fmt.Errorf("%s at %s: %w", recipe, bits, err)
			}
			seconds := time.Since(start).Seconds()
			row, err := measure(ctx, ref, out, pool, windows, report)
			if err != nil {
				return nil, fmt.Errorf("%s at %s: %w", recipe, bits, err)
			}
			row.Recipe, row.Bits, row.Seconds = recipe, bits, seconds
			add(row)
			if err := os.RemoveAll(out); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

func measure(ctx context.Context, ref *engine.Model, dir string, pool *kernel.Pool, windows [][]int, report *artefact.Manifest) (Row, error) {
	m, err := engine.Open(dir, engine.Options{Pool: pool, Context: ref.Context})
	if err != nil {
		return Row{}, err
	}
	defer m.Close()
	tokens, err := eval.Compare(ctx, ref, m, windows, nil)
	if err != nil {
		return Row{}, err
	}
	d := eval.Summarize(tokens)
	return Row{Perplexity: d.Perplexity, KL: d.KL, Top1: d.Top1, BitsPerWeight: report.BitsPerWeight, Bytes: m.Checkpoint.Bytes()}, nil
}

// storedBits is the size of a weight of the checkpoint's linear layers.
func storedBits(ck *checkpoint.Checkpoint) float64 {
	t, err := ck.Tensor("model.layers.0.mlp.down_proj.weight")
	if err != nil || t.Elems() == 0 {
		return 0
	}
	return 8 * float64(len(t.Data)) / float64(t.Elems())
}
