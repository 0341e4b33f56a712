package specquant

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/eval/tasks"
	"github.com/specquant/specquant/internal/gguf"
	"github.com/specquant/specquant/internal/jsonfloat"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/plural"
)

// OverlapError is the error of an evaluation text that was used for calibration.
type OverlapError struct{ Overlaps []Overlap }

func (e *OverlapError) Error() string {
	var what []string
	for _, o := range e.Overlaps {
		if o.Any() {
			what = append(what, o.String())
		}
	}
	return strings.Join(what, "; ") + "; measure on another text"
}

// Protocols lists the perplexity protocols: gptq, llama.cpp, lm-eval.
func Protocols() []string { return eval.Protocols() }

// TaskNames lists the zero-shot tasks.
func TaskNames() []string { return tasks.Names() }

// PerplexityOptions say how a text is measured. The zero value is the GPTQ
// protocol.
type PerplexityOptions struct {
	Protocol   string // "": gptq
	Window     int    // tokens of a window; 0: the protocol's own
	Documents  string // lm-eval: auto, wikitext, blank or file; "": auto
	MaxWindows int    // 0: all; not with lm-eval
	Batch      int    // tokens computed in one forward pass, of several windows together; 0: 2048; does not change the result
	Strict     bool   // make an error of a text that was used for calibration

	Progress func(done, all int) // tokens scored; may be nil
}

// PerplexityReport is a perplexity and the protocol by which it was measured.
type PerplexityReport struct {
	Perplexity  Estimate    `json:"perplexity"` // a token; a word by lm-eval
	Unit        string      `json:"unit"`       // "token" or "word"
	PerByte     *Estimate   `json:"byte_perplexity,omitempty"`
	BitsPerByte *Estimate   `json:"bits_per_byte,omitempty"`
	Words       int         `json:"words,omitempty"`
	Bytes       int         `json:"bytes,omitempty"`
	Overlap     []Overlap   `json:"calibration_overlap,omitempty"`
	Fingerprint Fingerprint `json:"fingerprint"`
}

// Perplexity measures the model on a text by one of the protocols.
func (m *Model) Perplexity(ctx context.Context, text string, o PerplexityOptions) (*PerplexityReport, error) {
	overlap, err := m.overlap(text, o.Strict)
	if err != nil {
		return nil, err
	}
	p, err := eval.NewPlan(m.tok, text, eval.PlanOptions{Protocol: o.Protocol, Window: o.Window, Context: m.engine.Context, Documents: o.Documents, MaxWindows: o.MaxWindows})
	if err != nil {
		return nil, err
	}
	f, err := m.fingerprint(text)
	if err != nil {
		return nil, err
	}
	all := p.Tokens()
	v, err := p.Measure(ctx, &eval.Runner{Model: m.engine, BatchTokens: o.Batch}, progressOf(all, o.Progress))
	if err != nil {
		return nil, err
	}
	f.Protocol, f.Window, f.BOS, f.Documents = p.Protocol, p.Window, p.BOS, p.Documents
	f.Windows, f.Tokens, f.StdErr = v.Windows, v.Tokens, v.Over
	r := &PerplexityReport{Perplexity: Estimate(v.Perplexity), Unit: "token", Overlap: overlap, Fingerprint: f}
	if p.Protocol == eval.LMEval {
		r.Unit, r.PerByte, r.BitsPerByte, r.Words, r.Bytes = "word", estimate(&v.PerByte), estimate(&v.BitsByte), v.Words, v.Bytes
	}
	return r, nil
}

func progressOf(all int, told func(done, all int)) func(int) {
	if told == nil {
		return nil
	}
	return func(n int) { told(n, all) }
}

// overlap compares a text with the calibration texts of the model.
func (m *Model) overlap(text string, strict bool) ([]Overlap, error) {
	if m.engine.Quantization == nil {
		return nil, nil
	}
	return overlapIn(m.engine.Checkpoint.Dir, text, strict)
}

func overlapIn(dir, text string, strict bool) ([]Overlap, error) {
	found, err := eval.Overlaps(dir, text)
	all := newOverlaps(found)
	if err != nil || !strict {
		return all, err
	}
	for _, o := range all {
		if o.Any() {
			return nil, &OverlapError{all}
		}
	}
	return all, nil
}

