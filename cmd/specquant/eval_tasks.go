package main

import (
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/plural"
)

type tasksCmd struct {
	Dir     string   `arg:"" help:"Folder of a quantized model or of a checkpoint." placeholder:"OUT"`
	Tasks   []string `help:"Tasks, or TASK=FILE: ${tasks}. Default: all nine." placeholder:"TASK"`
	Data    string   `help:"Folder with the task files, JSON lines or Parquet. Default: data/tasks." default:"data/tasks" placeholder:"DIR"`
	Limit   int      `help:"Questions of each task. 0: all." default:"0"`
	Seed    uint64   `help:"Which questions --limit takes. 0: the first; otherwise a random sample with this seed." default:"0"`
	BOS     bool     `name:"bos" help:"Put BOS before each text, which lm-eval does not."`
	Strict  bool     `help:"Make an error of a question that can't be posed to this model (a choice adds no token to its context, or is longer than the model's), which is otherwise left out and named."`
	Log     string   `help:"Write a JSON line for each question; questions that an existing log answers are not asked again." placeholder:"FILE.jsonl"`
	Ctx     int      `help:"Context in tokens. 0: the model's own, at most 8192." default:"0"`
	Batch   int      `help:"Tokens computed together; the result does not depend on it." default:"2048"`
	JSON    bool     `name:"json" help:"Write JSON, with the whole fingerprint."`
	Threads int      `help:"Threads; the result does not depend on them. 0: one for each CPU." default:"0"`
}

func (c *tasksCmd) Run(e *env) error {
	if err := c.checkData(); err != nil {
		return err
	}
	m, err := specquant.Open(c.Dir, specquant.Options{Threads: c.Threads, Context: c.Ctx})
	if err != nil {
		return err
	}
	defer m.Close()
	e.noteSums(m)
	o := specquant.TaskOptions{Tasks: c.Tasks, Data: c.Data, Limit: c.Limit, Seed: c.Seed, BOS: c.BOS, Strict: c.Strict, Log: c.Log, Batch: c.Batch,
		Done: func(r specquant.TaskResult) {
			fmt.Fprintf(e.err, "%s: %s %s %%, %s in %.1f s\n", r.Task, r.Metric, estimateText(r.Score, 100, "%.2f"), plural.Of(r.Questions, "question"), r.Seconds)
		}}
	o.Note = func(s string) { fmt.Fprintf(e.err, "%snote: %s\n", e.clear(), s) }
	if e.isTerm {
		o.Progress = func(task string, done, all int) { e.tick(task+" questions")(done, all) }
	}
	r, err := m.RunTasks(e.ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.writeJSON(r)
	}
	percent := func(v *specquant.Estimate) string {
		if v == nil {
			return ""
		}
		return estimateText(*v, 100, "%.2f")
	}
	tw := newTable()
	tw.AppendHeader(table.Row{"task", "questions", "acc, %", "acc_norm, %", "truncated", "seconds"})
	for _, t := range r.Tasks {
		questions := fmt.Sprint(t.Questions)
		if t.Questions != t.Whole {
			questions += fmt.Sprintf(" of %d", t.Whole)
		}
		if t.Skipped > 0 {
			questions += fmt.Sprintf(", %d left out", t.Skipped)
			for i, l := range t.LeftOut {
				if i == 3 {
					fmt.Fprintf(e.err, "note: %s: %d more are left out; --json names them all\n", t.Task, len(t.LeftOut)-i)
					break
				}
				fmt.Fprintf(e.err, "note: %s: question %d is left out: %s\n", t.Task, l.Question, l.Reason)
			}
		}
		tw.AppendRow(table.Row{t.Task, questions, percent(&t.Acc), percent(t.AccNorm), t.Truncated, fmt.Sprintf("%.1f", t.Seconds)})
	}
	fmt.Fprintln(e.out, tw.Render())
	fmt.Fprintf(e.out, "average of %d (acc_norm where there is one)  %s %%  %s\n", len(r.Tasks), percent(&r.Average), r.Fingerprint)
	return nil
}
