package tasks

import (
	"errors"
	"fmt"
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