// fingerprint returns a fingerprint with the fields that do not depend on the protocol.
func (m *Model) fingerprint(text string) (Fingerprint, error) {
	f := Fingerprint{Text: eval.TextHash(text), Bits: m.Bits().String(), Tool: "specquant " + Version}
	ck := m.engine.Checkpoint
	var err error
	if ck.GGUF != nil {
		files, err := gguf.TokenizerFiles(ck.GGUF)
		if err != nil {
			return f, err
		}
		f.Tokenizer = eval.TokenizerDataHash(files)
	} else if f.Tokenizer, err = eval.TokenizerHash(ck.Dir, m.tok.Files()); err != nil {
		return f, err
	}
	f.Model, err = eval.ModelHash(ck)
	return f, err
}

// TaskOptions say which zero-shot tasks are run and how.
type TaskOptions struct {
	Tasks []string // names, or name=FILE; none: all nine
	Data  string   // folder with the task files
	Limit int      // questions of each task; 0: all
	Seed  uint64   // which questions Limit takes: 0: the first, otherwise a random sample with this seed
	BOS   bool     // put BOS before each text; lm-eval does not
	// Strict makes an error of a question that can't be posed to this model, for example
	// because a choice is longer than the model's context or adds no token. Otherwise such
	// a question is left out, and named in the result and its fingerprint.
	Strict bool
	Log    string // file of JSON lines, one for each question; questions that an existing file answers are not asked again
	Batch  int    // tokens computed in one forward pass, of several windows together; 0: 2048; does not change the result

	Note     func(string)                     // called if the log is damaged; the run then continues from the last line before the damage; may be nil
	Progress func(task string, done, all int) // may be nil
	Done     func(TaskResult)                 // called with the result of each finished task; may be nil
}

// TaskReport is the scores of the tasks that were run.
type TaskReport struct {
	Semantics   string       `json:"semantics"`
	Tasks       []TaskResult `json:"tasks"`
	Average     Estimate     `json:"average"` // over tasks: of acc_norm if a task has it, otherwise of acc
	Limit       int          `json:"limit"`
	Seed        uint64       `json:"seed"`
	MaxLength   int          `json:"max_length"`
	Fingerprint Fingerprint  `json:"fingerprint"`
}

// RunTasks runs zero-shot tasks with the semantics of lm-eval 0.4.4. All data
// is read and encoded before the first question is asked.
func (m *Model) RunTasks(ctx context.Context, o TaskOptions) (*TaskReport, error) {
	if o.Limit < 0 {
		return nil, fmt.Errorf("a limit of %s, expected 0 or more", plural.Of(o.Limit, "question"))
	}
	if len(o.Tasks) == 0 {
		o.Tasks = tasks.Names()
	}
	set, err := readTasks(o.Tasks, o.Data)
	if err != nil {
		return nil, err
	}
	ready, err := m.prepareTasks(set, o)
	if err != nil {
		return nil, err
	}
	f, err := m.fingerprint("")
	if err != nil {
		return nil, err
	}
	f.Text, f.Protocol, f.BOS = "", tasks.Semantics, "no BOS"
	if o.BOS {
		f.BOS = "BOS"
	}
	log, err := o.openLog(f, m.engine.Context)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	r := &TaskReport{Semantics: tasks.Semantics, Limit: o.Limit, Seed: o.Seed, MaxLength: m.engine.Context}
	runner := &eval.Runner{Model: m.engine, BatchTokens: o.Batch}
	var scores []eval.Estimate
	var leftOut []string
	for i, s := range set {
		p := tasks.Options{Log: log}
		if o.Progress != nil {
			p.Progress = func(done, all int) { o.Progress(s.task.Name, done, all) }
		}
		v, err := ready[i].Run(ctx, runner, p)
		if err != nil {
			return nil, err
		}
		v.Files, v.Data = s.files, s.hash
		result := newTaskResult(*v)
		r.Tasks = append(r.Tasks, result)
		scores = append(scores, v.Score)
		f.Tokens += v.Tokens
		if len(v.LeftOut) > 0 {
			leftOut = append(leftOut, tasks.LeftOutText(v.Task, v.LeftOut))
		}
		if o.Done != nil {
			o.Done(result)
		}
	}
	if err := log.Close(); err != nil {
		return nil, err
	}
	f.LeftOut = strings.Join(leftOut, ", ")
	r.Average, r.Fingerprint = Estimate(eval.Average(scores)), f
	return r, nil
}

// prepareTasks encodes the questions of each task.
func (m *Model) prepareTasks(set []taskData, o TaskOptions) ([]*tasks.Prepared, error) {
	ready := make([]*tasks.Prepared, len(set))
	for i, s := range set {
		var err error
		ready[i], err = s.task.Prepare(m.tok, s.questions, tasks.Options{MaxLength: m.engine.Context, BOS: o.BOS, Limit: o.Limit, Seed: o.Seed, Strict: o.Strict, Faults: s.faults})
		if err != nil {
			return nil, err
		}
	}
	return ready, nil
}

