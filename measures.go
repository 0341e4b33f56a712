package specquant

import (
	"encoding/json"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/eval/tasks"
	"github.com/specquant/specquant/internal/jsonfloat"
	"github.com/specquant/specquant/internal/quant"
)

// Bits is a setting of weight, activation and KV cache bits, written 4-4-16. 16
// means not quantized.
type Bits struct {
	Weights     int `json:"weights"`
	Activations int `json:"activations"`
	KV          int `json:"kv"`
}

// String is the setting as it is written.
func (b Bits) String() string { return quant.Bits(b).String() }

// ParseBits reads a setting such as "4-4-16". Weights may have 2 to 8 bits,
// activations and KV cache 4, 8 or 16.
func ParseBits(s string) (Bits, error) {
	b, err := quant.ParseBits(s)
	return Bits(b), err
}

// Estimate is a mean and its standard error.
type Estimate struct {
	Mean   float64 `json:"mean"`
	StdErr float64 `json:"std_err"`
}

// MarshalJSON implements json.Marshaler. A standard error that is not known, as of one
// value, is null; an infinite mean is "Infinity".
func (e Estimate) MarshalJSON() ([]byte, error) { return eval.Estimate(e).MarshalJSON() }

// UnmarshalJSON implements json.Unmarshaler.
func (e *Estimate) UnmarshalJSON(data []byte) error { return (*eval.Estimate)(e).UnmarshalJSON(data) }

// estimate is the public form of an estimate that may be missing.
func estimate(e *eval.Estimate) *Estimate {
	if e == nil {
		return nil
	}
	v := Estimate(*e)
	return &v
}

// Fingerprint records how and on what a number was measured. Numbers may be compared if their
// fingerprints differ only in the model.
type Fingerprint struct {
	Protocol  string `json:"protocol"`                      // such as gptq
	Window    int    `json:"window,omitempty"`              // tokens
	BOS       string `json:"bos"`                           // where beginning-of-text tokens are put
	Documents string `json:"documents,omitempty"`           // how the text was cut
	Windows   int    `json:"windows,omitempty"`             // measured
	Tokens    int    `json:"tokens"`                        // scored
	StdErr    string `json:"standard_error_over,omitempty"` // the unit that standard errors treat as independent
	Tokenizer string `json:"tokenizer_sha256"`              // of the tokenizer's files
	Text      string `json:"text_sha256,omitempty"`
	Model     string `json:"model_sha256"`
	Against   string `json:"against_sha256,omitempty"` // the reference model
	Bits      string `json:"bits"`
	Tool      string `json:"tool,omitempty"`     // name and version of the program
	LeftOut   string `json:"left_out,omitempty"` // questions of tasks that could not be posed
}

// String is the short form, in one bracket.
func (f Fingerprint) String() string { return eval.Fingerprint(f).String() }

// Overlap is what an evaluation text has in common with a calibration text.
type Overlap struct {
	Source string  `json:"source"`  // the calibration text
	Same   bool    `json:"same"`    // they are the same text
	Lines  int     `json:"lines"`   // lines of the evaluation text that are in the calibration text
	Share  float64 `json:"share"`   // of the evaluation text's bytes in such lines
	Reason string  `json:"unknown"` // why the texts could not be compared; "": they were
}

// Any reports whether the texts have anything in common.
func (o Overlap) Any() bool { return eval.Overlap(o).Any() }

// String describes the overlap in a sentence.
func (o Overlap) String() string { return eval.Overlap(o).String() }

func newOverlaps(all []eval.Overlap) (out []Overlap) {
	for _, o := range all {
		out = append(out, Overlap(o))
	}
	return out
}

// BlockError is how far a block is from the reference's.
type BlockError struct {
	Block int `json:"block"` // counted from 0
	// Stream compares the residual stream after the block when each model runs by itself
	// from the embeddings on.
	Stream Deviation `json:"stream"`
	// Own compares what the block adds to the stream when both models' blocks read the
	// reference's stream: the error of this block alone.
	Own Deviation `json:"own"`
}

// Deviation is the difference of vectors a from a reference b.
type Deviation struct {
	Relative float64 `json:"relative_error"` // mean of ‖a−b‖/‖b‖
	Cosine   float64 `json:"cosine"`         // mean of a·b/(‖a‖‖b‖)
	SNR      float64 `json:"snr_db"`         // 10·log10(Σ‖b‖²/Σ‖a−b‖²); 999 where there is no difference
}

