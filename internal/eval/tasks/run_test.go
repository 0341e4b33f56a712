package tasks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/testdata"
	"github.com/specquant/specquant/internal/tokenizer"
)

// oracle holds a token to be as likely as its letter says: NLL = id − 'a'.
type oracle struct {
	asked int // groups
	fail  int // fails when so many have been asked; 0: never
}

func (o *oracle) Predict(_ context.Context, groups [][]eval.Span) ([][][]eval.Prediction, error) {
	var out [][][]eval.Prediction
	for _, g := range groups {
		if o.asked++; o.fail > 0 && o.asked > o.fail {
			return nil, errors.New("the machine stops")
		}
		var p [][]eval.Prediction
		for _, s := range g {
			var v []eval.Prediction
			for _, id := range s.IDs[s.From:] {
				nll := 0.
				if id != ' ' {
					nll = float64(id - 'a')
				}
				v = append(v, eval.Prediction{NLL: nll, Top: nll == 0})
			}
			p = append(p, v)
		}
		out = append(out, p)
	}
	return out, nil
}

// four questions: NLLs (0, 1), (4, 1), (3, 6 of four letters), (0, 5).
var four = []Question{
	{0, choices("q", []string{"a", "b"}), 0},      // right by both
	{1, choices("q", []string{"e", "b"}), 0},      // wrong by both
	{2, choices("q", []string{"d", "aadd"}), 1},   // −3 > −6, −3 < −6/4: right by acc_norm
	{3, choices("long q", []string{"a", "f"}), 0}, // right by both
}

func runTask(t *Task, s Scorer, enc eval.Encoder, q []Question, o Options) (*Result, error) {
	p, err := t.Prepare(enc, q, o)
	if err != nil {
		return nil, err
	}
	return p.Run(context.Background(), s, o)
}

func TestRun(t *testing.T) {
	piqa := find(t, "piqa")
	for _, batch := range []int{0, 1, 3} {
		r, err := runTask(piqa, &oracle{}, letters{}, four, Options{MaxLength: 5, Batch: batch})
		if err != nil {
			t.Fatal(err)
		}
		se := math.Sqrt(.25 / 3) // two of four right: s² = 1/3, error √(1/3/4)
		if r.Acc.Mean != .5 || math.Abs(r.Acc.StdErr-se) > 1e-15 || r.AccNorm.Mean != .75 || r.Score != *r.AccNorm {
			t.Errorf("batch %d: %+v", batch, r)
		}
		// Fed: "q" and a space for each question (answers of one letter end there),
		// the long answer's three further letters, and five of the six tokens to
		// which the eight of the last question are cut.
		if r.Questions != 4 || r.Truncated != 1 || r.Tokens != 2+2+(2+3)+5 || r.PerChoice != 4+4+(2+5)+10 {
			t.Errorf("batch %d: %+v", batch, r)
		}
	}
	lambada := []Question{{0, choices("q", []string{"aa"}), 0}, {1, choices("q", []string{"ad"}), 0}}
	r, err := runTask(find(t, "lambada"), &oracle{}, letters{}, lambada, Options{MaxLength: 9})
	if err != nil {
		t.Fatal(err)
	}
	if r.Acc.Mean != .5 || r.AccNorm != nil || math.Abs(r.Perplexity.Mean-math.Exp(1.5)) > 1e-12 {
		t.Errorf("LAMBADA: %+v", r)
	}
	if _, err := runTask(piqa, &oracle{}, letters{}, nil, Options{MaxLength: 9}); err == nil {
		t.Error("no questions: accepted")
	}
	// With a context of four the long answer does not fit.
	r, err = runTask(piqa, &oracle{}, letters{}, four, Options{MaxLength: 4})
	if err != nil || r.Questions != 3 || r.Skipped != 1 || r.Whole != 1838 || math.Abs(r.Acc.Mean-2./3) > 1e-15 {
		t.Errorf("without long choices: %+v, %v", r, err)
	}
	if _, err := runTask(piqa, &oracle{}, letters{}, four, Options{MaxLength: 1}); err == nil || !strings.Contains(err.Error(), "4 were left out") {
		t.Errorf("all left out: %v", err)
	}
	if _, err := runTask(piqa, &oracle{}, letters{}, four, Options{MaxLength: 1, Strict: true}); err == nil || !strings.Contains(err.Error(), "piqa: question 0, choice 0") {
		t.Errorf("choices past the context: %v", err)
	}
}