// openLog opens the log of answered questions; nil if none is asked for.
func (o *TaskOptions) openLog(f Fingerprint, maxLength int) (*tasks.Log, error) {
	if o.Log == "" {
		return nil, nil
	}
	log, err := tasks.OpenLog(o.Log, tasks.LogHeader{Semantics: tasks.Semantics, Model: f.Model, Tokenizer: f.Tokenizer, Bits: f.Bits, BOS: o.BOS, MaxLength: maxLength})
	if err != nil {
		return nil, err
	}
	if log.Cut != "" && o.Note != nil {
		o.Note(log.Cut)
	}
	return log, nil
}

// taskData is a task with its questions.
type taskData struct {
	task      *tasks.Task
	files     []string
	hash      string // of the files' hashes
	questions []tasks.Question
	faults    map[int]error // rows that are no questions, by Index
}

func readTasks(names []string, dir string) ([]taskData, error) {
	var out []taskData
	for _, name := range names {
		name, file, named := strings.Cut(name, "=")
		t, err := tasks.Find(name)
		if err != nil {
			return nil, err
		}
		for _, other := range out {
			if other.task == t {
				return nil, fmt.Errorf("task %s is named twice", t.Name)
			}
		}
		d := taskData{task: t, files: []string{file}}
		if !named {
			if dir == "" {
				return nil, fmt.Errorf("no folder with task files is given, and no file as %s=FILE", t.Name)
			}
			if d.files, err = t.Locate(dir); err != nil {
				return nil, err
			}
		}
		if d.questions, d.faults, err = t.ReadAll(d.files...); err != nil {
			return nil, err
		}
		hashes, err := checkpoint.HashFiles(d.files...)
		if err != nil {
			return nil, err
		}
		d.hash = hashes[0].SHA256
		if len(hashes) > 1 {
			all := ""
			for _, h := range hashes {
				all += h.SHA256
			}
			d.hash = eval.TextHash(all)
		}
		out = append(out, d)
	}
	return out, nil
}

// DivergenceOptions say how two models are compared.
type DivergenceOptions struct {
	Window     int  // tokens of a window; 0: 2048, at most the contexts
	MaxWindows int  // 0: all
	Worst      int  // how many of the worst tokens to show
	Strict     bool // make an error of a text that was used for calibration

	Progress func(done, all int) // tokens compared; may be nil
}

// WorstToken is a token whose prediction quantization has changed most.
type WorstToken struct {
	Window    int     `json:"window"`
	At        int     `json:"at"`     // index in the window
	Before    string  `json:"before"` // the text before it
	Token     string  `json:"token"`
	Reference string  `json:"reference"` // most likely next token by the reference
	Model     string  `json:"model"`     // most likely next token by the model
	KL        float64 `json:"kl"`
	NLLRef    float64 `json:"nll_reference"`
	NLL       float64 `json:"nll"`
}

// MarshalJSON implements json.Marshaler. An infinite number is "Infinity".
func (w WorstToken) MarshalJSON() ([]byte, error) {
	type plain WorstToken
	return json.Marshal(struct {
		plain
		KL     jsonfloat.Float `json:"kl"` // replaces the field of the same name
		NLLRef jsonfloat.Float `json:"nll_reference"`
		NLL    jsonfloat.Float `json:"nll"`
	}{plain(w), jsonfloat.Float(w.KL), jsonfloat.Float(w.NLLRef), jsonfloat.Float(w.NLL)})
}

// DivergenceReport compares a model's predictions with a reference's.
type DivergenceReport struct {
	Divergence
	Worst       []WorstToken
	Overlap     []Overlap
	Fingerprint Fingerprint
}

// MarshalJSON implements json.Marshaler.
func (r *DivergenceReport) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{
		"tokens": r.Tokens, "perplexity_reference": r.PerplexityRef, "perplexity": r.Perplexity, "perplexity_change": r.Change, "nll_change": r.NLLChange,
		"kl": r.KL, "kl_backwards": r.KLBack, "top1": r.Top1, "top5": r.Top5, "kl_percentiles": r.KLPercentiles, "kl_max": jsonfloat.Float(r.KLMax),
		"worst": r.Worst, "calibration_overlap": r.Overlap, "fingerprint": r.Fingerprint,
	})
}

// worstContext is how many tokens before a bad one are shown.
const worstContext = 24

