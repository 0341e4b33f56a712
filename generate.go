package specquant

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/specquant/specquant/internal/constrain"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/engine/sampler"
	"github.com/specquant/specquant/internal/speculate"
	"github.com/specquant/specquant/internal/tokenizer"
)

// GenerateOptions say how text is continued. The zero value continues greedily
// until the model ends the text or the context is full. The draw is described step by
// step in internal/engine/sampler.
type GenerateOptions struct {
	MaxTokens   int     // 0: as many as fit
	Temperature float64 // 0: always the most likely token
	TopK        int     // draw from the k most likely tokens; 0: off
	TopP        float64 // draw from the most likely tokens that together have this probability; 0 or 1: off
	MinP        float64 // never draw a token less likely than this share of the most likely one; 0: off
	Typical     float64 // draw from the tokens of most typical information that together have this probability; 0 or 1: off

	RepetitionPenalty float64 // makes tokens of the text less likely; 0 or 1: off; usual: 1.1
	PresencePenalty   float64 // taken from the logits of tokens that have been generated
	FrequencyPenalty  float64 // likewise, times how often
	PenaltyWindow     int     // tokens back that these three look; 0: all

	DRY       DRY             // penalty of repeated sequences
	LogitBias map[int]float64 // added to the logit of a token id; a large negative number bans it
	Seed      uint64
	Stop      []string // texts at which the continuation ends; they are not part of it
	IgnoreEOS bool     // continue after the end-of-text token
	Choices   int      // continuations, one after the other, the i-th with Seed + i; 0: one

	// JSONSchema limits each continuation to JSON that is valid by a schema, Regexp to a
	// text that a regular expression matches as a whole; give at most one of them. The
	// continuation ends when nothing more may follow. docs/SERVE.md lists what is enforced.
	JSONSchema []byte
	Regexp     string
	OnWarning  func(text string) // called with each part of JSONSchema that is not enforced; may be nil
}

// DRY penalizes tokens that would continue a repetition. If the last n tokens have occurred
// before and were followed by a token then, Multiplier · Base^(n − AllowedLength) is subtracted
// from the logit of that token, for n ≥ AllowedLength. The zero value is off.
type DRY struct {
	Multiplier    float64  // 0: off; usual: 0.8
	Base          float64  // 0: 1.75
	AllowedLength int      // longest sequence that is not penalized, in tokens; 0: 2
	Window        int      // tokens back that are looked at; 0: all
	Breakers      []string // a token that contains one of these ends a repetition; nil: newline, colon, quote and asterisk
}

// sampling are the options of the draw for continuation i.
func (o GenerateOptions) sampling(i int) sampler.Options {
	return sampler.Options{Temperature: o.Temperature, TopK: o.TopK, TopP: o.TopP, MinP: o.MinP, Typical: o.Typical,
		RepetitionPenalty: o.RepetitionPenalty, PresencePenalty: o.PresencePenalty, FrequencyPenalty: o.FrequencyPenalty, PenaltyWindow: o.PenaltyWindow,
		DRY:       sampler.DRY{Multiplier: o.DRY.Multiplier, Base: o.DRY.Base, AllowedLength: o.DRY.AllowedLength, Window: o.DRY.Window},
		LogitBias: o.LogitBias, Seed: o.Seed + uint64(i)}
}

// Check returns an error that names the first option with an invalid value.
func (o GenerateOptions) Check() error {
	if err := o.sampling(0).Check(); err != nil {
		return err
	}
	if o.Choices < 0 {
		return errors.New("the number of choices is negative")
	}
	if _, err := o.program(); err != nil {
		return err
	}
	_, err := sampler.NewStops(o.Stop)
	return err
}

// CheckOptions returns an error that names the first option with a value that is invalid, or
// invalid for this model: LogitBias may only name tokens of its vocabulary.
func (m *Model) CheckOptions(o GenerateOptions) error {
	if err := o.Check(); err != nil {
		return err
	}
	return o.sampling(0).Fits(m.engine.Config.VocabSize)
}

// program compiles JSONSchema or Regexp; nil if there is neither.
func (o GenerateOptions) program() (p *constrain.Program, err error) {
	switch {
	case len(o.JSONSchema) > 0 && o.Regexp != "":
		err = errors.New("there are a JSON schema and a regular expression; give one of them")
	case len(o.JSONSchema) > 0:
		if p, err = constrain.Schema(o.JSONSchema); err != nil {
			err = fmt.Errorf("the JSON schema: %w", err)
		}
	case o.Regexp != "":
		if p, err = constrain.Regexp(o.Regexp); err != nil {
			err = fmt.Errorf("the regular expression: %w", err)
		}
	}
	return p, err
}