func TestChoose(t *testing.T) {
	q := make([]Question, 50)
	for i := range q {
		q[i].Index = i
	}
	index := func(q []Question) (out []int) {
		for _, x := range q {
			out = append(out, x.Index)
		}
		return out
	}
	if got := index(Choose(q, 3, 0)); !reflect.DeepEqual(got, []int{0, 1, 2}) {
		t.Errorf("the first: %v", got)
	}
	a, b, c := index(Choose(q, 20, 1)), index(Choose(q, 20, 1)), index(Choose(q, 20, 2))
	if !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, c) || len(a) != 20 {
		t.Errorf("draws: %v %v %v", a, b, c)
	}
	for i := 1; i < len(a); i++ {
		if a[i] <= a[i-1] {
			t.Fatalf("a draw is not in order: %v", a)
		}
	}
	if len(Choose(q, 0, 5)) != 50 || len(Choose(q, 60, 5)) != 50 {
		t.Error("no limit")
	}
}

// TestResume: a run that stops is gone on with, and leaves the log and the
// scores of one that does not.
func TestResume(t *testing.T) {
	dir := t.TempDir()
	piqa := find(t, "piqa")
	h := LogHeader{Semantics: Semantics, Model: "m", Tokenizer: "t", Bits: "4-4-4", MaxLength: 5}
	run := func(name string, s *oracle, h LogHeader, q []Question) (*Result, error) {
		t.Helper()
		log, err := OpenLog(filepath.Join(dir, name), h)
		if err != nil {
			return nil, err
		}
		defer log.Close()
		return runTask(piqa, s, letters{}, q, Options{MaxLength: 5, Batch: 1, Log: log})
	}
	content := func(name string) []byte {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	whole, err := run("whole", &oracle{}, h, four)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run("part", &oracle{fail: 2}, h, four); err == nil {
		t.Fatal("the run does not stop")
	}
	// The machine stopped in the middle of a line, too.
	if err := os.WriteFile(filepath.Join(dir, "part"), append(content("part"), `{"task":"piqa","ind`...), 0o644); err != nil {
		t.Fatal(err)
	}
	s := &oracle{}
	resumed, err := run("part", s, h, four)
	if err != nil {
		t.Fatal(err)
	}
	if s.asked != 2 || resumed.Reused != 2 || resumed.Score != whole.Score || resumed.Acc != whole.Acc || resumed.Truncated != whole.Truncated {
		t.Errorf("asked %d, %+v\nwant %+v", s.asked, resumed, whole)
	}
	if !bytes.Equal(content("part"), content("whole")) {
		t.Errorf("the logs differ:\n%s\n%s", content("part"), content("whole"))
	}
	got, samples, err := ReadLog(filepath.Join(dir, "whole"))
	if err != nil || got != h || len(samples) != 4 || samples[2].PredNorm != 1 || samples[3].Choices[1].LogProb != -5 {
		t.Errorf("read back: %+v %+v %v", got, samples, err)
	}

	other := h
	other.BOS = true
	if _, err := run("whole", &oracle{}, other, four); err == nil || !strings.Contains(err.Error(), "log of another run") {
		t.Errorf("another run's log: %v", err)
	}
	changed := append([]Question(nil), four...)
	changed[1].Choices = choices("Q", []string{"e", "b"})
	if _, err := run("whole", &oracle{}, h, changed); err == nil || !strings.Contains(err.Error(), "question 1 differs from that in the log") {
		t.Errorf("changed data: %v", err)
	}
	early, _ := json.Marshal(h)
	header, _ := sealed(h)
	line := func(v any) string {
		text, err := sealed(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text) + "\n"
	}
	damagedHeader := bytes.Replace(header, []byte("lm-eval"), []byte("lm-evam"), 1)
	for text, want := range map[string]string{
		"hello":                                  "is not a log of samples",
		"hello\n":                                "have no checksums",
		string(early) + "\n":                     "have no checksums",
		string(damagedHeader) + "\n":             "first line is damaged",
		string(header) + "\n" + line(struct{}{}): "line 2: question 0 of  occurs twice or is empty",
		string(content("whole")) + line(struct{}{}): "line 6",
		string(header[:20]):                         "", // a run that was killed at once
		string(header) + "\n{\"task\":\"pi":         "",
		// Lines that are damaged, and what follows them, are computed again.
		string(header) + "\nx\n": "",
		string(bytes.Replace(content("whole"), []byte("-5"), []byte("-4"), 1)):       "",
		string(bytes.Replace(content("whole"), []byte("true"), []byte("trud"), 2)):   "",
		string(bytes.Replace(content("whole"), []byte("}\n{"), []byte("}\x0b{"), 2)): "first line",
	} {
		if err := os.WriteFile(filepath.Join(dir, "bad"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := run("bad", &oracle{}, h, four)
		if want == "" && (err != nil || !bytes.Equal(content("bad"), content("whole"))) {
			t.Errorf("%q: %v\n%s", text, err, content("bad"))
		}
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", text, err, want)
			}
			if string(content("bad")) != text {
				t.Errorf("%q: a file that was refused has changed", text)
			}
		}
	}
}

// TestModel runs a few questions of every task on a trained model at one and
// two threads and different batches: the logs must be equal to the byte. The
// first question of each is scored again by plain forward passes.
func TestModel(t *testing.T) {
	dir, data := testdata.Path(t, "models", "books-1m"), testdata.Path(t, "tasks")
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var first []byte
	for i, c := range []struct{ threads, batchTokens, batch int }{{1, 0, 0}, {2, 200, 7}, {2, 5000, 1}} {
		pool := parallel.NewPool(c.threads)
		defer pool.Close()
		m, err := engine.Open(dir, engine.Options{Pool: pool})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		path := filepath.Join(t.TempDir(), "log")
		log, err := OpenLog(path, LogHeader{Semantics: Semantics})
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range all {
			files, err := task.Locate(data)
			if err != nil {
				t.Fatal(err)
			}
			q, err := task.Read(files...)
			if err != nil {
				t.Fatal(err)
			}
			r, err := runTask(task, &eval.Runner{Model: m, BatchTokens: c.batchTokens}, tok, q, Options{MaxLength: m.Context, Limit: 12, Batch: c.batch, Log: log})
			if err != nil {
				t.Fatal(err)
			}
			if r.Questions != 12 || r.Whole != task.Count || r.Tokens > r.PerChoice {
				t.Errorf("%+v", r)
			}
			if i == 0 {
				checkPlain(t, m, tok, q[0], log, task)
			}
		}
		log.Close()
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = got
		} else if !bytes.Equal(got, first) {
			t.Errorf("%+v: the log differs", c)
		}
	}
}

