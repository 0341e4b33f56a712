// Package sampler draws tokens from a model's logits, with the options of llama.cpp and of
// Hugging Face's transformers.
//
// The logits are processed in this order:
//
//  1. logit bias;
//  2. penalties of tokens in the text so far (penalties.go) and DRY (dry.go); then tokens
//     that a constraint forbids are removed;
//  3. temperature 0 takes the most likely token now; otherwise the logits are divided by
//     the temperature and become probabilities;
//  4. top-k, typical, top-p, min-p (filters.go), each on the tokens that the one before
//     has kept, whose probabilities are scaled to a sum of 1;
//  5. one draw from the remaining tokens.
//
// The temperature comes before the filters, as in transformers; llama.cpp puts it after
// them. The same options, seed and logits give the same tokens on every machine.
package sampler

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// Options say how tokens are drawn. The zero value always takes the most likely one.
type Options struct {
	Temperature float64 // 0: always the most likely token
	TopK        int     // keep the k most likely tokens; 0: all
	TopP        float64 // keep the most likely tokens that together have this probability; 0 or 1: all
	MinP        float64 // drop tokens less likely than this share of the most likely one; 0: none
	Typical     float64 // keep the tokens of most typical information that together have this probability; 0 or 1: all

	RepetitionPenalty float64 // divides the logits of tokens seen before, if positive, and multiplies them otherwise; 0 or 1: off
	PresencePenalty   float64 // subtracted from the logits of tokens generated before
	FrequencyPenalty  float64 // subtracted likewise, once for each occurrence
	PenaltyWindow     int     // how many of the last tokens these three consider; 0: all

	DRY       DRY
	LogitBias map[int]float64 // added to the logit of a token id
	Seed      uint64
}

// Check returns an error that names the first invalid value.
func (o Options) Check() error {
	within := func(name string, v, low, high float64) error {
		if !(v >= low && v <= high) {
			return fmt.Errorf("%s %v: expected %v to %v", name, v, low, high)
		}
		return nil
	}
	for _, err := range []error{
		within("temperature", o.Temperature, 0, 100), within("top-p", o.TopP, 0, 1), within("min-p", o.MinP, 0, 1), within("typical", o.Typical, 0, 1),
		within("repetition penalty", o.RepetitionPenalty, 0, 10), within("presence penalty", o.PresencePenalty, -100, 100),
		within("frequency penalty", o.FrequencyPenalty, -100, 100), o.DRY.check(),
	} {
		if err != nil {
			return err
		}
	}
	if o.TopK < 0 {
		return fmt.Errorf("top-k %d: expected 0 or more", o.TopK)
	}
	if o.PenaltyWindow < 0 {
		return fmt.Errorf("penalty window %d: expected a number of tokens, or 0 for all", o.PenaltyWindow)
	}
	for _, id := range slices.Sorted(maps.Keys(o.LogitBias)) {
		if b := o.LogitBias[id]; id < 0 || math.IsNaN(b) || b > 1000 {
			return fmt.Errorf("logit bias of token %d is %v: expected a token id and a number up to 1000", id, b)
		}
	}
	return nil
}

// Fits returns an error if an option names a token that a vocabulary of that size does not have.
func (o Options) Fits(vocab int) error {
	for _, id := range slices.Sorted(maps.Keys(o.LogitBias)) {
		if id >= vocab {
			return fmt.Errorf("logit bias of token %d: expected a token of the model's vocabulary, 0 to %d", id, vocab-1)
		}
	}
	return nil
}

// Sampler draws the tokens of one text. It belongs to one goroutine at a time.
type Sampler struct {
	Options
	source  rand.PCG
	seen    []int // tokens of the prompt and the continuation
	prompt  int   // how many of them are the prompt's
	breaks  func(id int) bool
	logits  []float32
	all     []candidate
	limits  Constraint
	counts  map[int]int
	matches map[int]int
}

type candidate struct {
	id int
	p  float64
}

// New returns a sampler at the start of its random sequence. prompt is the
// beginning of the text, for the penalties. breaks reports whether a token ends a repetition
// that DRY counts; nil: none does.
func New(o Options, prompt []int, breaks func(id int) bool) *Sampler {
	return &Sampler{Options: o, source: *rand.NewPCG(o.Seed, 0x53414d504c45),
		seen: slices.Clone(prompt), prompt: len(prompt), breaks: breaks}
}

// Follow lets s draw from now on what another sampler would draw from the same logits, except
// that s has no constraint. The other one does not notice.
func (s *Sampler) Follow(other *Sampler) {
	s.Options, s.source, s.prompt, s.breaks = other.Options, other.source, other.prompt, other.breaks
	s.seen = append(s.seen[:0], other.seen...)
}

// Constraint says which tokens may come next.
type Constraint interface {
	Apply(logits []float32) error // sets the logits of all forbidden tokens to -Inf; an error if no token is allowed
	Accept(id int) error          // adds a token to the text
}

// Constrain makes the sampler draw only tokens that the constraint allows. From then on only
// the sampler may use the constraint.
func (s *Sampler) Constrain(c Constraint) { s.limits = c }

// NextAllowed is [Sampler.Next] within the constraint, if there is one. ends reports
// whether a token ends the text; such a token is not part of it. It is an error if no token is allowed.
func (s *Sampler) NextAllowed(logits []float32, ends func(id int) bool) (int, error) {
	logits = s.adjusted(logits)
	if s.limits != nil {
		if err := s.limits.Apply(logits); err != nil {
			return 0, err
		}
	}
	id := s.draw(logits)
	s.seen = append(s.seen, id)
	if s.limits == nil || ends(id) {
		return id, nil
	}
	return id, s.limits.Accept(id)
}

// Next draws a token and adds it to the text. logits [vocab] are not changed; -Inf is never
// drawn. Ties go to the lower id.
func (s *Sampler) Next(logits []float32) int {
	id := s.draw(s.adjusted(logits))
	s.seen = append(s.seen, id)
	return id
}

// adjusted gives the logits after bias and penalties. With a constraint it is a copy.
func (s *Sampler) adjusted(logits []float32) []float32 {
	if s.limits == nil && len(s.LogitBias) == 0 && !s.penalizes() && s.DRY.Multiplier == 0 {
		return logits
	}
	s.logits = append(s.logits[:0], logits...)
	for id, b := range s.LogitBias {
		if id < len(s.logits) {
			s.logits[id] += float32(b)
		}
	}
	s.penalize()
	s.dry()
	return s.logits
}

func (s *Sampler) draw(logits []float32) int {
	top := 0
	for i, v := range logits {
		if v > logits[top] {
			top = i
		}
	}
	if s.Temperature == 0 || math.IsInf(float64(logits[top]), -1) {
		return top
	}
	s.all = s.all[:0]
	never := float32(math.Inf(-1))
	for i, v := range logits {
		if v == never {
			continue
		}
		s.all = append(s.all, candidate{i, math.Exp(float64(v-logits[top]) / s.Temperature)})
	}
	keep := s.filtered(s.all)
	at := rand.New(&s.source).Float64() * total(keep)
	for _, c := range keep {
		if at -= c.p; at < 0 {
			return c.id
		}
	}
	return keep[len(keep)-1].id
}

func total(c []candidate) float64 {
	var sum float64
	for _, x := range c {
		sum += x.p
	}
	return sum
}

// byProbability puts the most likely first.
func byProbability(a, b candidate) int {
	if c := cmp.Compare(b.p, a.p); c != 0 {
		return c
	}
	return a.id - b.id
}
