package tasks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/specquant/specquant/internal/eval"
)

// Scorer is a model, as [eval.Runner] runs it.
type Scorer interface {
	// Predict gives a prediction for each predicted token, by group and span.
	Predict(ctx context.Context, groups [][]eval.Span) ([][][]eval.Prediction, error)
}

// Options say how a task is run.
type Options struct {
	MaxLength int    // tokens that the model sees, at most
	BOS       bool   // put BOS before each text; lm-eval does not
	Limit     int    // questions; 0: all
	Seed      uint64 // which ones: 0 the first, else a draw by the seed
	Strict    bool   // a question that can't be posed is an error; else it is left out and named
	Batch     int    // questions handed to the scorer together; 0: 256
	Log       *Log   // may be nil

	Progress func(done, all int) // may be nil
}

const defaultBatch = 256

// Result is the score of a task.
type Result struct {
	Task      string         `json:"task"`
	Questions int            `json:"questions"`
	Whole     int            `json:"questions_of_split"`
	Metric    string         `json:"metric"` // that averages use
	Score     eval.Estimate  `json:"score"`  // of Metric
	Acc       eval.Estimate  `json:"acc"`
	AccNorm   *eval.Estimate `json:"acc_norm,omitempty"`
	// Perplexity of LAMBADA's last words: exp of the mean −log p of a word.
	Perplexity *eval.Estimate `json:"perplexity,omitempty"`
	Truncated  int            `json:"truncated"` // questions whose context did not fit
	Skipped    int            `json:"skipped"`   // questions left out because they can't be posed to this model
	LeftOut    []LeftOut      `json:"left_out,omitempty"`
	Reused     int            `json:"reused"` // taken from the log of an earlier run
	Tokens     int            `json:"tokens"` // of contexts and continuations, each context once, those of reused questions not
	PerChoice  int            `json:"tokens_per_choice"`
	Seconds    float64        `json:"seconds"`
	Files      []string       `json:"files,omitempty"`
	Data       string         `json:"data_sha256,omitempty"`
}

// LeftOut is a question that can't be posed: a choice that adds no token to its
// context or is longer than the model's, text that the vocabulary can't express.
type LeftOut struct {
	Question int    `json:"question"` // its place in the files, from 0
	Reason   string `json:"reason"`
}

// LeftOutText names left-out questions of a task in few words, for a fingerprint: the
// numbers of up to eight, else how many and the begin of their hash.
func LeftOutText(task string, all []LeftOut) string {
	var numbers []string
	for _, l := range all {
		numbers = append(numbers, strconv.Itoa(l.Question))
	}
	list := strings.Join(numbers, " ")
	if len(all) > 8 {
		list = fmt.Sprintf("%d questions (%s)", len(all), eval.TextHash(list)[:8])
	}
	return task + " " + list
}

// Choose gives the questions of a limited run, in their order.
func Choose(questions []Question, limit int, seed uint64) []Question {
	if limit <= 0 || limit >= len(questions) {
		return questions
	}
	if seed == 0 {
		return questions[:limit]
	}
	order := make([]int, len(questions))
	for i := range order {
		order[i] = i
	}
	rng := rand.New(rand.NewPCG(seed, 0x7461736b))
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	order = order[:limit]
	slices.Sort(order)
	out := make([]Question, limit)
	for i, n := range order {
		out[i] = questions[n]
	}
	return out
}

// Prepared is a task's questions as tokens.
type Prepared struct {
	task    *Task
	whole   int // questions of the published split
	leftOut []LeftOut
	items   []*prepared
}