// MarshalJSON implements json.Marshaler. NaN, which appears if one of the models overflows, is
// null.
func (d Deviation) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Relative jsonfloat.Float `json:"relative_error"`
		Cosine   jsonfloat.Float `json:"cosine"`
		SNR      jsonfloat.Float `json:"snr_db"`
	}{jsonfloat.Float(d.Relative), jsonfloat.Float(d.Cosine), jsonfloat.Float(d.SNR)})
}

func newBlockError(b eval.BlockError) BlockError {
	return BlockError{Block: b.Block, Stream: Deviation(b.Stream), Own: Deviation(b.Own)}
}

// TaskResult is the score of one zero-shot task.
type TaskResult struct {
	Task       string    `json:"task"`
	Questions  int       `json:"questions"`            // asked
	Whole      int       `json:"questions_of_split"`   // that there are
	Metric     string    `json:"metric"`               // the one that averages use
	Score      Estimate  `json:"score"`                // of Metric
	Acc        Estimate  `json:"acc"`                  // accuracy
	AccNorm    *Estimate `json:"acc_norm,omitempty"`   // accuracy with choices normalised by their length; nil: the task has none
	Perplexity *Estimate `json:"perplexity,omitempty"` // of LAMBADA's last words
	Truncated  int       `json:"truncated"`            // questions whose context did not fit
	Skipped    int       `json:"skipped"`              // questions left out because they can't be posed to this model
	LeftOut    []LeftOut `json:"left_out,omitempty"`   // which, and why
	Reused     int       `json:"reused"`               // questions answered in the log of an earlier run
	Tokens     int       `json:"tokens"`               // computed
	PerChoice  int       `json:"tokens_per_choice"`    // tokens that would have been computed without sharing the context between choices
	Seconds    float64   `json:"seconds"`
	Files      []string  `json:"files,omitempty"` // that the questions were read from
	Data       string    `json:"data_sha256,omitempty"`
}

// LeftOut is a question that was left out.
type LeftOut struct {
	Question int    `json:"question"` // its place in the files, from 0
	Reason   string `json:"reason"`
}

func newTaskResult(r tasks.Result) TaskResult {
	var left []LeftOut
	for _, l := range r.LeftOut {
		left = append(left, LeftOut(l))
	}
	return TaskResult{Task: r.Task, Questions: r.Questions, Whole: r.Whole, Metric: r.Metric, Score: Estimate(r.Score), Acc: Estimate(r.Acc),
		AccNorm: estimate(r.AccNorm), Perplexity: estimate(r.Perplexity), Truncated: r.Truncated, Skipped: r.Skipped, LeftOut: left, Reused: r.Reused,
		Tokens: r.Tokens, PerChoice: r.PerChoice, Seconds: r.Seconds, Files: r.Files, Data: r.Data}
}

// Divergence is how far a model's predictions are from a reference's.
type Divergence struct {
	Tokens        int      // compared
	PerplexityRef Estimate // of the reference
	Perplexity    Estimate // of the model
	Change        Estimate // Perplexity − PerplexityRef, with the standard error of the paired difference
	NLLChange     Estimate // of the mean negative log-likelihood: log(Perplexity/PerplexityRef), with the standard error of the paired difference
	KL            Estimate // from reference to model, nats a token
	KLBack        Estimate // from model to reference
	Top1          Estimate // share of tokens with the same most likely successor
	Top5          Estimate // share of the reference's five most likely that are among the model's five
	KLMedian      float64
	KL99          float64 // 99th percentile
	KLMax         float64
	KLPercentiles []Percentile
}

// Percentile is the KL divergence below which a share of the tokens lies.
type Percentile struct {
	Share float64 `json:"share"`
	KL    float64 `json:"kl"`
}

// MarshalJSON implements json.Marshaler. An infinite divergence is "Infinity".
func (p Percentile) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Share float64         `json:"share"`
		KL    jsonfloat.Float `json:"kl"`
	}{p.Share, jsonfloat.Float(p.KL)})
}

func newDivergence(d eval.Divergence) Divergence {
	out := Divergence{Tokens: d.Tokens, PerplexityRef: Estimate(d.PerplexityRef), Perplexity: Estimate(d.Perplexity), Change: Estimate(d.Change),
		NLLChange: Estimate(d.NLLChange), KL: Estimate(d.KL), KLBack: Estimate(d.KLBack), Top1: Estimate(d.Top1), Top5: Estimate(d.Top5),
		KLMedian: d.KLMedian, KL99: d.KL99, KLMax: d.KLMax}
	for _, p := range d.KLPercentiles {
		out.KLPercentiles = append(out.KLPercentiles, Percentile(p))
	}
	return out
}
