package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

type evalCmd struct {
	PPL        pplCmd        `cmd:"" name:"ppl" help:"Perplexity on a text, by one of three protocols."`
	Tasks      tasksCmd      `cmd:"" help:"The nine zero-shot tasks, with lm-eval 0.4.4 semantics."`
	Divergence divergenceCmd `cmd:"" help:"How far a model's predictions are from another's, token by token."`
}

// evalFlags are the flags of all measurements on a text.
type evalFlags struct {
	Text       string `help:"Text file, UTF-8." required:"" placeholder:"FILE"`
	Ctx        int    `help:"Tokens of a window. 0: the model's own context, at most 2048 (llama.cpp protocol: 512)." default:"0"`
	MaxWindows int    `help:"Only the first windows. 0: all." default:"0"`
	Strict     bool   `help:"Fail if the text overlaps the text that the model was calibrated on."`
	JSON       bool   `name:"json" help:"Write JSON, with the whole fingerprint."`
	Threads    int    `help:"Threads; the result does not depend on them. 0: one for each CPU." default:"0"`
}

// maxText bounds an evaluation text.
const maxText = 1 << 30

// readText reads an evaluation text from a file, or from a pipe until the command is
// interrupted.
func (e *env) readText(path string) (string, error) {
	text, err := input.ReadText(e.ctx, path, maxText)
	if err != nil {
		return "", err
	}
	data := text.Data
	if len(data) == 0 {
		return "", fmt.Errorf("%s: is empty", path)
	}
	if !utf8.Valid(data) {
		return "", fmt.Errorf("%s: is not UTF-8; convert it first", path)
	}
	return string(data), nil
}

// verify compares all files of an open artefact with the checksums in its manifest. An artefact
// without checksums gives a note only. Checkpoints have none.
func (e *env) verify(ck *checkpoint.Checkpoint) error {
	if ck.Config.Quantization == nil {
		return nil
	}
	err := ck.Verify()
	if errors.Is(err, checkpoint.ErrNoSums) {
		fmt.Fprintln(e.err, "note:", err)
		return nil
	}
	return err
}

// noteSums prints a note for models without checksums of all their files, in which damage goes
// unnoticed.
func (e *env) noteSums(models ...*specquant.Model) {
	for _, m := range models {
		e.noteUnsummed(m.Unsummed(), m.Dir())
	}
}

func (e *env) noteUnsummed(unsummed bool, dir string) {
	if unsummed {
		fmt.Fprintf(e.err, "note: %s: has no checksums of some of its files (early versions wrote none), so damage may go unnoticed; quantize again to add them\n", dir)
	}
}

// tick shows progress on a terminal, in one line.
func (e *env) tick(what string) func(done, all int) {
	if !e.isTerm {
		return nil
	}
	return func(done, all int) {
		fmt.Fprintf(e.err, "\r\x1b[K%d of %d %s", done, all, what)
		if done == all {
			fmt.Fprint(e.err, "\r\x1b[K")
		}
	}
}

// warnOverlap prints what an evaluation text has in common with the calibration text.
func (e *env) warnOverlap(overlaps []specquant.Overlap) {
	for _, o := range overlaps {
		if o.Any() {
			fmt.Fprintf(e.err, "warning: %s; the numbers flatter the model\n", o)
		} else if o.Reason != "" {
			fmt.Fprintf(e.err, "note: %s\n", o)
		}
	}
}

func (e *env) writeJSON(v any) error {
	enc := json.NewEncoder(e.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

type pplCmd struct {
	Dir string `arg:"" help:"Folder of a quantized model or of a checkpoint, or a GGUF file." placeholder:"OUT"`
	evalFlags
	Protocol  string `help:"gptq: windows of 2048, each token but the first scored. llama.cpp: chunks of 512 with BOS, second half scored. lm-eval: word perplexity of documents." enum:"gptq,llama.cpp,lm-eval" default:"gptq"`
	Documents string `help:"lm-eval protocol: divide the text at WikiText's headings, at blank lines, or not (auto, wikitext, blank, file). Default: auto." enum:"auto,wikitext,blank,file," default:""`
	Against   string `help:"Compare with this checkpoint; the same as eval divergence." placeholder:"DIR"`
}

func (c *pplCmd) Run(e *env) error {
	if c.Documents != "" && c.Protocol != "lm-eval" {
		return fmt.Errorf("--documents %s: the %s protocol does not divide the text into documents; add --protocol lm-eval, or leave it out", c.Documents, c.Protocol)
	}
	if c.Against != "" {
		if c.Protocol != "gptq" {
			return fmt.Errorf("--against measures by the gptq protocol only")
		}
		d := divergenceCmd{Dir: c.Dir, Against: c.Against, evalFlags: c.evalFlags}
		return d.Run(e)
	}
	text, err := e.readText(c.Text)
	if err != nil {
		return err
	}
	m, err := specquant.Open(c.Dir, specquant.Options{Threads: c.Threads, Context: c.Ctx})
	if err != nil {
		return err
	}
	defer m.Close()
	e.noteSums(m)
	o := specquant.PerplexityOptions{Protocol: c.Protocol, Window: c.Ctx, MaxWindows: c.MaxWindows, Strict: c.Strict, Progress: e.tick("tokens")}
	if c.Protocol == "lm-eval" {
		o.Documents = c.Documents
	}
	r, err := m.Perplexity(e.ctx, text, o)
	if err != nil {
		return err
	}
	e.warnOverlap(r.Overlap)
	if c.JSON {
		return e.writeJSON(r)
	}
	name := "perplexity "
	if r.Unit != "token" {
		name = r.Unit + " perplexity "
	}
	fmt.Fprintf(e.out, "%s %s  %s\n", name, estimateText(r.Perplexity, 1, "%.4f"), r.Fingerprint)
	if r.PerByte != nil {
		fmt.Fprintf(e.out, "byte perplexity  %s, %s bits per byte, %s, %s\n",
			estimateText(*r.PerByte, 1, "%.4f"), estimateText(*r.BitsPerByte, 1, "%.4f"), plural.Of(r.Words, "word"), plural.Of(r.Bytes, "byte"))
	}
	return nil
}
