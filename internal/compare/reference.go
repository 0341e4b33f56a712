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

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/tokenizer"
)

// heldLogits bounds the full-precision logits that a comparison keeps, in
// bytes. Windows beyond are run again for every row.
const heldLogits = 1 << 30

// reference is the full-precision model with the evaluation windows, and its
// logits on the first of them.
type reference struct {
	model   *engine.Model
	tok     *tokenizer.Tokenizer
	pool    *kernel.Pool
	windows [][]int
	logits  [][]float32 // of each window [tokens − 1 × vocab]; nil: not computed yet
	hold    int         // windows whose logits are kept
}

func newReference(dir string, pool *kernel.Pool, text string, window, most int) (*reference, error) {
	m, err := engine.Open(dir, engine.Options{Pool: pool})
	if err != nil {
		return nil, err
	}
	r := &reference{model: m, pool: pool}
	if err := r.cut(dir, text, window, most); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *reference) cut(dir, text string, window, most int) error {
	if r.model.Quantization != nil {
		return fmt.Errorf("%s: is quantized already; compare recipes on the original checkpoint", dir)
	}
	if r.model.Checkpoint.GGUF != nil {
		return fmt.Errorf("%s: is a GGUF file, expected a folder; make one of a file in full precision: specquant import %s -o DIR", dir, dir)
	}
	var err error
	if r.tok, err = tokenizer.Load(dir); err != nil {
		return err
	}
	ids, err := r.tok.Encode(text, true)
	if err != nil {
		return err
	}
	if window == 0 {
		window = 2048
	}
	if r.windows, err = eval.Windows(ids, min(window, r.model.Context)); err != nil {
		return err
	}
	if most > 0 && len(r.windows) > most {
		r.windows = r.windows[:most]
	}
	each := 4 * (len(r.windows[0]) - 1) * r.model.Config.VocabSize
	r.hold = min(len(r.windows), heldLogits/each)
	r.logits = make([][]float32, r.hold)
	return nil
}

func (r *reference) close() {
	if r != nil {
		r.model.Close()
	}
}

// window gives the logits of window i, which is below hold.
func (r *reference) window(ctx context.Context, i int) ([]float32, error) {
	if r.logits[i] != nil {
		return r.logits[i], nil
	}
	vocab, ids := r.model.Config.VocabSize, r.windows[i]
	out := make([]float32, (len(ids)-1)*vocab)
	err := r.model.Forward(ctx, []engine.Step{{Seq: r.model.NewSequence(), IDs: ids[:len(ids)-1], Want: engine.WantAll}}, func(_, t int, logits []float32) error {
		copy(out[t*vocab:], logits)
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.logits[i] = out
	return out, nil
}

// row is the reference's own row.
func (r *reference) row(ctx context.Context) (Row, error) {
	var nll []float64
	vocab := r.model.Config.VocabSize
	for i := range r.hold {
		logits, err := r.window(ctx, i)
		if err != nil {
			return Row{}, err
		}
		for t, id := range r.windows[i][1:] {
			nll = append(nll, eval.NLL(logits[t*vocab:][:vocab], id))
		}
	}
	for _, ids := range r.windows[r.hold:] {
		err := r.model.Forward(ctx, []engine.Step{{Seq: r.model.NewSequence(), IDs: ids[:len(ids)-1], Want: engine.WantAll}}, func(_, t int, logits []float32) error {
			nll = append(nll, eval.NLL(logits, ids[t+1]))
			return nil
		})
		if err != nil {
			return Row{}, err
		}
	}
	return Row{Perplexity: eval.Perplexed(nll), Top1: eval.Estimate{Mean: 1}, BitsPerWeight: storedBits(r.model.Checkpoint), Bytes: r.model.Checkpoint.Bytes()}, nil
}

// measure compares the artefact in dir with the reference.
func (r *reference) measure(ctx context.Context, dir string, prefill bool) (Row, error) {
	m, err := engine.Open(dir, engine.Options{Pool: r.pool, Context: r.model.Context})
	if err != nil {
		return Row{}, err
	}
	defer m.Close()
	vocab := r.model.Config.VocabSize
	if m.Config.VocabSize != vocab {
		return Row{}, fmt.Errorf("%s: has a vocabulary of %d tokens, expected %d", dir, m.Config.VocabSize, vocab)
	}
	var tokens []eval.Token
	for i := range r.hold {
		ref, err := r.window(ctx, i)
		if err != nil {
			return Row{}, err
		}
		ids := r.windows[i]
		err = m.Forward(ctx, []engine.Step{{Seq: m.NewSequence(), IDs: ids[:len(ids)-1], Want: engine.WantAll}}, func(_, t int, logits []float32) error {
			tokens = append(tokens, eval.CompareLogits(ref[t*vocab:][:vocab], logits, ids[t+1]))
			return nil
		})
		if err != nil {
			return Row{}, err
		}
	}
	if rest := r.windows[r.hold:]; len(rest) > 0 {
		more, err := eval.Compare(ctx, r.model, m, rest, nil)
		if err != nil {
			return Row{}, err
		}
		tokens = append(tokens, more...)
	}
	d := eval.Summarize(tokens)
	row := Row{Perplexity: d.Perplexity, KL: d.KL, Top1: d.Top1, Bytes: m.Checkpoint.Bytes()}
	if prefill {
		row.Prefill, err = prefillSeconds(ctx, m, r.windows[0])
	}
	return row, err
}

// prefillSeconds is the shortest of a few passes of the tokens.
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
	if err != nil { // only plain data comes here
		panic(err)
	}
	return hashText(string(data))
}

// BuildOf names the code of a program of a version of specquant, given by its path, or of
// the running one (""): the module's version where there is one, else the hash
// of the program, so that no cell of a comparison outlives a change of the code
// that made it.
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
