package specquant

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/constrain"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/engine/sampler"
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
	IgnoreEOS bool     // go on past the end-of-text token
	Choices   int      // continuations, one after the other, the i-th with Seed + i; 0: one

	// JSONSchema limits each continuation to JSON that fits a schema, Regexp to a text that
	// an expression matches as a whole; at most one of them. The continuation ends where
	// nothing more may follow. docs/SERVE.md says what is enforced.
	JSONSchema []byte
	Regexp     string
	OnWarning  func(text string) // is told what of JSONSchema is not enforced; nil: nobody is
}

// DRY penalizes tokens that would go on with a repetition: one that once followed the
// last n tokens, n at least AllowedLength, loses Multiplier · Base^(n - AllowedLength)
// of its logit. The zero value is off.
type DRY struct {
	Multiplier    float64  // 0: off; usual: 0.8
	Base          float64  // 0: 1.75
	AllowedLength int      // tokens that may be repeated; 0: 2
	Window        int      // tokens back that are looked at; 0: all
	Breakers      []string // texts that no repetition goes across; nil: newline, colon, quote and asterisk
}

// sampling are the options of the draw for continuation i.
func (o GenerateOptions) sampling(i int) sampler.Options {
	return sampler.Options{Temperature: o.Temperature, TopK: o.TopK, TopP: o.TopP, MinP: o.MinP, Typical: o.Typical,
		RepetitionPenalty: o.RepetitionPenalty, PresencePenalty: o.PresencePenalty, FrequencyPenalty: o.FrequencyPenalty, PenaltyWindow: o.PenaltyWindow,
		DRY:       sampler.DRY{Multiplier: o.DRY.Multiplier, Base: o.DRY.Base, AllowedLength: o.DRY.AllowedLength, Window: o.DRY.Window},
		LogitBias: o.LogitBias, Seed: o.Seed + uint64(i)}
}

// Check says which option makes no sense.
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

// program is the constraint of the continuations; nil: there is none.
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

// grammar is what limits the continuations; nil: nothing does.
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
	ID     int    // -1: no token, but text that was held back
	Text   string // what it adds to the text; may be empty inside a character of several bytes, or where a stop string may begin
	Choice int    // which continuation it belongs to, from 0
}

// Generate continues the prompt, yielding each token as soon as it is known. BOS goes
// before the prompt if the model wants one and the prompt does not begin with it; EOS
// never goes behind it, whatever the tokenizer does to a text that is complete.
// It ends at the end-of-text token, at a stop string, after MaxTokens, or with an
// error: the context's, [ContextError], or one of the model's files. Breaking out of
// the loop stops the work.
func (m *Model) Generate(ctx context.Context, prompt string, o GenerateOptions) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		fail := func(err error) { yield(Token{}, publicError(err)) }
		if err := o.Check(); err != nil {
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
		seq := m.engine.NewSequence()
		for choice := range max(o.Choices, 1) {
			g := generation{model: m, seq: seq, options: o, prompt: ids, choice: choice, grammar: grammar}
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

// generation is one continuation of a prompt.
type generation struct {
	model   *Model
	seq     *engine.Sequence // holds the first tokens of the prompt, or all of it, or more that is forgotten
	options GenerateOptions
	prompt  []int
	choice  int
	turnEnd []int              // tokens that end it, beside those that end a text
	grammar *constrain.Grammar // limits what is written; nil: nothing does

	// What came of it:
	tokens    []int  // generated, without the one that ended it
	finish    string // FinishStop or FinishLength
	full      bool   // the context was full
	abandoned bool   // the caller wants no more
	onPrompt  func() // called when the prompt has been computed
}

// run generates. Of the prompt it computes what seq does not hold yet.
func (g *generation) run(ctx context.Context, yield func(Token) bool) error {
	m, o := g.model, g.options
	limit := m.engine.Context - len(g.prompt)
	if o.MaxTokens > 0 {
		limit = min(limit, o.MaxTokens)
	}
	ends := map[int]bool{}
	for _, list := range [][]int{m.tok.EOS(), m.engine.Config.EOS, g.turnEnd} {
		for _, id := range list {
			ends[id] = !o.IgnoreEOS
		}
	}
	stops, err := sampler.NewStops(o.Stop)
	if err != nil {
		return err
	}
	s, stream := sampler.New(o.sampling(g.choice), g.prompt, m.breaker(o.DRY)), m.tok.Stream()
	var limits *constrain.Matcher
	if g.grammar != nil {
		maps.DeleteFunc(ends, func(_ int, ends bool) bool { return !ends })
		limits = g.grammar.Matcher(slices.Collect(maps.Keys(ends)))
		s.Constrain(limits)
	}
	for _, id := range g.prompt {
		stream.Next(id) // what follows is spaced as the prompt's continuation
	}
	g.seq.Truncate(len(g.prompt) - 1) // the last token gives the first logits
	ids := g.prompt[g.seq.Tokens():]
	for {
		var next int
		err := m.engine.Forward(ctx, []engine.Step{{Seq: g.seq, IDs: ids, Want: engine.WantLast}}, func(_, _ int, logits []float32) error {
			if limits == nil {
				next = s.Next(logits)
				return nil
			}
			var err error
			next, err = s.NextAllowed(logits, func(id int) bool { return ends[id] })
			return err
		})
		if err != nil {
			return err
		}
		if g.onPrompt != nil && len(g.tokens) == 0 {
			g.onPrompt()
		}
		if ends[next] {
			g.finish = FinishStop
			break
		}
		if len(g.tokens) >= limit {
			g.finish = FinishLength
			break
		}
		g.tokens = append(g.tokens, next)
		text, stop := stops.Push(stream.Next(next))
		if !yield(Token{ID: next, Text: text, Choice: g.choice}) {
			g.abandoned = true
			return nil
		}
		if stop != "" {
			g.finish = FinishStop
			return nil
		}
		if limits != nil && limits.Done() {
			g.finish = FinishStop
			break
		}
		if len(g.tokens) == limit {
			g.finish = FinishLength
			break
		}
		ids = []int{next}
	}
	g.full = g.finish == FinishLength && len(g.prompt)+len(g.tokens) >= m.engine.Context
	text, stop := stops.Push(stream.Flush())
	if stop == "" {
		text += stops.Flush()
	}
	if text != "" && !yield(Token{ID: -1, Text: text, Choice: g.choice}) {
		g.abandoned = true
	}
	return nil
}

// breaker says of a token whether one of DRY's breakers is in its text.
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
