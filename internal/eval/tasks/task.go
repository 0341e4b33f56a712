// Package tasks runs the nine zero-shot tasks of the quantization papers with the semantics
// of lm-eval 0.4.4: its prompts, its boundary between context and continuation, its
// truncation and its scores. Questions are read from local files, in the published schemas
// of the data sets or pre-formatted.
package tasks

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/plural"
)

// Semantics names the implementation that the scores can be compared with.
const Semantics = "lm-eval 0.4.4"

// Choice is one possible answer: a continuation of a context.
type Choice struct {
	Context      string
	Continuation string // with the space that separates it from the context
	Answer       string // acc_norm divides by its length: the continuation without that space
}

// Question is one item of a task.
type Question struct {
	Index   int // from 0, in the order of the files
	Choices []Choice
	Gold    int
}

// Task is one of the nine.
type Task struct {
	Name  string
	Split string // "validation" or "test"
	Count int    // number of questions in the whole split
	// Norm: the task has acc_norm, which averages then use.
	Norm bool
	// Greedy: the task has one continuation for each question, which is right if every
	// token of it is the most likely one.
	Greedy bool

	aliases []string // names of its files and folders, in lower case with underscores
	read    func(r *row) Question
	faults  map[int]error // collects what is wrong with rows while they are read; nil: the first is an error
}

// Metric is the score that averages use.
func (t *Task) Metric() string {
	if t.Norm {
		return "acc_norm"
	}
	return "acc"
}

// all are the tasks in the order of the paper's tables.
var all = []*Task{
	{Name: "boolq", Split: "validation", Count: 3270, aliases: []string{"boolq"}, read: readBoolQ},
	{Name: "hellaswag", Split: "validation", Count: 10042, Norm: true, aliases: []string{"hellaswag"}, read: readHellaSwag},
	{Name: "lambada", Split: "test", Count: 5153, Greedy: true, aliases: []string{"lambada", "lambada_openai"}, read: readLambada},
	{Name: "openbookqa", Split: "test", Count: 500, Norm: true, aliases: []string{"openbookqa", "openbook_qa"}, read: readOpenBookQA},
	{Name: "piqa", Split: "validation", Count: 1838, Norm: true, aliases: []string{"piqa"}, read: readPIQA},
	{Name: "siqa", Split: "validation", Count: 1954, aliases: []string{"siqa", "social_i_qa", "social_iqa", "socialiqa"}, read: readSIQA},
	{Name: "winogrande", Split: "validation", Count: 1267, aliases: []string{"winogrande", "winogrande_xl"}, read: readWinoGrande},
	{Name: "arc_easy", Split: "test", Count: 2376, Norm: true, aliases: []string{"arc_easy", "arc_e"}, read: readARC},
	{Name: "arc_challenge", Split: "test", Count: 1172, Norm: true, aliases: []string{"arc_challenge", "arc_c"}, read: readARC},
}

// Names lists the tasks.
func Names() []string {
	var out []string
	for _, t := range all {
		out = append(out, t.Name)
	}
	return out
}

// Find returns a task by its name or a common alias.
func Find(name string) (*Task, error) {
	n := normal(name)
	for _, t := range all {
		if t.Name == n || slices.Contains(t.aliases, n) {
			return t, nil
		}
	}
	return nil, fmt.Errorf("unknown task %q, expected one of %s", name, strings.Join(Names(), ", "))
}

// normal converts a name to lower case with underscores.
func normal(name string) string {
	return strings.NewReplacer("-", "_", " ", "_", ".", "_").Replace(strings.ToLower(name))
}

// choices makes the choices of a question with one context.
func choices(context string, answers []string) []Choice {
	out := make([]Choice, len(answers))
	for i, a := range answers {
		out[i] = Choice{Context: context, Continuation: " " + a, Answer: a}
	}
	return out
}

// check verifies the properties that every question of the task must have.
func (t *Task) check(q *Question, r *row) error {
	if r.err != nil {
		return r.err
	}
	least := 2
	if t.Greedy {
		least = 1
	}
	if len(q.Choices) < least {
		return r.errorf("", "has %s, expected at least %d", plural.Of(len(q.Choices), "choice"), least)
	}
	if q.Gold < 0 || q.Gold >= len(q.Choices) {
		return r.errorf("", "the right answer is choice %d, counted from 0, of %s", q.Gold, plural.Of(len(q.Choices), "choice"))
	}
	for i, c := range q.Choices {
		if c.Answer == "" {
			return r.errorf("", "choice %d, counted from 0, is empty", i)
		}
		if !utf8.ValidString(c.Context) || !utf8.ValidString(c.Continuation) {
			return r.errorf("", "is not UTF-8; convert it first")
		}
	}
	return nil
}
