package specquant

import (
	"context"
	"encoding/json"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/compare"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/pipeline"
)

// EvaluationText is a text that models are compared on, with the name that tables
// give it.
type EvaluationText struct{ Name, Content string }

// CompareOptions describe a table of recipes at bit settings, all measured on
// the same texts by one protocol. Only Texts has to be given.
type CompareOptions struct {
	Recipes     []string         // embedded names or .yaml files; none: rtn, [PaperRecipe] and [DefaultRecipe], but none beside Also; for an ablation [PaperRecipe]
	Bits        []string         // W-A-KV such as 4-8-8, a size such as 92MB that is filled with bits, or "default", the recipe's own; none: 4-16-16, 4-4-16 and 4-4-4, the paper's settings; for an ablation 4-4-16, as in its tables 3 and 4
	Also        []string         // models measured as they are beside those that are made: quantized folders, GGUF files
	Ablation    string           // "", or one of [Ablations]: then the rows are variants of the recipes
	Calibration []string         // text files; none: the embedded text
	Texts       []EvaluationText // evaluation texts; at least one
	Window      int              // tokens of a window; 0: 2048, at most the model's context
	MaxWindows  int              // how many windows of each text are evaluated; 0: all
	Threads     int              // 0: one for each CPU
	MaxMemory   int64            // bytes that a quantization may take; 0: no limit
	Strict      bool             // make an error of a [Fallback], and of an evaluation text that was used for calibration

	// Work is a folder that keeps finished rows and unfinished quantizations, so that an
	// interrupted comparison can continue; it is created if it is missing. "": a temporary
	// folder, removed at the end.
	Work string

	Note     func(string)                       // called with warnings; may be nil
	Cell     func(Row)                          // called with every finished row; may be nil
	Progress func(recipe, bits string, e Event) // called with the progress of each quantization; may be nil
	// Measuring is called while the models of Also are measured, with the number of tokens
	// done and their total. It may be nil.
	Measuring func(tokens, of int)
}

// FullPrecision is the name of the reference's row.
const FullPrecision = compare.FullPrecision

// AsItIs is [Row.Bits] of a model that was not quantized by this program and does not state its
// bits.
const AsItIs = compare.AsItIs

// Row is one line of a comparison. Perplexity, KL and Top1 are over all predicted
// tokens of all texts. Its JSON is flat: ppl, ppl_se and so on.
type Row struct {
	Recipe        string     // [FullPrecision] for the reference; of a model of [CompareOptions.Also] its path
	Bits          string     // of weights, activations and KV cache, such as 4-4-16, or [AsItIs]
	Perplexity    Estimate   // a token
	KL            Estimate   // divergence from full precision, nats a token
	Top1          Estimate   // share of tokens whose most likely token is full precision's
	WorstShare    float64    // share of the summed KL that comes from the 0.1 % of the tokens with the largest KL
	ByText        []Measure  // the same for each text, where there are several
	HeldOutKL     float64    // KL on held-out windows of the calibration text, from the check at the end of [Quantize]; 0: not known
	BitsPerWeight float64    // of the linear layers of the blocks, scales and branch counted
	Bytes         int64      // all weights on disk, embeddings included
	TotalBytes    int64      // of the model's whole folder or file, tokenizer and all
	Seconds       float64    // to quantize; of an interrupted job, those of all its runs
	Prefill       float64    // seconds of one window, the best of five passes; 0: not measured (only the ablation "groups" does)
	Fallbacks     []Fallback // where the job did not do what the recipe says

	Reused bool      // found finished in the work folder; not in the JSON
	Made   time.Time // when its file was written, by the file system's clock; not in the JSON
}

// Generalization is the generalization ratio: KL on the evaluation texts over that on
// held-out windows of the calibration text; 0 where that is not known. A ratio far above 1
// means that the recipe is overfitted to its calibration text.
func (r Row) Generalization() float64 {
	return (&compare.Row{KL: eval.Estimate(r.KL), HeldOutKL: r.HeldOutKL}).Generalization()
}

// Measure is a row's result on one of several texts.
type Measure struct {
	Text       string   // its name
	Tokens     int      // predicted
	Perplexity Estimate // a token
	KL         Estimate // divergence from full precision, nats a token
	Top1       Estimate // share of tokens whose most likely token is full precision's
	WorstShare float64  // share of the summed KL that comes from the 0.1 % of the tokens with the largest KL
}

// MarshalJSON implements json.Marshaler.
func (r Row) MarshalJSON() ([]byte, error) {
	var measures []compare.Measure
	for _, m := range r.ByText {
		measures = append(measures, compare.Measure{Text: m.Text, Tokens: m.Tokens, Perplexity: eval.Estimate(m.Perplexity), KL: eval.Estimate(m.KL), Top1: eval.Estimate(m.Top1), WorstShare: m.WorstShare})
	}
	var fallbacks []artefact.Fallback
	for _, f := range r.Fallbacks {
		fallbacks = append(fallbacks, artefact.Fallback(f))
	}
	return json.Marshal(compare.Row{Recipe: r.Recipe, Bits: r.Bits, Perplexity: eval.Estimate(r.Perplexity), KL: eval.Estimate(r.KL), Top1: eval.Estimate(r.Top1),
		WorstShare: r.WorstShare, ByText: measures, HeldOutKL: r.HeldOutKL,
		BitsPerWeight: r.BitsPerWeight, Bytes: r.Bytes, TotalBytes: r.TotalBytes, Seconds: r.Seconds, Prefill: r.Prefill, Fallbacks: fallbacks})
}

