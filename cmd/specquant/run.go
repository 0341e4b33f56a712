package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/constrain"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/plural"
	"golang.org/x/term"
)

type runCmd struct {
	Dir       string   `arg:"" help:"Folder or name of a quantized model or of a checkpoint, or a GGUF file." placeholder:"MODEL"`
	Text      []string `arg:"" optional:"" name:"text" help:"Text to continue. Without it and --prompt, up to 1 MiB is read from standard input, without its final newline, unless that is a terminal."`
	Prompt    *string  `short:"p" help:"Text to continue, instead of the argument." placeholder:"TEXT"`
	N         int      `short:"n" help:"Tokens to generate, at most. 0: until the context is full." default:"256"`
	Full      bool     `help:"Use the model as it was downloaded, even if a quantized one is in the store."`
	Ctx       int      `help:"Context in tokens. 0: the model's own, at most 8192." default:"0"`
	Threads   int      `help:"Threads. 0: one for each CPU." default:"0"`
	Draft     string   `help:"Folder or name of a smaller model with the same vocabulary that guesses what the text goes on with, where that is faster; the text is the same." placeholder:"SMALL"`
	IgnoreEOS bool     `name:"ignore-eos" help:"Continue after the end-of-text token."`
	Schema    string   `name:"json-schema" help:"File with a JSON schema that the continuation must fit." placeholder:"FILE"`
	Regex     string   `help:"Regular expression that the whole continuation must match." placeholder:"RE"`
	Choices   int      `help:"Continuations, one after the other, each with the next seed." default:"1"`

	samplingFlags `kong:"embed,set='temp=0.8',set='temp_auto=',set='dry=0',set='dry_allowed=2'"`
}

// maxPrompt bounds what is read from standard input, in bytes.
const maxPrompt = 1 << 20

func (c *runCmd) Run(e *env) error {
	if err := c.check(); err != nil {
		return err
	}
	prompt, err := c.prompt(e.ctx, e.in)
	if err != nil {
		return err
	}
	o := c.options()
	o.MaxTokens, o.IgnoreEOS, o.Choices, o.Regexp = max(c.N, 0), c.IgnoreEOS, c.Choices, c.Regex
	if c.Schema != "" {
		if o.JSONSchema, err = input.ReadFile(c.Schema, constrain.MaxSchemaBytes); err != nil {
			return fmt.Errorf("--json-schema: %w", err)
		}
	}
	o.OnWarning = func(text string) { fmt.Fprintf(e.err, "warning: %s: %s\n", c.Schema, text) }
	if err := o.Check(); err != nil {
		return err
	}
	if c.Dir, err = modelToRun(e, c.Dir, c.Full); err != nil {
		return err
	}
	draft, err := draftModel(e, c.Draft, c.Full)
	if err != nil {
		return err
	}
	smallHeap(pipeline.RunHeapPercent)
	m, err := specquant.Open(c.Dir, specquant.Options{Threads: c.Threads, Context: c.Ctx, Draft: draft})
	if err != nil {
		return err
	}
	defer m.Close()
	e.noteSums(m)
	if err := m.CheckOptions(o); err != nil {
		return err
	}
	ids, err := m.Encode(prompt)
	switch {
	case err != nil:
		return err
	case len(ids) == 0:
		return errors.New("the prompt is empty and the model has no beginning-of-text token; give a prompt")
	case len(ids) > m.Context():
		return fmt.Errorf("the prompt has %s, the context is %d; shorten the prompt%s", plural.Of(len(ids), "token"), m.Context(), c.larger(m.Context(), " or give a larger --ctx, up to %d"))
	}
	printWarnings(e, m.PromptWarnings(ids))
	start := time.Now()
	n, last, err := printContinuations(e, m, prompt, o)
	if err != nil {
		return err
	}
	if len(ids)+last == m.Context() && (c.N <= 0 || last < c.N) {
		fmt.Fprintf(e.err, "stopped because the context of %s is full: %d of the prompt, %d generated%s\n", plural.Of(m.Context(), "token"), len(ids), last, c.larger(m.Context(), "; --ctx can be up to %d"))
	}
	if n == 0 && m.HasChatTemplate() {
		fmt.Fprintf(e.err, "the model ended the text at once: it was made for conversations, and run only continues a text; to ask it something: specquant chat %s\n", c.Dir)
	}
	fmt.Fprintf(e.err, "%s in %s, %.1f a second%s, bits %s\n", plural.Of(n, "token"), durationText(time.Since(start)), float64(n)/time.Since(start).Seconds(), guessesText(", ", m.Speculation()), m.Bits())
	return nil
}

