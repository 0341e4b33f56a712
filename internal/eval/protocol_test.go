package eval

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// words is an encoder of one token a word, whose id is the word's number; 0 is
// BOS, where there is one.
type words struct{ noBOS, noEOS bool }

func (w words) Encode(text string, addSpecial bool) ([]int, error) {
	var ids []int
	if addSpecial && !w.noBOS {
		ids = append(ids, 0)
	}
	for _, f := range strings.Fields(text) {
		var id int
		if _, err := fmt.Sscan(f, &id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}
func (w words) BOS() (int, bool) { return 0, !w.noBOS }
func (w words) EOS() []int {
	if w.noEOS {
		return nil
	}
	return []int{99}
}

func counting(from, to int) string {
	var out []string
	for i := from; i <= to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return strings.Join(out, " ")
}

func spansOf(p *Plan) []Span {
	var out []Span
	for _, part := range p.Parts {
		out = append(out, part.Span)
	}
	return out
}

func upTo(from, to int) []int {
	var out []int
	for i := from; i <= to; i++ {
		out = append(out, i)
	}
	return out
}

func TestPlans(t *testing.T) {
	for _, c := range []struct {
		name string
		enc  words
		text string
		o    PlanOptions
		want []Span
		bos  string
	}{
		// BOS is the first token of the text and of nothing else; the tail is
		// dropped; the first token of a window is not scored.
		{"gptq", words{}, counting(1, 10), PlanOptions{Context: 4}, []Span{{[]int{0, 1, 2, 3}, 1}, {[]int{4, 5, 6, 7}, 1}}, "BOS once"},
		{"gptq without BOS", words{noBOS: true}, counting(1, 5), PlanOptions{Context: 2}, []Span{{[]int{1, 2}, 1}, {[]int{3, 4}, 1}}, "no BOS"},
		{"gptq, short text", words{}, "1 2", PlanOptions{Context: 8}, []Span{{[]int{0, 1, 2}, 1}}, "BOS once"},
		{"gptq, own window", words{}, counting(1, 10), PlanOptions{Context: 8, Window: 5, MaxWindows: 1}, []Span{{[]int{0, 1, 2, 3, 4}, 1}}, "BOS once"},
		// BOS *replaces* the first token of each chunk: 6 is gone. Of 6 tokens the
		// logits from the fourth on count: they predict the fifth and sixth.
		{"llama.cpp", words{}, counting(1, 13), PlanOptions{Protocol: LlamaCPP, Context: 6}, []Span{{[]int{0, 1, 2, 3, 4, 5}, 4}, {[]int{0, 7, 8, 9, 10, 11}, 4}}, "BOS for the first token of each chunk"},
		{"llama.cpp without BOS", words{noBOS: true}, counting(1, 8), PlanOptions{Protocol: LlamaCPP, Context: 4}, []Span{{upTo(1, 4), 3}, {upTo(5, 8), 3}}, "no BOS"},
		// lm-eval's own example: 34 tokens at a length of 10.
		{"lm-eval", words{}, counting(1, 34), PlanOptions{Protocol: LMEval, Context: 10}, []Span{
			{upTo(0, 10), 1}, {upTo(10, 20), 1}, {upTo(20, 30), 1}, {upTo(24, 34), 7}}, "BOS before each document"},
		{"lm-eval, EOS", words{noBOS: true}, "1 2 3", PlanOptions{Protocol: LMEval, Context: 10}, []Span{{[]int{99, 1, 2, 3}, 1}}, "EOS before each document"},
		{"lm-eval, exact", words{}, counting(1, 4), PlanOptions{Protocol: LMEval, Context: 2}, []Span{{upTo(0, 2), 1}, {upTo(2, 4), 1}}, "BOS before each document"},
		{"lm-eval, documents", words{}, "1 2\n\n\n3", PlanOptions{Protocol: LMEval, Context: 4, Documents: DocumentsBlank}, []Span{{[]int{0, 1, 2}, 1}, {[]int{0, 3}, 1}}, "BOS before each document"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := NewPlan(c.enc, c.text, c.o)
			if err != nil {
				t.Fatal(err)
			}
			if got := spansOf(p); !reflect.DeepEqual(got, c.want) || p.BOS != c.bos {
				t.Errorf("got %v, %s\nwant %v, %s", got, p.BOS, c.want, c.bos)
			}
			n := 0
			for _, s := range c.want {
				n += s.Scored()
			}
			if p.Tokens() != n {
				t.Errorf("%d tokens, want %d", p.Tokens(), n)
			}
		})
	}
}

// TestRolling: whatever the lengths, each token is scored once and the model
// sees at most n.
func TestRolling(t *testing.T) {
	for n := 1; n <= 7; n++ {
		for length := 0; length <= 30; length++ {
			var scored []int
			for _, s := range Rolling(upTo(1, length), 0, n) {
				if len(s.IDs)-1 > n || s.From < 1 || s.From >= len(s.IDs) {
					t.Fatalf("n %d, length %d: span %v", n, length, s)
				}
				scored = append(scored, s.IDs[s.From:]...)
			}
			if !slices.Equal(scored, upTo(1, length)) {
				t.Fatalf("n %d, length %d: scored %v", n, length, scored)
			}
		}
	}
}

func TestPlanErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		enc  words
		text string
		o    PlanOptions
		want string
	}{
		{"protocol", words{}, "1 2", PlanOptions{Protocol: "bare", Context: 4}, `the protocol is "bare", expected gptq, llama.cpp, lm-eval`},
		{"no text", words{}, "", PlanOptions{Context: 4}, "the text has 1 token, expected at least 2"},
		{"window past the context", words{}, "1 2", PlanOptions{Context: 4, Window: 5}, "but the model's context is 4"},
		{"one token", words{}, "1 2", PlanOptions{Context: 4, Window: 1}, "windows of 1 token,"},
		{"less than two chunks", words{}, counting(1, 6), PlanOptions{Protocol: LlamaCPP, Context: 4}, "the text has 7 tokens; the llama.cpp protocol needs at least two chunks of 4"},
		{"tiny chunks", words{}, counting(1, 6), PlanOptions{Protocol: LlamaCPP, Context: 3}, "chunks of 3 tokens"},
		{"documents elsewhere", words{}, "1 2", PlanOptions{Context: 4, Documents: DocumentsBlank}, "only the lm-eval protocol"},
		{"documents", words{}, "1 2", PlanOptions{Protocol: LMEval, Context: 4, Documents: "pages"}, `documents is "pages"`},
		{"neither BOS nor EOS", words{noBOS: true, noEOS: true}, "1 2", PlanOptions{Protocol: LMEval, Context: 4}, "neither a BOS nor an EOS"},
		{"nothing", words{}, " ", PlanOptions{Protocol: LMEval, Context: 4}, "no tokens"},
		{"part of documents", words{}, counting(1, 9), PlanOptions{Protocol: LMEval, Context: 4, MaxWindows: 1}, "scores whole documents"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := NewPlan(c.enc, c.text, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-12*max(1, math.Abs(want))) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestResults: NLLs of log 2 and log 8 (mean log 4) and of log 2, worked out by
// hand.
func TestResults(t *testing.T) {
	l2, l8 := math.Log(2), math.Log(8)
	p := &Plan{Protocol: GPTQ, Parts: make([]Part, 2)}
	r := p.result([][]float64{{l2, l8}, {l2, l8}})
	near(t, "perplexity", r.Perplexity.Mean, 4)
	// deviations ±log 2, s² = 4·(log 2)²/3, error √(s²/4) = log 2/√3, times 4
	near(t, "its error", r.Perplexity.StdErr, 4*l2/math.Sqrt(3))
	if r.Tokens != 4 || r.Windows != 2 || r.Over != "tokens" {
		t.Errorf("%+v", r)
	}

	// Two documents of 2 words each: Σ = 4·log 2 and 1·log 2 → 5/4·log 2 a word.
	p = &Plan{Protocol: LMEval, Parts: []Part{{Document: 0}, {Document: 0}, {Document: 1}}, Words: []int{2, 2}, Bytes: []int{10, 10}}
	r = p.result([][]float64{{l8}, {l2}, {l2}})
	near(t, "word perplexity", r.Perplexity.Mean, math.Pow(2, 1.25))
	near(t, "byte perplexity", r.PerByte.Mean, math.Pow(2, .25))
	near(t, "bits per byte", r.BitsByte.Mean, .25)
	// residuals ±1.5·log 2, √(2·(1.5 log 2)²·2/1)/4 = 3·log 2/4
	near(t, "error of the word perplexity", r.Perplexity.StdErr, math.Pow(2, 1.25)*.75*l2)
	near(t, "error of the bits", r.BitsByte.StdErr, .15)
	if r.Words != 4 || r.Bytes != 20 || r.Over != "documents" {
		t.Errorf("%+v", r)
	}

	// One document: tokens are all that varies.
	p = &Plan{Protocol: LMEval, Parts: make([]Part, 1), Words: []int{2}, Bytes: []int{4}}
	r = p.result([][]float64{{l2, l8}})
	near(t, "word perplexity", r.Perplexity.Mean, 4)
	near(t, "its error", r.Perplexity.StdErr, 4*l2) // s = √2·log 2, of the sum √2·s = 2·log 2, a word log 2
	if r.Over != "tokens" {
		t.Errorf("%+v", r)
	}
}

func TestEstimates(t *testing.T) {
	e := Mean([]float64{1, 0, 0, 1})
	near(t, "mean", e.Mean, .5)
	near(t, "error", e.StdErr, math.Sqrt(1./3/4))
	if e := Mean([]float64{3}); e.Mean != 3 || !math.IsNaN(e.StdErr) {
		t.Errorf("one value: %+v", e)
	}
	e = Average([]Estimate{{.5, .03}, {.7, .04}})
	near(t, "average", e.Mean, .6)
	near(t, "its error", e.StdErr, .025)
	v := []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	for q, want := range map[float64]float64{0: 0, .5: 5, .9: 9, .99: 9, 1: 9} {
		near(t, "quantile", quantile(v, q), want)
	}
}