// Divergence compares the model's predictions with a reference's, token by
// token, on the windows of the GPTQ protocol.
func (m *Model) Divergence(ctx context.Context, ref *Model, text string, o DivergenceOptions) (*DivergenceReport, error) {
	overlap, err := m.overlap(text, o.Strict)
	if err != nil {
		return nil, err
	}
	p, err := eval.NewPlan(ref.tok, text, eval.PlanOptions{Window: o.Window, Context: min(m.engine.Context, ref.engine.Context), MaxWindows: o.MaxWindows})
	if err != nil {
		return nil, err
	}
	f, err := m.fingerprint(text)
	if err != nil {
		return nil, err
	}
	if f.Against, err = eval.ModelHash(ref.engine.Checkpoint); err != nil {
		return nil, err
	}
	windows := p.Windows()
	tokens, err := eval.Compare(ctx, ref.engine, m.engine, windows, progressOf(p.Tokens(), o.Progress))
	if err != nil {
		return nil, err
	}
	r := &DivergenceReport{Divergence: newDivergence(eval.Summarize(tokens)), Overlap: overlap}
	f.Protocol, f.Window, f.BOS, f.Windows, f.Tokens, f.StdErr = p.Protocol, p.Window, p.BOS, len(windows), len(tokens), "tokens"
	r.Fingerprint = f
	for _, t := range eval.Worst(tokens, o.Worst) {
		w := windows[t.Window]
		r.Worst = append(r.Worst, WorstToken{Window: t.Window, At: t.At, Before: ref.tok.Decode(w[max(0, t.At-worstContext):t.At]),
			Token: ref.tok.Decode([]int{t.ID}), Reference: ref.tok.Decode([]int{t.TopRef}), Model: ref.tok.Decode([]int{t.Top}), KL: t.KL, NLLRef: t.NLLRef, NLL: t.NLL})
	}
	return r, nil
}

// DiffOptions say how two models are compared block by block.
type DiffOptions struct {
	Window     int // tokens of a window; 0: 512, at most the contexts
	MaxWindows int // 0: 8
	Threads    int // 0: one for each CPU

	Block func(BlockError) // called with the result of each block; may be nil
}

// DiffReport compares a model with a reference, block by block.
type DiffReport struct {
	Blocks      []BlockError `json:"blocks"`
	Overlap     []Overlap    `json:"calibration_overlap,omitempty"`
	Fingerprint Fingerprint  `json:"fingerprint"`
}

// Diff runs the models in the folders dir and ref over the same tokens, block
// by block, and compares what comes out. Only one block of each model is in memory at a time,
// and the activations: four times windows × window × hidden size × 4 bytes.
func Diff(ctx context.Context, dir, ref, text string, o DiffOptions) (*DiffReport, error) {
	pool := parallel.NewPool(o.Threads)
	defer pool.Close()
	open := func(dir string) (*Model, error) {
		m, err := engine.Open(dir, engine.Options{Pool: pool, Stream: true})
		if err != nil {
			return nil, err
		}
		tok, err := gguf.LoadTokenizer(m.Checkpoint)
		if err != nil {
			m.Close()
			return nil, err
		}
		return &Model{engine: m, tok: tok}, nil
	}
	a, err := open(dir)
	if err != nil {
		return nil, err
	}
	defer a.engine.Close()
	b, err := open(ref)
	if err != nil {
		return nil, err
	}
	defer b.engine.Close()
	if o.MaxWindows <= 0 {
		o.MaxWindows = 8
	}
	if o.Window == 0 {
		o.Window = min(512, a.engine.Context, b.engine.Context)
	}
	p, err := eval.NewPlan(b.tok, text, eval.PlanOptions{Window: o.Window, Context: min(a.engine.Context, b.engine.Context), MaxWindows: o.MaxWindows})
	if err != nil {
		return nil, err
	}
	r := &DiffReport{}
	if r.Fingerprint, err = a.fingerprint(text); err != nil {
		return nil, err
	}
	if r.Fingerprint.Against, err = eval.ModelHash(b.engine.Checkpoint); err != nil {
		return nil, err
	}
	if r.Overlap, err = a.overlap(text, false); err != nil {
		return nil, err
	}
	windows := p.Windows()
	f := &r.Fingerprint
	f.Protocol, f.Window, f.BOS, f.Windows, f.Tokens = "blocks", p.Window, p.BOS, len(windows), len(windows)*p.Window
	var told func(eval.BlockError)
	if o.Block != nil {
		told = func(b eval.BlockError) { o.Block(newBlockError(b)) }
	}
	blocks, err := eval.Diff(ctx, a.engine, b.engine, windows, told)
	for _, b := range blocks {
		r.Blocks = append(r.Blocks, newBlockError(b))
	}
	return r, err
}
