package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/plural"
)

type chatCmd struct {
	Dir       string   `arg:"" name:"model" help:"Folder or name of a model with a chat template." placeholder:"MODEL"`
	Text      []string `arg:"" optional:"" name:"text" help:"A question to answer; then the command ends. Without it, questions are read from the terminal, or line by line from standard input."`
	System    string   `short:"s" help:"System message: instructions that hold for the whole conversation." placeholder:"TEXT"`
	MaxTokens int      `short:"n" help:"Tokens of an answer, at most. 0: as many as fit." default:"0"`
	Think     string   `help:"For models that can reason before they answer: on or off; auto leaves it to the model's template." enum:"auto,on,off" default:"auto"`
	Quantize  bool     `help:"Quantize the model first, unless it has been, and keep the result in the store; prints beforehand what that costs. Only for names of models, not for folders."`
	Recipe    string   `help:"With --quantize: an embedded recipe or a .yaml file." default:"${recipe}" placeholder:"NAME"`
	Bits      string   `help:"With --quantize: bits of weights, activations and cache. Default: the recipe's own, as of specquant quantize." placeholder:"W-A-KV"`
	Full      bool     `help:"Use the model as it was downloaded, even if a quantized one is in the store."`
	Ctx       int      `help:"Context in tokens. 0: the model's own, at most 8192." default:"0"`
	Threads   int      `help:"Threads. 0: one for each CPU." default:"0"`
	Draft     string   `help:"Folder or name of a smaller model with the same vocabulary that guesses what an answer goes on with, where that is faster; answers are the same." placeholder:"SMALL"`

	samplingFlags `kong:"embed,set='temp=-1',set='temp_auto= -1: as generation_config.json recommends, with its top-k and top-p, else 0.',set='dry=0.8',set='dry_allowed=8'"`
}

// maxQuestion bounds one message, in bytes.
const maxQuestion = 1 << 20

func (c *chatCmd) Run(e *env) error {
	switch {
	case c.MaxTokens < 0:
		return fmt.Errorf("--max-tokens: found %d, expected a number of tokens, or 0 for as many as fit", c.MaxTokens)
	case c.Ctx < 0:
		return fmt.Errorf("--ctx: found %d, expected a number of tokens, or 0 for the model's own context", c.Ctx)
	case c.Threads < 0:
		return fmt.Errorf("--threads: found %d, expected a number of threads, or 0 for one for each CPU", c.Threads)
	}
	recommended := c.Temp == -1
	if recommended {
		c.Temp = 0
	}
	if err := c.options().Check(); err != nil {
		return err
	}
	dir, err := c.model(e)
	if err != nil {
		return err
	}
	draft, err := draftModel(e, c.Draft, c.Full)
	if err != nil {
		return err
	}
	smallHeap(pipeline.RunHeapPercent)
	m, err := specquant.Open(dir, specquant.Options{Threads: c.Threads, Context: c.Ctx, Draft: draft})
	if err != nil {
		return err
	}
	defer m.Close()
	e.noteSums(m)
	if err := m.CheckOptions(c.options()); err != nil {
		return err
	}
	if recommended {
		if err := c.recommend(m); err != nil {
			return err
		}
	}
	chat, err := m.NewChat(specquant.ChatOptions{System: c.System})
	if errors.Is(err, specquant.ErrNoChatTemplate) {
		return fmt.Errorf("%s: %w: it can only continue a text; try: specquant run %s \"Once upon a time\"", c.Dir, err, c.Dir)
	}
	if err != nil {
		return err
	}
	if err := e.ctx.Err(); err != nil { // interrupted while the model was opened
		return err
	}
	s := &chatSession{env: e, model: m, chat: chat, flags: c.samplingFlags, maxTokens: c.MaxTokens, think: c.Think, name: c.Dir}
	s.applyThink()
	if len(c.Text) > 0 {
		return s.ask(strings.Join(c.Text, " "))
	}
	in := newChatInput(e)
	defer in.Close()
	s.talking = in.Terminal()
	if s.talking {
		fmt.Fprintf(e.err, "%s, bits %s, context of %s\n%s\n", c.Dir, m.Bits(), plural.Of(m.Context(), "token"), s.dim("/help for help, Ctrl-C stops an answer, Ctrl-D leaves"))
	}
	err = s.run(in)
	s.goodbye()
	return err
}

