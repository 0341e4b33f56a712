package eval

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// The perplexity protocols. Numbers of different protocols cannot be compared.
const (
	// GPTQ is the protocol of the quantization papers: the text is encoded once, with BOS
	// only if the tokenizer adds it, and cut into windows that do not overlap; the rest is
	// dropped. Every token of a window except the first is scored.
	GPTQ = "gptq"
	// LlamaCPP is the protocol of llama-perplexity: chunks of 512 tokens, the first token
	// of each replaced by BOS if the tokenizer adds one; the second half is scored.
	LlamaCPP = "llama.cpp"
	// LMEval is the protocol of lm-eval's wikitext task: each document separately, without
	// BOS, in rolling windows that begin with one token of context; perplexity per word and
	// per byte.
	LMEval = "lm-eval"
)

// Protocols lists them.
func Protocols() []string { return []string{GPTQ, LlamaCPP, LMEval} }

// Encoder is the part of a tokenizer that evaluation needs.
type Encoder interface {
	Encode(text string, addSpecial bool) ([]int, error)
	BOS() (id int, ok bool)
	EOS() []int
}

// Part is a span of one document of a text.
type Part struct {
	Span
	Document int
}

// Plan is a text divided into spans by a protocol.
type Plan struct {
	Protocol  string
	Window    int    // largest number of tokens in a window
	BOS       string // how the beginning-of-text token was handled, in words
	Documents string // how the text was divided into documents, in words; "": it was not
	Parts     []Part
	Words     []int // of each document; lm-eval only
	Bytes     []int // of each document; lm-eval only
}

// PlanOptions are the options for dividing a text.
type PlanOptions struct {
	Protocol   string // "": GPTQ
	Window     int    // 0: the protocol's default
	Context    int    // the model's context, in tokens
	Documents  string // lm-eval: how to divide the text into documents, see [Documents]
	MaxWindows int    // 0: all
}

// NewPlan divides a text by a protocol.
func NewPlan(enc Encoder, text string, o PlanOptions) (*Plan, error) {
	if o.Window < 0 || o.Window > o.Context {
		return nil, fmt.Errorf("windows of %s are asked for, but the model's context is %d", plural.Of(o.Window, "token"), o.Context)
	}
	if o.Documents != "" && o.Protocol != LMEval {
		return nil, fmt.Errorf("documents: only the %s protocol divides the text into documents", LMEval)
	}
	var p *Plan
	var err error
	switch o.Protocol {
	case GPTQ, "":
		p, err = planGPTQ(enc, text, o)
	case LlamaCPP:
		p, err = planLlamaCPP(enc, text, o)
	case LMEval:
		p, err = planLMEval(enc, text, o)
	default:
		return nil, fmt.Errorf("the protocol is %q, expected %s", o.Protocol, strings.Join(Protocols(), ", "))
	}
	if err != nil {
		return nil, err
	}
	if o.MaxWindows > 0 && len(p.Parts) > o.MaxWindows {
		if o.Protocol == LMEval {
			return nil, fmt.Errorf("the %s protocol scores whole documents; give a shorter text instead of a limit on windows", LMEval)
		}
		p.Parts = p.Parts[:o.MaxWindows]
	}
	return p, nil
}

func planGPTQ(enc Encoder, text string, o PlanOptions) (*Plan, error) {
	ids, err := enc.Encode(text, true)
	if err != nil {
		return nil, err
	}
	n := o.Window
	if n == 0 {
		n = min(2048, o.Context)
	}
	windows, err := Windows(ids, n)
	if err != nil {
		return nil, err
	}
	p := &Plan{Protocol: GPTQ, Window: len(windows[0]), BOS: "no BOS"}
	if bos, ok := enc.BOS(); ok && ids[0] == bos {
		p.BOS = "BOS once"
	}
	for _, w := range windows {
		p.Parts = append(p.Parts, Part{Span: Span{w, 1}})
	}
	return p, nil
}

func planLlamaCPP(enc Encoder, text string, o PlanOptions) (*Plan, error) {
	n := o.Window
	if n == 0 {
		n = min(512, o.Context)
	}
	if n < 4 {
		return nil, fmt.Errorf("chunks of %s, expected at least 4", plural.Of(n, "token"))
	}
	ids, err := enc.Encode(text, true)
	if err != nil {
		return nil, err
	}
	if len(ids) < 2*n {
		return nil, fmt.Errorf("the text has %s; the %s protocol needs at least two chunks of %d", plural.Of(len(ids), "token"), LlamaCPP, n)
	}
	p := &Plan{Protocol: LlamaCPP, Window: n, BOS: "no BOS"}
	bos, addsBOS := enc.BOS()
	if addsBOS = addsBOS && ids[0] == bos; addsBOS {
		p.BOS = "BOS for the first token of each chunk"
	}
	for ; len(ids) >= n; ids = ids[n:] {
		chunk := append([]int(nil), ids[:n]...)
		if addsBOS {
			chunk[0] = bos
		}
		// The logits from position n/2 on are scored; they predict the next token.
		p.Parts = append(p.Parts, Part{Span: Span{chunk, n/2 + 1}})
	}
	return p, nil
}

