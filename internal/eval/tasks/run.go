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
	"github.com/specquant/specquant/internal/plural"
)

// Scorer is a model; see [eval.Runner].
type Scorer interface {
	// Predict returns a prediction for each predicted token, by group and span.
	Predict(ctx context.Context, groups [][]eval.Span) ([][][]eval.Prediction, error)
}

// Options are the options for running a task.
type Options struct {
	MaxLength int           // the model's context, in tokens
	BOS       bool          // put BOS before each text; lm-eval does not
	Limit     int           // number of questions; 0: all
	Seed      uint64        // which questions: 0 the first ones, otherwise a random choice by this seed
	Strict    bool          // a question that cannot be asked is an error; otherwise it is left out and reported
	Faults    map[int]error // of [Task.ReadAll], by the question's Index: they cannot be asked
	Batch     int           // questions given to the scorer at a time; 0: 256
	Log       *Log          // may be nil

	Progress func(done, all int) // may be nil
}

const defaultBatch = 256

// Result is the score of a task.
type Result struct {
	Task      string         `json:"task"`
	Questions int            `json:"questions"`
	Whole     int            `json:"questions_of_split"`
	Metric    string         `json:"metric"` // the score that averages use
	Score     eval.Estimate  `json:"score"`  // of Metric
	Acc       eval.Estimate  `json:"acc"`
	AccNorm   *eval.Estimate `json:"acc_norm,omitempty"`
	// Perplexity of LAMBADA's last words: exp of the mean −log p of a word.
	Perplexity *eval.Estimate `json:"perplexity,omitempty"`
	Truncated  int            `json:"truncated"` // questions whose context did not fit
	Skipped    int            `json:"skipped"`   // questions left out because they cannot be asked of this model
	LeftOut    []LeftOut      `json:"left_out,omitempty"`
	Reused     int            `json:"reused"` // taken from the log of an earlier run
	Tokens     int            `json:"tokens"` // of contexts and continuations, each context once, without reused questions
	PerChoice  int            `json:"tokens_per_choice"`
	Seconds    float64        `json:"seconds"`
	Files      []string       `json:"files,omitempty"`
	Data       string         `json:"data_sha256,omitempty"`
}

// LeftOut is a question that cannot be asked: a choice that adds no token to its context or
// is longer than the model's context, text that the vocabulary cannot express, or a row of the file
// that is no question of the task, such as one without a right answer.
type LeftOut struct {
	Question int    `json:"question"` // its place in the files, from 0
	Reason   string `json:"reason"`
}

// LeftOutText names the left-out questions of a task for a fingerprint: the numbers of up
// to eight, otherwise their count and the beginning of their hash.
func LeftOutText(task string, all []LeftOut) string {
	var numbers []string
	for _, l := range all {
		numbers = append(numbers, strconv.Itoa(l.Question))
	}
	list := strings.Join(numbers, " ")
	if len(all) > 8 {
		list = fmt.Sprintf("%s (%s)", plural.Of(len(all), "question"), eval.TextHash(list)[:8])
	}
	return task + " " + list
}

// Choose returns the questions of a limited run, in their original order.
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

// Prepare converts questions to tokens, so that any error is found before the model is run.
// A question that cannot be asked is left out, unless o.Strict is set.
func (t *Task) Prepare(enc eval.Encoder, questions []Question, o Options) (*Prepared, error) {
	p, err := newPrompt(enc, o.BOS, o.MaxLength)
	if err != nil {
		return nil, err
	}
	out := &Prepared{task: t, whole: t.Count}
	questions = Choose(questions, o.Limit, o.Seed)
	for i := range questions {
		ready, err := (*prepared)(nil), error(nil)
		if fault := o.Faults[questions[i].Index]; fault != nil {
			err = fmt.Errorf("question %d: %w", questions[i].Index, fault)
		} else {
			ready, err = p.prepare(&questions[i])
		}
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

// Run asks the model the questions, except those in the log already. Samples and scores do
// not depend on the batch size.
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

// cost counts the tokens that are run through the model, and those that would be if every
// choice were run separately.
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