// Prepare turns questions into tokens, so that whatever is wrong with one is
// found before a model is asked the first. One that can't be posed does not cost the
// others their answers: it is left out, unless o is strict.
func (t *Task) Prepare(enc eval.Encoder, questions []Question, o Options) (*Prepared, error) {
	p, err := newPrompt(enc, o.BOS, o.MaxLength)
	if err != nil {
		return nil, err
	}
	out := &Prepared{task: t, whole: t.Count}
	questions = Choose(questions, o.Limit, o.Seed)
	for i := range questions {
		ready, err := p.prepare(&questions[i])
		switch {
		case err != nil && o.Strict:
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		case err != nil:
			out.leftOut = append(out.leftOut, LeftOut{questions[i].Index, errors.Unwrap(err).Error()})
		default:
			out.items = append(out.items, ready)
		}
	}
	if len(out.items) == 0 {
		reason := ""
		if len(out.leftOut) > 0 {
			reason = fmt.Sprintf(": all %d were left out, the first because %s", len(out.leftOut), out.leftOut[0].Reason)
		}
		return nil, fmt.Errorf("%s has no questions%s", t.Name, reason)
	}
	return out, nil
}

// Run asks a model the questions. What the log holds already is not asked
// again. Samples and scores do not depend on the batch.
func (p *Prepared) Run(ctx context.Context, s Scorer, o Options) (*Result, error) {
	start := time.Now()
	batch := o.Batch
	if batch <= 0 {
		batch = defaultBatch
	}
	t := p.task
	r := &Result{Task: t.Name, Whole: p.whole, Skipped: len(p.leftOut), LeftOut: p.leftOut, Metric: t.Metric()}
	for _, item := range p.items { // before any is asked
		if err := o.Log.agrees(t.Name, item); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	samples := make([]Sample, 0, len(p.items))
	for len(samples) < len(p.items) {
		part := p.items[len(samples):min(len(samples)+batch, len(p.items))]
		done, err := t.batch(ctx, s, part, o.Log, r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
		samples = append(samples, done...)
		if o.Progress != nil {
			o.Progress(len(samples), len(p.items))
		}
	}
	t.summarize(r, samples)
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

func (t *Task) batch(ctx context.Context, s Scorer, items []*prepared, log *Log, r *Result) ([]Sample, error) {
	samples := make([]Sample, len(items))
	var groups [][]eval.Span
	var asked []int
	for i, p := range items {
		q := p.question
		if old, ok := log.get(t.Name, q.Index); ok {
			t.decide(&old)
			samples[i] = old
			r.Reused++
			continue
		}
		asked, groups = append(asked, i), append(groups, p.spans)
		once, each := cost(p.spans)
		r.Tokens += once
		r.PerChoice += each
	}
	if len(asked) == 0 {
		return samples, nil
	}
	predictions, err := s.Predict(ctx, groups)
	if err != nil {
		return nil, err
	}
	fresh := make([]Sample, len(asked))
	for i, at := range asked {
		fresh[i] = t.sample(items[at], predictions[i])
		samples[at] = fresh[i]
	}
	return samples, log.append(fresh)
}

// cost counts the tokens that go through the model, and that would if every
// choice went through whole.
func cost(spans []eval.Span) (once, each int) {
	shared := len(spans[0].IDs) - 1
	for _, s := range spans {
		n := 0
		for n < shared && n < len(s.IDs)-1 && s.IDs[n] == spans[0].IDs[n] {
			n++
		}
		shared = n
	}
	once = shared
	for _, s := range spans {
		once += len(s.IDs) - 1 - shared
		each += len(s.IDs) - 1
	}
	return once, each
}

func (t *Task) summarize(r *Result, samples []Sample) {
	r.Questions = len(samples)
	right := func(f func(*Sample) bool) eval.Estimate {
		v := make([]float64, len(samples))
		for i := range samples {
			if f(&samples[i]) {
				v[i] = 1
			}
		}
		return eval.Mean(v)
	}
	r.Acc = right(func(s *Sample) bool { return s.Correct })
	r.Score = r.Acc
	if t.Norm {
		n := right(func(s *Sample) bool { return s.CorrectN })
		r.AccNorm, r.Score = &n, n
	}
	if t.Greedy {
		nll := make([]float64, len(samples))
		for i := range samples {
			nll[i] = -samples[i].Choices[0].LogProb
		}
		p := eval.Perplexed(nll)
		r.Perplexity = &p
	}
	for i := range samples {
		if samples[i].Truncated {
			r.Truncated++
		}
	}
}