// recommend takes the sampling options that the model's makers recommend.
func (c *chatCmd) recommend(m *specquant.Model) error {
	o, ok, err := m.RecommendedSampling()
	if err != nil {
		return fmt.Errorf("%w; mend it, or give --temp, which leaves the file aside", err)
	}
	if ok {
		c.Temp, c.TopK, c.TopP, c.MinP = o.Temperature, o.TopK, o.TopP, o.MinP
		if o.RepetitionPenalty > 0 {
			c.RepeatPenalty = o.RepetitionPenalty
		}
	}
	return nil
}

// chatSession is a conversation at the command line.
type chatSession struct {
	*env
	model     *specquant.Model
	chat      *specquant.Chat
	flags     samplingFlags
	maxTokens int
	think     string
	name      string
	talking   bool // messages are typed at a terminal
	failed    error

	tokens, answers int // generated in all
	time            time.Duration
}

// run reads messages and commands until the input ends or the user leaves.
func (s *chatSession) run(in chatInput) error {
	// Signals that end the program while it waits for input: SIGTERM, and Ctrl-C if the
	// input is a pipe. At a terminal Ctrl-C only discards the line or stops the answer.
	leave, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if !s.talking {
		leave = s.ctx
	}
	type line struct {
		text string
		err  error
	}
	lines := make(chan line, 1)
	for {
		go func() {
			text, err := in.Read()
			lines <- line{text, err}
		}()
		var l line
		select {
		case l = <-lines:
		case <-leave.Done():
			if s.talking {
				fmt.Fprintln(s.err) // leave the line that was being typed
			}
			return context.Canceled
		}
		text, err := l.text, l.err
		switch {
		case errors.Is(err, errInterrupted):
			fmt.Fprintln(s.err, "(/bye or Ctrl-D to leave)")
			continue
		case errors.Is(err, io.EOF):
			return s.failed
		case err != nil:
			return err
		}
		if leave, err := s.handle(strings.TrimRightFunc(text, unicode.IsSpace)); leave {
			return err
		}
	}
}

// handle obeys a command or asks a question. leave: the conversation ends, with err as the program's error.
func (s *chatSession) handle(text string) (leave bool, err error) {
	switch {
	case strings.TrimSpace(text) == "":
		return false, nil
	case strings.HasPrefix(text, "/") && !strings.Contains(text, "\n"):
		leave, err = s.command(text)
	default:
		err = s.ask(text)
		if !s.talking && errors.Is(err, context.Canceled) {
			return true, err
		}
	}
	if err != nil {
		fmt.Fprintln(s.err, "specquant:", err)
		s.failed = s.unlessTalking(err)
	}
	return leave, s.failed
}

// unlessTalking returns the error with which the program ends: none at a terminal, where the
// user has seen the message and continued.
func (s *chatSession) unlessTalking(err error) error {
	if s.talking {
		return nil
	}
	return errors.New("not every message was answered; see above")
}