// newRow is the public form of a row.
func newRow(r compare.Row) Row {
	row := Row{Recipe: r.Recipe, Bits: r.Bits, Perplexity: Estimate(r.Perplexity), KL: Estimate(r.KL), Top1: Estimate(r.Top1), WorstShare: r.WorstShare, HeldOutKL: r.HeldOutKL,
		BitsPerWeight: r.BitsPerWeight, Bytes: r.Bytes, TotalBytes: r.TotalBytes, Seconds: r.Seconds, Prefill: r.Prefill, Fallbacks: newFallbacks(r.Fallbacks),
		Reused: r.Reused, Made: r.Made}
	for _, m := range r.ByText {
		row.ByText = append(row.ByText, Measure{Text: m.Text, Tokens: m.Tokens, Perplexity: Estimate(m.Perplexity), KL: Estimate(m.KL), Top1: Estimate(m.Top1), WorstShare: m.WorstShare})
	}
	return row
}

// Table is a comparison with its protocol.
type Table struct {
	Protocol    string   `json:"protocol"`           // what makes two tables comparable, in a line
	Ablation    string   `json:"ablation,omitempty"` // as asked for
	Texts       []string `json:"texts"`              // their names
	Windows     int      `json:"windows"`            // evaluated, of all texts
	Window      int      `json:"window"`             // tokens of each, of the longest where a text is shorter
	Tokens      int      `json:"tokens"`             // predicted, in each row
	ModelHash   string   `json:"model_sha256"`       // of the hashes of the checkpoint's files
	TextHash    string   `json:"text_sha256"`        // of the evaluation text; of several, of their hashes
	Calibration []string `json:"calibration_sha256"` // of the calibration texts
	Warnings    []string `json:"warnings,omitempty"` // such as an evaluation text that was used for calibration
	Rows        []Row    `json:"rows"`               // full precision first

	Failed []FailedRow `json:"failed,omitempty"` // rows that are missing because they could not be made
}

// FailedRow is a row of a comparison that could not be made.
type FailedRow struct {
	Recipe string `json:"recipe"` // of a model of [CompareOptions.Also] its path
	Bits   string `json:"bits"`   // the setting as it was asked for
	Error  string `json:"error"`  // why
}

// Ablations lists what [CompareOptions.Ablation] may be:
//
//	components  the stages one by one: the paper's table 3
//	groups      components kept per channel: table 4
//	importance  what makes a channel important: table 5
//	axis        output channels, input channels, no branch: ours
func Ablations() []string { return compare.Ablations() }

// CompareRecipes quantizes the checkpoint in dir by every recipe at every bit
// setting and measures each against full precision. Cells that the work folder
// holds are not computed again, and a comparison that was interrupted, even
// inside a quantization, continues where it stopped. A row that can't be made does not end the
// comparison: the table then lacks it and comes with an error that names the missing rows,
// which are in [Table.Failed] too.
func CompareRecipes(ctx context.Context, dir string, o CompareOptions) (*Table, error) {
	c := compare.Options{Recipes: o.Recipes, Bits: o.Bits, Ablation: o.Ablation, Also: o.Also, Calibration: o.Calibration,
		Window: o.Window, MaxWindows: o.MaxWindows, Version: Version, Threads: o.Threads, MaxMemory: o.MaxMemory, Strict: o.Strict, Work: o.Work}
	for _, t := range o.Texts {
		c.Texts = append(c.Texts, compare.Text(t))
	}
	c.Note, c.Measuring = o.Note, o.Measuring
	if o.Cell != nil {
		c.Cell = func(r compare.Row) { o.Cell(newRow(r)) }
	}
	if o.Progress != nil {
		c.Progress = func(recipe, bits string, e pipeline.Event) { o.Progress(recipe, bits, newEvent(e)) }
	}
	t, err := compare.Run(ctx, dir, c)
	if err != nil {
		err = publicError(err)
	}
	if t == nil {
		return nil, err
	}
	return newTable(t), err
}

// newTable is the public form of a table.
func newTable(t *compare.Table) *Table {
	table := &Table{Protocol: t.Protocol, Ablation: t.Ablation, Texts: t.Texts, Windows: t.Windows, Window: t.Window, Tokens: t.Tokens,
		ModelHash: t.ModelHash, TextHash: t.TextHash, Calibration: t.Calibration, Warnings: t.Warnings}
	for _, r := range t.Rows {
		table.Rows = append(table.Rows, newRow(r))
	}
	for _, f := range t.Failed {
		table.Failed = append(table.Failed, FailedRow{f.Recipe, f.Bits, f.Err.Error()})
	}
	return table
}