func planLMEval(enc Encoder, text string, o PlanOptions) (*Plan, error) {
	docs, how, err := Documents(text, o.Documents)
	if err != nil {
		return nil, err
	}
	n := o.Window
	if n == 0 {
		n = o.Context
	}
	p := &Plan{Protocol: LMEval, Window: n, Documents: fmt.Sprintf("%d %s", len(docs), how)}
	prefix, ok := enc.BOS()
	p.BOS = "BOS before each document"
	if !ok {
		eos := enc.EOS()
		if len(eos) == 0 {
			return nil, fmt.Errorf("the tokenizer has neither a BOS nor an EOS token, one of which the %s protocol needs to predict the first token", LMEval)
		}
		prefix, p.BOS = eos[0], "EOS before each document"
	}
	for i, d := range docs {
		ids, err := enc.Encode(d.Text, false)
		if err != nil {
			return nil, err
		}
		for _, s := range Rolling(ids, prefix, n) {
			p.Parts = append(p.Parts, Part{s, i})
		}
		p.Words, p.Bytes = append(p.Words, d.Words), append(p.Bytes, d.Bytes)
	}
	if len(p.Parts) == 0 {
		return nil, fmt.Errorf("the text has no tokens")
	}
	return p, nil
}

// Rolling divides a document into spans that score each of its tokens once, with a context
// of at most n tokens: the first span starts with prefix, the following ones with one token
// of context; the last one is extended with context to a full window.
func Rolling(ids []int, prefix, n int) []Span {
	var out []Span
	for done := 0; done < len(ids); {
		end := min(done+n, len(ids))
		if done == 0 {
			out = append(out, Span{append([]int{prefix}, ids[:end]...), 1})
		} else {
			from := max(end-n-1, 0)
			out = append(out, Span{ids[from:end], done - from})
		}
		done = end
	}
	return out
}

// PerplexityResult is the result of a protocol.
type PerplexityResult struct {
	Perplexity Estimate // per token; per word by lm-eval
	PerByte    Estimate // lm-eval only
	BitsByte   Estimate // lm-eval only: bits per byte
	Windows    int
	Tokens     int    // scored
	Words      int    // lm-eval only
	Bytes      int    // lm-eval only
	Over       string // the independent units of the standard error: "tokens" or "documents"
}

// Measure runs a plan. progress is called with the number of tokens scored so far; it may
// be nil.
func (p *Plan) Measure(ctx context.Context, r *Runner, progress func(tokens int)) (*PerplexityResult, error) {
	nll, err := NLLs(ctx, r, p.Parts, progress)
	if err != nil {
		return nil, err
	}
	return p.result(nll), nil
}

// Windows returns the tokens of each part.
func (p *Plan) Windows() [][]int {
	out := make([][]int, len(p.Parts))
	for i, part := range p.Parts {
		out[i] = part.IDs
	}
	return out
}

// Tokens is the number of tokens that will be scored.
func (p *Plan) Tokens() int {
	n := 0
	for _, part := range p.Parts {
		n += part.Scored()
	}
	return n
}

func (p *Plan) result(nll [][]float64) *PerplexityResult {
	r := &PerplexityResult{Windows: len(p.Parts), Over: "tokens"}
	var all []float64
	for _, v := range nll {
		all = append(all, v...)
	}
	r.Tokens = len(all)
	if p.Protocol != LMEval {
		r.Perplexity = Perplexed(all)
		return r
	}
	sums, words, bytes := make([]float64, len(p.Words)), make([]float64, len(p.Words)), make([]float64, len(p.Words))
	for i, v := range nll {
		for _, x := range v {
			sums[p.Parts[i].Document] += x
		}
	}
	for i := range p.Words {
		r.Words += p.Words[i]
		r.Bytes += p.Bytes[i]
		words[i], bytes[i] = float64(p.Words[i]), float64(p.Bytes[i])
	}
	perWord, perByte := ratio(sums, words), ratio(sums, bytes)
	if len(sums) > 1 {
		r.Over = "documents"
	} else { // only tokens can serve as independent units
		se := Mean(all).StdErr * float64(len(all))
		perWord.StdErr, perByte.StdErr = se/words[0], se/bytes[0]
	}
	exp := func(e Estimate) Estimate {
		v := math.Exp(e.Mean)
		return Estimate{v, v * e.StdErr}
	}
	r.Perplexity, r.PerByte = exp(perWord), exp(perByte)
	r.BitsByte = Estimate{perByte.Mean / math.Ln2, perByte.StdErr / math.Ln2}
	return r
}
