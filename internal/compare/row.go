package compare

import (
	"encoding/json"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/jsonfloat"
)

// FullPrecision is the name of the reference's row.
const FullPrecision = "full precision"

// AsItIs is the bit setting of an existing model that does not state its bits.
const AsItIs = "as it is"

// Row is one line of a comparison. Perplexity, KL and top-1 agreement are over
// all predicted tokens of all texts; the rest of the fields count
// what is stored. Its JSON is flat: ppl, ppl_se and so on.
type Row struct {
	Recipe        string // [FullPrecision] for the reference; of a model of [Options.Also] its path
	Bits          string // of weights, activations and KV cache as made, such as 5-8-8; [AsItIs]
	Perplexity    eval.Estimate
	KL            eval.Estimate // from full precision, nats a token
	Top1          eval.Estimate // share of tokens whose most likely token is full precision's
	WorstShare    float64       // share of the summed KL that comes from the 0.1 % of the tokens with the largest KL
	ByText        []Measure     // the same for each text, where there are several
	HeldOutKL     float64       // KL on held-out windows of the calibration text, from the check at the end of quantize; 0: not known
	BitsPerWeight float64       // of the linear layers of the blocks, scales and branch counted
	Bytes         int64         // all weights on disk, embeddings included
	TotalBytes    int64         // of the model's whole folder or file, tokenizer and all
	Seconds       float64       // to quantize; of an interrupted job, those of all its runs
	Prefill       float64       // seconds of one window, the best of five passes; 0: not measured (only the ablation "groups" does)

	Fallbacks []artefact.Fallback // where the job deviated from the recipe

	Reused bool      // found finished in the work folder; not stored
	Made   time.Time // when its file was written, by the file system's clock; not stored
	Build  string    // the program that made it, as [BuildOf] names it; not stored
}

// Measure is a row's result on one of several texts.
type Measure struct {
	Text       string        `json:"text"`
	Tokens     int           `json:"tokens"` // predicted
	Perplexity eval.Estimate `json:"ppl"`
	KL         eval.Estimate `json:"kl"`
	Top1       eval.Estimate `json:"top1"`
	WorstShare float64       `json:"kl_worst_share"`
}

// Generalization is the generalization ratio: KL on the evaluation texts over that on
// held-out windows of the calibration text; 0 where that is not known. A ratio far above 1
// means that the recipe is overfitted to its calibration text.
func (r *Row) Generalization() float64 {
	if r.HeldOutKL <= 0 {
		return 0
	}
	return r.KL.Mean / r.HeldOutKL
}

// rowJSON is the JSON form of a row.
type rowJSON struct {
	Recipe        string          `json:"recipe"`
	Bits          string          `json:"bits"`
	PPL           jsonfloat.Float `json:"ppl"`
	PPLErr        jsonfloat.Float `json:"ppl_se"`
	KL            jsonfloat.Float `json:"kl"`
	KLErr         jsonfloat.Float `json:"kl_se"`
	Top1          jsonfloat.Float `json:"top1"`
	Top1Err       jsonfloat.Float `json:"top1_se"`
	WorstShare    float64         `json:"kl_worst_share,omitempty"`
	ByText        []Measure       `json:"texts,omitempty"`
	HeldOutKL     float64         `json:"kl_held_out,omitempty"`
	BitsPerWeight float64         `json:"bits_per_weight"`
	Bytes         int64           `json:"bytes"`
	TotalBytes    int64           `json:"total_bytes,omitempty"`
	Seconds       float64         `json:"seconds"`
	Prefill       float64         `json:"prefill_seconds,omitempty"`

	Fallbacks []artefact.Fallback `json:"fallbacks,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (r Row) MarshalJSON() ([]byte, error) {
	return json.Marshal(rowJSON{r.Recipe, r.Bits, jsonfloat.Float(r.Perplexity.Mean), jsonfloat.Float(r.Perplexity.StdErr), jsonfloat.Float(r.KL.Mean), jsonfloat.Float(r.KL.StdErr),
		jsonfloat.Float(r.Top1.Mean), jsonfloat.Float(r.Top1.StdErr),
		r.WorstShare, r.ByText, r.HeldOutKL, r.BitsPerWeight, r.Bytes, r.TotalBytes, r.Seconds, r.Prefill, r.Fallbacks})
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Row) UnmarshalJSON(data []byte) error {
	var v rowJSON
	if err := input.JSON(data, &v); err != nil {
		return err
	}
	*r = Row{Recipe: v.Recipe, Bits: v.Bits, Perplexity: eval.Estimate{Mean: float64(v.PPL), StdErr: float64(v.PPLErr)}, KL: eval.Estimate{Mean: float64(v.KL), StdErr: float64(v.KLErr)},
		Top1: eval.Estimate{Mean: float64(v.Top1), StdErr: float64(v.Top1Err)}, WorstShare: v.WorstShare, ByText: v.ByText, HeldOutKL: v.HeldOutKL,
		BitsPerWeight: v.BitsPerWeight, Bytes: v.Bytes, TotalBytes: v.TotalBytes, Seconds: v.Seconds, Prefill: v.Prefill, Fallbacks: v.Fallbacks}
	return nil
}

// Table is a comparison with its protocol.
type Table struct {
	Protocol    string   `json:"protocol"` // what makes two tables comparable, in a line
	Ablation    string   `json:"ablation,omitempty"`
	Texts       []string `json:"texts"`   // their names
	Windows     int      `json:"windows"` // of all texts
	Window      int      `json:"window"`  // tokens of each, of the longest where a text is shorter
	Tokens      int      `json:"tokens"`  // predicted, in each row
	ModelHash   string   `json:"model_sha256"`
	TextHash    string   `json:"text_sha256"` // of the text; of several, of their hashes
	Calibration []string `json:"calibration_sha256"`
	Warnings    []string `json:"warnings,omitempty"`
	Rows        []Row    `json:"rows"`

	Failed []Failure `json:"failed,omitempty"` // rows that are missing
}
