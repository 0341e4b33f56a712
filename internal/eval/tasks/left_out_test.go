package tasks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// picky is a tokenizer of bytes that drops "!" and can't express "?".
type picky struct{ letters }

func (picky) Encode(text string, special bool) ([]int, error) {
	if strings.Contains(text, "?") {
		return nil, errors.New("the vocabulary has no token for character '?'")
	}
	return letters{}.Encode(strings.ReplaceAll(text, "!", ""), special)
}

// One question that can't be posed does not cost the others their answers: it is
// counted and named. Strict, it is an error.
func TestLeftOut(t *testing.T) {
	piqa := find(t, "piqa")
	bare := func(context, a, b string) []Choice {
		return []Choice{{context, a, "x"}, {context, b, "x"}}
	}
	questions := []Question{
		four[0],
		{1, bare("q", "!", "b"), 0},
		{2, bare("q?", " a", " b"), 0},
		four[3],
		{4, bare("q", " aaaaaaaaaaaa", " b"), 0},
		{5, bare("!", " a", " b"), 0},
	}
	questions[3].Index = 3
	r, err := runTask(piqa, &oracle{}, picky{}, questions, Options{MaxLength: 9})
	if err != nil {
		t.Fatal(err)
	}
	if r.Questions != 2 || r.Skipped != 4 || len(r.LeftOut) != 4 {
		t.Fatalf("%+v", r)
	}
	for i, want := range []string{"adds no token", "no token for character", "longer context", "context has no tokens"} {
		l := r.LeftOut[i]
		if l.Question != []int{1, 2, 4, 5}[i] || !strings.Contains(l.Reason, want) {
			t.Errorf("%d: %+v, want %s", i, l, want)
		}
	}
	if got := LeftOutText("piqa", r.LeftOut); got != "piqa 1 2 4 5" {
		t.Error(got)
	}
	var many []LeftOut
	for i := range 9 {
		many = append(many, LeftOut{Question: i})
	}
	if got := LeftOutText("piqa", many); !strings.HasPrefix(got, "piqa 9 questions (") {
		t.Error(got)
	}
	for _, n := range []int{1, 2, 4, 5} {
		one := []Question{four[0], questions[n]}
		if _, err := runTask(piqa, &oracle{}, picky{}, one, Options{MaxLength: 9, Strict: true}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("piqa: question %d", n)) {
			t.Errorf("strict, question %d: %v", n, err)
		}
	}
}

// A row of a file that is no question is left out like one that can't be posed, and keeps its
// number. A file that is damaged, or of which no row is a question, is an error.
func TestRowsLeftOut(t *testing.T) {
	const good = `{"query":"q","choices":["a","b"],"gold":0}`
	piqa := find(t, "piqa")
	read := func(rows ...string) ([]Question, map[int]error, error) {
		path := filepath.Join(t.TempDir(), "piqa.jsonl")
		if err := os.WriteFile(path, []byte(strings.Join(rows, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		return piqa.ReadAll(path)
	}
	for row, want := range map[string]string{
		`{"query":"q","choices":["","b"],"gold":0}`:    "choice 0, counted from 0, is empty",
		`{"query":"q","choices":["a"],"gold":0}`:       "has 1 choice, expected at least 2",
		`{"query":"q","choices":[],"gold":0}`:          "has 0 choices",
		`{"query":"q","choices":["a","b"],"gold":2}`:   "the right answer is choice 2",
		`{"query":"q","choices":["a","b"],"gold":-1}`:  "the right answer is choice -1",
		`{"query":"q","choices":["a","b"]}`:            `field "gold": is missing`,
		`{"query":"q","choices":["a","b"],"gold":"x"}`: `field "gold": is "x"`,
		`{"query":"q","choices":["a","b"],"gold":1.5}`: `field "gold"`,
		`{"query":7,"choices":["a","b"],"gold":0}`:     `field "query": is a number`,
		`{"query":"q","choices":["a",3],"gold":0}`:     `field "choices"`,
		`{"query":"q","choices":{"a":1},"gold":0}`:     `field "choices"`,
		`{"goal":"g","sol1":"a","label":0}`:            `field "sol2": is missing`,
		`{}`:                                           "is missing",
	} {
		questions, faults, err := read(good, row, good)
		if err != nil || len(questions) != 3 || len(faults) != 1 {
			t.Errorf("%s: %v, %v, %v", row, questions, faults, err)
			continue
		}
		r, err := runTask(piqa, &oracle{}, picky{}, questions, Options{MaxLength: 9, Faults: faults})
		if err != nil || r.Questions != 2 || len(r.LeftOut) != 1 || r.LeftOut[0].Question != 1 || !strings.Contains(r.LeftOut[0].Reason, want) || !strings.Contains(r.LeftOut[0].Reason, "piqa.jsonl: line 2: ") {
			t.Errorf("%s: %+v, %v; want %s", row, r, err, want)
		}
		if _, err := runTask(piqa, &oracle{}, picky{}, questions, Options{MaxLength: 9, Faults: faults, Strict: true}); err == nil || !strings.Contains(err.Error(), "piqa: question 1: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("strict, %s: %v", row, err)
		}
		questions, faults, err = read(row, row)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := runTask(piqa, &oracle{}, picky{}, questions, Options{MaxLength: 9, Faults: faults}); err == nil || !strings.Contains(err.Error(), "all 2 were left out") || !strings.Contains(err.Error(), want) {
			t.Errorf("only %s: %v", row, err)
		}
	}
	for _, damage := range []string{`{"query":`, "null", "[1]", "\xff", good + good, "7"} {
		if _, _, err := read(good, damage, good); err == nil || !strings.Contains(err.Error(), "line 2: ") {
			t.Errorf("%q: %v", damage, err)
		}
	}
}
