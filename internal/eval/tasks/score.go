package tasks

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"github.com/specquant/specquant/internal/jsonfloat"
	"strings"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/plural"
)

// Scored is the score of one choice.
type Scored struct {
	LogProb float64 `json:"logprob"` // Σ log p of the continuation's tokens, in nats
	Tokens  int     `json:"tokens"`  // tokens of the continuation
	Chars   int     `json:"chars"`   // code points of the answer
	Bytes   int     `json:"bytes"`   // bytes of the answer
	Greedy  bool    `json:"greedy"`  // every token was the most likely one
}

// scoredJSON is a choice as it is stored in a line of a log.
type scoredJSON struct {
	LogProb jsonfloat.Float `json:"logprob"`
	Tokens  int             `json:"tokens"`
	Chars   int             `json:"chars"`
	Bytes   int             `json:"bytes"`
	Greedy  bool            `json:"greedy"`
}

// MarshalJSON implements json.Marshaler; the logarithm of probability 0 is "-Infinity".
func (s Scored) MarshalJSON() ([]byte, error) {
	return json.Marshal(scoredJSON{jsonfloat.Float(s.LogProb), s.Tokens, s.Chars, s.Bytes, s.Greedy})
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Scored) UnmarshalJSON(data []byte) error {
	var v scoredJSON
	err := json.Unmarshal(data, &v)
	*s = Scored{float64(v.LogProb), v.Tokens, v.Chars, v.Bytes, v.Greedy}
	return err
}

// Sample is the record of one question: one line of a log.
type Sample struct {
	Task      string   `json:"task"`
	Index     int      `json:"index"`
	Context   string   `json:"question_sha256"` // of contexts and continuations, first 16 digits
	Choices   []Scored `json:"choices"`
	Gold      int      `json:"gold"`
	Pred      int      `json:"pred"`                // most likely choice
	PredNorm  int      `json:"pred_norm"`           // most likely choice per character
	Correct   bool     `json:"acc"`                 // LAMBADA: greedy
	CorrectN  bool     `json:"acc_norm"`            //
	Truncated bool     `json:"truncated,omitempty"` // some context was cut from the left
}

// prompt converts texts to spans.
type prompt struct {
	enc       eval.Encoder
	bos       bool // put BOS before each text
	maxLength int  // the model's context, in tokens
	prefix    int  // token used for an empty context; -1: none
}

func newPrompt(enc eval.Encoder, bos bool, maxLength int) (*prompt, error) {
	p := &prompt{enc: enc, bos: bos, maxLength: maxLength, prefix: -1}
	if id, ok := enc.BOS(); ok {
		p.prefix = id
	} else if bos {
		return nil, fmt.Errorf("BOS is requested, but the tokenizer has none")
	} else if eos := enc.EOS(); len(eos) > 0 {
		p.prefix = eos[0]
	}
	return p, nil
}

func (p *prompt) encode(text string) ([]int, error) {
	ids, err := p.enc.Encode(text, false)
	if err == nil && p.bos {
		ids = append([]int{p.prefix}, ids...)
	}
	return ids, err
}

// encodePair splits context and continuation into tokens as lm-eval does: spaces at the end
// of the context belong to the continuation, and the continuation's tokens are those of the
// whole text after as many as the context alone has.
func (p *prompt) encodePair(context, continuation string) (c, rest []int, err error) {
	if context == "" {
		if p.prefix < 0 {
			return nil, nil, fmt.Errorf("the context is empty and the tokenizer has neither a BOS nor an EOS token to use instead")
		}
		rest, err = p.encode(continuation)
		return []int{p.prefix}, rest, err
	}
	bare := strings.TrimRightFunc(context, pySpace)
	continuation = context[len(bare):] + continuation
	if c, err = p.encode(bare); err != nil {
		return nil, nil, err
	}
	whole, err := p.encode(bare + continuation)
	if err != nil {
		return nil, nil, err
	}
	if len(c) == 0 {
		return nil, nil, fmt.Errorf("the context has no tokens")
	}
	if len(whole) > len(c) {
		rest = whole[len(c):]
	}
	return c, rest, nil
}

// LongError means that a choice alone is longer than the model's context. lm-eval stops at
// such a question, too.
type LongError struct{ Tokens, MaxLength int }

func (e *LongError) Error() string {
	return fmt.Sprintf("a choice has %s, more than the model's context of %d; take a longer context", plural.Of(e.Tokens, "token"), e.MaxLength)
}

// span joins context and continuation and cuts off, from the left, what exceeds the model's
// context.
func (p *prompt) span(c Choice) (s eval.Span, truncated bool, err error) {
	context, rest, err := p.encodePair(c.Context, c.Continuation)
	if err != nil {
		return s, false, err
	}
	if len(rest) == 0 {
		return s, false, fmt.Errorf("%q adds no token to its context", c.Continuation)
	}
	if len(rest) > p.maxLength {
		return s, false, &LongError{len(rest), p.maxLength}
	}
	ids := append(append(make([]int, 0, len(context)+len(rest)), context...), rest...)
	if most := p.maxLength + 1; len(ids) > most {
		ids, truncated = ids[len(ids)-most:], true
	}
	return eval.Span{IDs: ids, From: len(ids) - len(rest)}, truncated, nil
}

// prepared is a question as tokens.
type prepared struct {
	question  *Question
	hash      string
	spans     []eval.Span
	truncated bool
}

func (p *prompt) prepare(q *Question) (*prepared, error) {
	out := &prepared{question: q, hash: q.hash()}
	for i, c := range q.Choices {
		s, cut, err := p.span(c)
		if err != nil {
			return nil, fmt.Errorf("question %d, choice %d, counted from 0: %w", q.Index, i, err)
		}
		out.spans = append(out.spans, s)
		out.truncated = out.truncated || cut
	}
	return out, nil
}

// hash is the first 16 digits of the sha256 of the question's texts.
func (q *Question) hash() string {
	h := sha256.New()
	var n [8]byte
	for _, c := range q.Choices {
		for _, s := range []string{c.Context, c.Continuation} {
			binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
			h.Write(n[:])
			h.Write([]byte(s))
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// sample scores a question from the predictions of its tokens, [choice][token].
func (t *Task) sample(p *prepared, predictions [][]eval.Prediction) Sample {
	s := Sample{Task: t.Name, Index: p.question.Index, Context: p.hash, Gold: p.question.Gold, Truncated: p.truncated}
	for i, c := range p.question.Choices {
		r := Scored{Tokens: len(predictions[i]), Chars: utf8.RuneCountInString(c.Answer), Bytes: len(c.Answer), Greedy: true}
		for _, x := range predictions[i] {
			r.LogProb -= x.NLL
			r.Greedy = r.Greedy && x.Top
		}
		s.Choices = append(s.Choices, r)
	}
	t.decide(&s)
	return s
}

// decide derives the answer from the scores of the choices; the first one if several are
// equal.
func (t *Task) decide(s *Sample) {
	s.Pred, s.PredNorm = 0, 0
	norm := func(i int) float64 { return s.Choices[i].LogProb / float64(s.Choices[i].Chars) }
	for i := range s.Choices {
		if s.Choices[i].LogProb > s.Choices[s.Pred].LogProb {
			s.Pred = i
		}
		if norm(i) > norm(s.PredNorm) {
			s.PredNorm = i
		}
	}
	s.Correct, s.CorrectN = s.Pred == s.Gold, s.PredNorm == s.Gold
	if t.Greedy {
		s.Correct = s.Choices[0].Greedy
		s.CorrectN = s.Correct
	}
}