// ask sends a message and prints the answer as it comes. Ctrl-C ends the answer.
func (s *chatSession) ask(text string) error {
	if len(text) > maxQuestion {
		return fmt.Errorf("the message has %s, the limit is %d", plural.Of(len(text), "byte"), maxQuestion)
	}
	// The first Ctrl-C cancels the program's own context; here it must only stop the
	// answer.
	ctx, stop := signal.NotifyContext(context.WithoutCancel(s.ctx), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := s.flags.options()
	o.MaxTokens = s.maxTokens
	wrap := &wordWrap{w: s.out, width: func() int { return terminalWidth(s.out) }}
	out := &plainText{w: s.out}
	if wrap.width() > 0 {
		out.w = wrap
	}
	for token, err := range s.chat.Say(ctx, strings.ToValidUTF8(text, "\ufffd"), o) {
		if err != nil {
			if out.wrote {
				wrap.Flush()
				fmt.Fprintln(s.out)
			}
			if errors.Is(err, context.Canceled) && s.talking {
				fmt.Fprintln(s.err, "(stopped)")
				return nil
			}
			return err
		}
		if err := out.write(token.Text); err != nil {
			return err
		}
	}
	if err := wrap.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	st := s.chat.Stats()
	s.answers++
	s.tokens += st.Tokens
	s.time += st.AnswerTime
	s.notes(st)
	return nil
}

// notes prints what the user should know about an answer, such as that it was cut off.
func (s *chatSession) notes(st specquant.ChatStats) {
	for _, n := range st.TemplateNotes {
		fmt.Fprintf(s.err, "(%s)\n", n)
	}
	if st.TurnsDropped > 0 {
		fmt.Fprintf(s.err, "(the context of %s is full: the model no longer sees the first %s; /reset starts a new conversation, --ctx gives a larger context)\n", plural.Of(s.model.Context(), "token"), plural.Of(st.TurnsDropped, "question"))
	}
	switch {
	case st.ContextFull:
		fmt.Fprintf(s.err, "(cut off: the context of %s is full; --ctx gives a larger one)\n", plural.Of(s.model.Context(), "token"))
	case st.Finish == specquant.FinishLength:
		fmt.Fprintf(s.err, "(cut off after %s, as --max-tokens or /set max-tokens asks)\n", plural.Of(s.maxTokens, "token"))
	case st.Tokens == 0:
		fmt.Fprintln(s.err, "(the model answered nothing)")
	}
	if s.talking {
		fmt.Fprintf(s.err, "%s\n\n", s.dim(statsLine(st, s.model.Context())))
	}
}

// goodbye prints how many tokens were generated and how fast.
func (s *chatSession) goodbye() {
	if s.answers == 0 {
		return
	}
	fmt.Fprintf(s.err, "%s, %s, %.1f a second, bits %s\n", plural.Of(s.answers, "answer"), plural.Of(s.tokens, "token"), rate(s.tokens, s.time), s.model.Bits())
}

func statsLine(st specquant.ChatStats, size int) string {
	return fmt.Sprintf("%s, %.1f a second; first after %s; context %d of %d", plural.Of(st.Tokens, "token"), rate(st.Tokens, st.AnswerTime), durationText(st.PromptTime), st.PromptTokens+st.Tokens, size)
}

// guessesText says, behind a separator, how many guesses of what a text goes on with were right;
// "" if none was computed.
func guessesText(separator string, s specquant.Speculation) string {
	if s.Guessed == 0 {
		return ""
	}
	return fmt.Sprintf("%s%d of %s right", separator, s.Right, plural.Of(int(s.Guessed), "guessed token"))
}

func rate(n int, d time.Duration) float64 { return float64(n) / max(d.Seconds(), 1e-9) }

// dim returns text in grey if the terminal has colours.
func (s *chatSession) dim(text string) string {
	if !s.isTerm || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return text
	}
	return "\x1b[2m" + text + "\x1b[0m"
}

// plainText writes generated text without control characters, which could change the terminal's
// state.
type plainText struct {
	w     io.Writer
	wrote bool
}

func (p *plainText) write(text string) error {
	text = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
	if !p.wrote { // many models start an answer with a space
		text = strings.TrimLeft(text, " \n")
	}
	if text == "" {
		return nil
	}
	p.wrote = true
	_, err := io.WriteString(p.w, text)
	return err
}