// grammar returns the grammar that limits the continuations; nil if there is none.
func (m *Model) grammar(o GenerateOptions) (*constrain.Grammar, error) {
	p, err := o.program()
	if p == nil || err != nil {
		return nil, err
	}
	for _, w := range p.Warnings {
		if o.OnWarning != nil {
			o.OnWarning(w)
		}
	}
	texts := make([]string, m.engine.Config.VocabSize)
	for id := range texts {
		texts[id] = m.tok.Text(id)
	}
	return p.Grammar(constrain.NewVocabulary(texts, false)), nil
}

// Token is one generated token.
type Token struct {
	ID     int    // −1: Text belongs to earlier tokens and was held back, because a character or a stop string was incomplete
	Text   string // what it adds to the text; may be empty inside a character of several bytes, or where a stop string may begin
	Choice int    // which continuation it belongs to, from 0
}

// Generate continues the prompt, yielding each token as soon as it is known. BOS is put before
// the prompt if the model wants one and the prompt does not begin with it; no EOS is put after
// it. It ends at the end-of-text token, at a stop string, after MaxTokens, or with an error:
// the context's, [ContextError], or one of the model's files. Breaking out of the loop stops
// the work.
func (m *Model) Generate(ctx context.Context, prompt string, o GenerateOptions) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		fail := func(err error) { yield(Token{}, publicError(err)) }
		if err := m.CheckOptions(o); err != nil {
			fail(err)
			return
		}
		ids, err := m.tok.EncodePrompt(prompt)
		if err != nil {
			fail(err)
			return
		}
		if len(ids) == 0 {
			fail(errors.New("the prompt is empty and the model has no beginning-of-text token; give a prompt"))
			return
		}
		grammar, err := m.grammar(o)
		if err != nil {
			fail(err)
			return
		}
		seq, draft := m.newSequences()
		for choice := range max(o.Choices, 1) {
			g := generation{model: m, seq: seq, draft: draft, options: o, prompt: ids, choice: choice, grammar: grammar}
			if err := g.run(ctx, func(t Token) bool { return yield(t, nil) }); err != nil {
				fail(err)
				return
			}
			if g.abandoned {
				return
			}
		}
	}
}

// Why a continuation has ended.
const (
	FinishStop   = "stop"   // the model ended it, or a stop string
	FinishLength = "length" // MaxTokens, or the context is full
)

// newSequences starts an empty sequence of the model, and one of its draft model (nil: there is
// none).
func (m *Model) newSequences() (seq, draft *engine.Sequence) {
	if m.draft != nil {
		draft = m.draft.NewSequence()
	}
	return m.engine.NewSequence(), draft
}

// generation is one continuation of a prompt.
type generation struct {
	model   *Model
	seq     *engine.Sequence // may hold tokens already, of which those that begin the prompt are used
	draft   *engine.Sequence // the same of the draft model; nil: there is none
	options GenerateOptions
	prompt  []int
	choice  int
	turnEnd []int              // tokens that end it, in addition to those that end a text
	grammar *constrain.Grammar // limits the output; nil: no limits

	// Set by begin:
	limit   int
	ids     map[int]bool // that end it
	stops   *sampler.Stops
	stream  *tokenizer.Stream
	limits  *constrain.Matcher // nil: none
	sampler *sampler.Sampler
	text    speculate.Text
	logits  []float32 // of a round, [rows][vocab]

	// Results:
	tokens    []int  // generated, without the one that ended it
	finish    string // FinishStop or FinishLength
	stopped   bool   // by a stop string
	full      bool   // the context was full
	abandoned bool   // the caller wants no more
	onPrompt  func() // called when the prompt has been computed
}

// run generates the continuation. It computes only the part of the prompt that seq does not
// hold yet.
func (g *generation) run(ctx context.Context, yield func(Token) bool) error {
	if err := g.begin(); err != nil {
		return err
	}
	next := g.prompt[g.seq.Tokens():]
	for g.finish == "" && !g.abandoned {
		if err := g.round(ctx, next, yield); err != nil {
			return err
		}
		if g.finish == "" && !g.abandoned {
			next = g.ahead()
			if err := g.model.draftFailed; err != nil {
				g.model.draftFailed = nil // said once
				return err
			}
		}
	}
	g.full = g.finish == FinishLength && len(g.prompt)+len(g.tokens) >= g.model.engine.Context
	if g.stopped || g.abandoned {
		return nil
	}
	text, stop := g.stops.Push(g.stream.Flush())
	if stop == "" {
		text += g.stops.Flush()
	}
	if text != "" && !yield(Token{ID: -1, Text: text, Choice: g.choice}) {
		g.abandoned = true
	}
	return nil
}