// printContinuations writes the prompt with each continuation as it is generated. It returns the number of tokens, of all
// continuations and of the last one.
func printContinuations(e *env, m *specquant.Model, prompt string, o specquant.GenerateOptions) (n, last int, err error) {
	if _, err := fmt.Fprint(e.out, prompt); err != nil {
		return 0, 0, err
	}
	choice := 0
	for token, err := range m.Generate(e.ctx, prompt, o) {
		if err != nil {
			fmt.Fprintln(e.out)
			return 0, 0, err
		}
		text := token.Text
		if token.Choice != choice {
			choice, last = token.Choice, 0
			text = "\n\n" + prompt + text
		}
		if _, err := fmt.Fprint(e.out, text); err != nil {
			return 0, 0, err
		}
		if token.ID >= 0 { // otherwise it is the rest of the last token's text
			n++
			last++
		}
	}
	fmt.Fprintln(e.out)
	return n, last, nil
}

// check returns an error for invalid flags, before anything is read.
func (c *runCmd) check() error {
	switch {
	case c.N < -1:
		return fmt.Errorf("-n: found %d, expected a number of tokens, or 0 or -1 for as many as the context has room for", c.N)
	case c.Ctx < 0:
		return fmt.Errorf("--ctx: found %d, expected a number of tokens, or 0 for the model's own context", c.Ctx)
	case c.Threads < 0:
		return fmt.Errorf("--threads: found %d, expected a number of threads, or 0 for one for each CPU", c.Threads)
	case c.Choices < 1:
		return fmt.Errorf("--choices: found %d, expected a number from 1", c.Choices)
	}
	return c.options().Check()
}

// prompt returns the text to continue, from the flag, the argument or standard input. It must
// be UTF-8, because the tokenizer would replace other bytes.
func (c *runCmd) prompt(ctx context.Context, in io.Reader) (string, error) {
	var text, where string
	switch {
	case c.Prompt != nil && len(c.Text) > 0:
		return "", errors.New("there are two prompts, one by --prompt and one as an argument; give one of them")
	case c.Prompt != nil:
		text, where = *c.Prompt, "--prompt"
	case len(c.Text) > 0:
		text, where = strings.Join(c.Text, " "), "the prompt"
	case in == nil || isTerminalInput(in): // no prompt: the model starts by itself
	default:
		data, err := input.ReadAll(ctx, func() (io.Reader, error) { return in, nil }, "standard input", maxPrompt)
		var large *input.LargeError
		switch {
		case errors.As(err, &large):
			return "", fmt.Errorf("standard input has more than %s, the limit of a prompt; give a shorter one", plural.Of(maxPrompt, "byte"))
		case ctx.Err() != nil:
			return "", ctx.Err()
		case err != nil:
			return "", fmt.Errorf("reading the prompt from standard input: %w; give it as an argument", err)
		}
		text, where = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), "standard input"
	}
	for i, r := range text {
		if r != utf8.RuneError {
			continue
		}
		if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
			return "", fmt.Errorf("%s is not UTF-8: byte %d is 0x%02x; convert it to UTF-8", where, i, text[i])
		}
	}
	return text, nil
}

// larger formats the longest context that the model was made for; "" if that is not longer than
// the present one, or not known.
func (c *runCmd) larger(present int, format string) string {
	ck, err := checkpoint.Open(c.Dir)
	if err != nil {
		return ""
	}
	defer ck.Close()
	if ck.Config.MaxPositions <= present {
		return ""
	}
	return fmt.Sprintf(format, ck.Config.MaxPositions)
}

// isTerminalInput reports whether r is a terminal.
func isTerminalInput(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// smallHeap lets the heap grow by the given percentage between garbage collections instead of
// Go's 100 %, unless the user has set GOGC. This saves memory and costs little time, because
// the weights are not on the heap.
func smallHeap(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
