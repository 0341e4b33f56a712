package compare

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/tokenizer"
)

// reference is the full-precision model with the evaluation windows.
type reference struct {
	model   *engine.Model
	files   []string // of the model
	tok     *tokenizer.Tokenizer
	pool    *parallel.Pool
	texts   []Text
	ends    []int   // the window after the last one of each text
	windows [][]int // of all texts, one after the other
}

func newReference(dir string, pool *parallel.Pool, texts []Text, window, most int) (*reference, error) {
	m, err := engine.Open(dir, engine.Options{Pool: pool})
	if err != nil {
		return nil, err
	}
	r := &reference{model: m, pool: pool, texts: texts}
	if err := r.cut(dir, window, most); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// cut makes the evaluation windows, at most most of each text; 0: all.
func (r *reference) cut(dir string, window, most int) error {
	if r.model.Quantization != nil {
		return fmt.Errorf("%s: is quantized already; compare recipes on the original checkpoint", dir)
	}
	if r.model.Checkpoint.GGUF != nil {
		return fmt.Errorf("%s: is a GGUF file, expected a folder; convert a file in full precision with: specquant import %s -o DIR", dir, dir)
	}
	var err error
	if r.tok, err = tokenizer.Load(dir); err != nil {
		return err
	}
	if window == 0 {
		window = 2048
	}
	for _, t := range r.texts {
		ids, err := r.tok.Encode(t.Content, true)
		if err != nil {
			return err
		}
		w, err := eval.Windows(ids, min(window, r.model.Context))
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		if most > 0 && len(w) > most {
			w = w[:most]
		}
		r.windows = append(r.windows, w...)
		r.ends = append(r.ends, len(r.windows))
	}
	return nil
}

// longest is the number of tokens of the longest window.
func (r *reference) longest() (n int) {
	for _, w := range r.windows {
		n = max(n, len(w))
	}
	return n
}

// perText counts the windows of each text.
func (r *reference) perText() []int {
	out := make([]int, len(r.ends))
	begin := 0
	for i, end := range r.ends {
		out[i], begin = end-begin, end
	}
	return out
}

func (r *reference) close() {
	if r != nil {
		r.model.Close()
	}
}

// row is the reference's own row.
func (r *reference) row(ctx context.Context) (Row, error) {
	var nll []float64
	for _, ids := range r.windows {
		err := r.model.Forward(ctx, []engine.Step{{Seq: r.model.NewSequence(), IDs: ids[:len(ids)-1], Want: engine.WantAll}}, func(_, t int, logits []float32) error {
			nll = append(nll, eval.NLL(logits, ids[t+1]))
			return nil
		})
		if err != nil {
			return Row{}, err
		}
	}
	row := Row{Perplexity: eval.Perplexed(nll), Top1: eval.Estimate{Mean: 1}, BitsPerWeight: storedBits(r.model.Checkpoint), Bytes: r.model.Checkpoint.Bytes(),
		TotalBytes: fileBytes(r.files)}
	r.split(func(text string, begin, end int) {
		row.ByText = append(row.ByText, Measure{Text: text, Tokens: end - begin, Perplexity: eval.Perplexed(nll[begin:end]), Top1: eval.Estimate{Mean: 1}})
	})
	return row, nil
}

// split calls f for each text with the range of its predicted tokens among those of all texts.
// If there is only one text, it does nothing.
func (r *reference) split(f func(text string, begin, end int)) {
	if len(r.texts) == 1 {
		return
	}
	w, begin := 0, 0
	for i, t := range r.texts {
		end := begin
		for ; w < r.ends[i]; w++ {
			end += len(r.windows[w]) - 1
		}
		f(t.Name, begin, end)
		begin = end
	}
}

// measure compares models with the reference, which runs once for all of them. The paths are of
// folders or GGUF files. progress is called with the number of tokens compared; it may be nil.
func (r *reference) measure(ctx context.Context, paths []string, progress func(tokens int)) ([]Row, error) {
	models := make([]*engine.Model, len(paths))
	for i, path := range paths {
		m, err := engine.Open(path, engine.Options{Pool: r.pool, Context: r.longest()})
		if err != nil {
			return nil, err
		}
		defer m.Close()
		if got, want := m.Config.VocabSize, r.model.Config.VocabSize; got != want {
			return nil, fmt.Errorf("%s: has a vocabulary of %s, expected %d", path, plural.Of(got, "token"), want)
		}
		models[i] = m
	}
	tokens, err := eval.CompareAll(ctx, r.model, models, r.windows, progress)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(paths))
	for i := range rows {
		if rows[i], err = r.summarize(paths[i], models[i], tokens[i]); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// summarize returns the row of a model from its comparison token by token.
func (r *reference) summarize(path string, m *engine.Model, tokens []eval.Token) (Row, error) {
	d := eval.Summarize(tokens)
	row := Row{Bits: AsItIs, Perplexity: d.Perplexity, KL: d.KL, Top1: d.Top1, WorstShare: worstShare(tokens), BitsPerWeight: storedBits(m.Checkpoint), Bytes: m.Checkpoint.Bytes()}
	r.split(func(text string, begin, end int) {
		d := eval.Summarize(tokens[begin:end])
		row.ByText = append(row.ByText, Measure{Text: text, Tokens: d.Tokens, Perplexity: d.Perplexity, KL: d.KL, Top1: d.Top1, WorstShare: worstShare(tokens[begin:end])})
	})
	files, err := modelPaths(path)
	if err != nil {
		return Row{}, err
	}
	row.TotalBytes = fileBytes(files)
	if m.Quantization != nil {
		report, err := artefact.ReadManifest(path)
		if err != nil {
			return Row{}, err
		}
		row.Bits, row.BitsPerWeight = m.Quantization.Bits.String(), report.BitsPerWeight
		if c := report.Check; c != nil && c.HeldOut {
			row.HeldOutKL = c.KL
		}
	}
	return row, nil
}

// prefill returns the seconds that the artefact in dir takes for one window.
func (r *reference) prefill(ctx context.Context, dir string) (float64, error) {
	m, err := engine.Open(dir, engine.Options{Pool: r.pool, Context: r.longest()})
	if err != nil {
		return 0, err
	}
	defer m.Close()
	return prefillSeconds(ctx, m, r.windows[0])
}

// prefillSeconds returns the shortest time of a few passes over the tokens.
func prefillSeconds(ctx context.Context, m *engine.Model, ids []int) (float64, error) {
	best := 0.0
	for i := range 5 {
		start := time.Now()
		if err := m.Forward(ctx, []engine.Step{{Seq: m.NewSequence(), IDs: ids, Want: engine.WantLast}}, func(int, int, []float32) error { return nil }); err != nil {
			return 0, err
		}
		if s := time.Since(start).Seconds(); i == 0 || s < best {
			best = s
		}
	}
	return best, nil
}

func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// hashJSON is the sha256 of a value's JSON.
func hashJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil { // can't happen: callers pass plain data
		panic(err)
	}
	return hashText(string(data))
}

// BuildOf identifies the code of a specquant program, given by its path (""  is the running
// one): the module's version if it has one, otherwise the hash of the program. Cells of a
// comparison are stored under this name, so that they are not reused after a change of the
// code.
func BuildOf(version, program string) (string, error) {
	info, ok := debug.ReadBuildInfo()
	if program != "" {
		var err error
		if info, err = buildinfo.ReadFile(program); err != nil {
			return "", fmt.Errorf("%s: %w; expected a Go program", program, err)
		}
		ok = true
	}
	if ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		dirty := false
		for _, s := range info.Settings {
			dirty = dirty || s.Key == "vcs.modified" && s.Value == "true"
		}
		if !dirty {
			return version + " " + info.Main.Version, nil
		}
	}
	if program == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			return "", err
		}
	}
	f, _, err := input.Open(program)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("hashing %s: %w", program, err)
	}
	return version + " " + hex.EncodeToString(h.Sum(nil)), nil
}