func (g *generation) begin() (err error) {
	m, o := g.model, g.options
	g.limit = m.engine.Context - len(g.prompt)
	if o.MaxTokens > 0 {
		g.limit = min(g.limit, o.MaxTokens)
	}
	g.ids = g.ends()
	if g.stops, err = sampler.NewStops(o.Stop); err != nil {
		return err
	}
	g.sampler, g.stream = sampler.New(o.sampling(g.choice), g.prompt, m.breaker(o.DRY)), m.tok.Stream()
	if g.grammar != nil {
		g.limits = g.grammar.Matcher(slices.Collect(maps.Keys(g.ids)))
		g.sampler.Constrain(g.limits)
	}
	for _, id := range g.prompt {
		g.stream.Next(id) // so that the spacing of the continuation fits the prompt
	}
	g.seq.Truncate(len(g.prompt) - 1) // the last token gives the first logits
	if g.draft != nil {
		g.draft.Truncate(len(g.prompt) - 1)
	}
	g.text = speculate.Text{Sampler: g.sampler, Ends: func(id int) bool { return g.ids[id] }, Draft: g.draft}
	return nil
}

// ahead returns what the next round computes: the token drawn last, and guesses of what follows.
func (g *generation) ahead() []int {
	t, last := &g.text, len(g.tokens)-1
	t.Tokens, t.Next = append(append(t.Tokens[:0], g.prompt...), g.tokens[:last]...), g.tokens[last]
	t.Most = g.limit - len(g.tokens) - 1
	g.model.guesser.Look([]*speculate.Text{t}, false)
	return t.Chosen([]int{t.Next})
}

// round appends ids to the sequence and draws a token, and further ones as long as they are those
// that were guessed.
func (g *generation) round(ctx context.Context, ids []int, yield func(Token) bool) error {
	start := time.Now()
	if err := g.forward(ctx, ids); err != nil {
		return err
	}
	if len(g.tokens) > 0 {
		g.model.guesser.Measured(len(ids), time.Since(start))
	} else if g.onPrompt != nil {
		g.onPrompt()
	}
	defer func() {
		g.model.counts.Add(g.text.Counts())
		g.seq.Truncate(g.seq.Tokens() - g.text.Wrong())
	}()
	vocab := g.model.engine.Config.VocabSize
	for rows := g.logits; ; rows = rows[vocab:] {
		if going, err := g.draw(rows[:vocab], yield); !going || err != nil {
			return err
		}
		if !g.text.Drawn(g.tokens[len(g.tokens)-1]) {
			return nil
		}
	}
}

// draw draws a token and says whether the continuation goes on.
func (g *generation) draw(logits []float32, yield func(Token) bool) (going bool, err error) {
	var next int
	if g.limits != nil {
		next, err = g.sampler.NextAllowed(logits, func(id int) bool { return g.ids[id] })
	} else {
		next = g.sampler.Next(logits)
	}
	switch {
	case err != nil:
		return false, err
	case g.ids[next]:
		g.finish = FinishStop
		return false, nil
	case len(g.tokens) >= g.limit:
		g.finish = FinishLength
		return false, nil
	}
	g.tokens = append(g.tokens, next)
	text, stop := g.stops.Push(g.stream.Next(next))
	if !yield(Token{ID: next, Text: text, Choice: g.choice}) {
		g.abandoned = true
		return false, nil
	}
	switch {
	case stop != "":
		g.finish, g.stopped = FinishStop, true
	case g.limits != nil && g.limits.Done():
		g.finish = FinishStop
	case len(g.tokens) == g.limit:
		g.finish = FinishLength
	}
	return g.finish == "", nil
}

// ends returns the set of tokens that end the text.
func (g *generation) ends() map[int]bool {
	ends := map[int]bool{}
	if g.options.IgnoreEOS {
		return ends
	}
	for _, list := range [][]int{g.model.tok.EOS(), g.model.engine.Config.EOS, g.turnEnd} {
		for _, id := range list {
			ends[id] = true
		}
	}
	return ends
}

// forward appends ids to the sequence and takes the logits of the last one, and of those before it
// that are guesses or what they follow.
func (g *generation) forward(ctx context.Context, ids []int) error {
	step := engine.Step{Seq: g.seq, IDs: ids, Want: engine.WantLast}
	if len(g.tokens) > 0 {
		step.Want = engine.WantAll
	}
	g.logits = g.logits[:0]
	return g.model.engine.Forward(ctx, []engine.Step{step}, func(_, _ int, logits []float32) error {
		g.logits = append(g.logits, logits...)
		return nil
	})
}

// breaker returns a function that reports whether a token's text contains one of DRY's
// breakers; nil if DRY is off.
func (m *Model) breaker(d DRY) func(id int) bool {
	if d.Multiplier == 0 {
		return nil
	}
	texts := d.Breakers
	if texts == nil {
		texts = sampler.DefaultBreakers
	}
	known := map[int]bool{}
	return func(id int) bool {
		is, ok := known[id]
		if !ok {
			text := m.tok.Decode([]int{id})
			for _, t := range texts {
				is = is || strings.Contains(text, t)
			}
			known[id] = is
		}
		return is
	}
}