// checkPlain scores a question's choices by one forward pass each, from the
// texts.
func checkPlain(t *testing.T, m *engine.Model, tok *tokenizer.Tokenizer, q Question, log *Log, task *Task) {
	t.Helper()
	_, samples, err := ReadLog(log.path)
	if err != nil {
		t.Fatal(err)
	}
	var sample *Sample
	for i := range samples {
		if samples[i].Task == task.Name && samples[i].Index == q.Index {
			sample = &samples[i]
		}
	}
	for i, c := range q.Choices {
		head, _ := tok.Encode(strings.TrimRight(c.Context, " \n"), false)
		whole, _ := tok.Encode(c.Context+c.Continuation, false)
		rest := whole[len(head):]
		ids := append(head, rest...)
		if over := len(ids) - m.Context - 1; over > 0 {
			ids = ids[over:]
		}
		sum := 0.
		err := m.Forward(context.Background(), []engine.Step{{Seq: m.NewSequence(), IDs: ids[:len(ids)-1], Want: engine.WantAll}}, func(_, at int, logits []float32) error {
			if at+1 >= len(ids)-len(rest) {
				sum -= eval.NLL(logits, ids[at+1])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(sum-sample.Choices[i].LogProb) > 1e-9 || sample.Choices[i].Tokens != len(rest) {
			t.Errorf("%s, choice %d: %v of %d tokens, one pass gives %v of %d", task.Name, i, sample.Choices[i].LogProb, sample.Choices[i].Tokens, sum, len(rest))
		}
	}
}
