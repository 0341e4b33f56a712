package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/plural"
)

// jobFlags are the flags that plan and quantize share.
type jobFlags struct {
	Dir       string        `arg:"" help:"Folder of the checkpoint: config.json, safetensors, tokenizer." placeholder:"DIR"`
	Recipe    string        `default:"${recipe}" help:"Embedded recipe or a .yaml file." short:"r"`
	Bits      string        `help:"Bits of weights-activations-KV, such as 4-4-16. Default: the recipe's own, which is 4-8-8 for this project's recipes and the authors' setting for a baseline (rtn 4-4-4, gptq and awq 4-16-16, smoothquant 8-8-16)." placeholder:"W-A-KV"`
	Size      size          `help:"Largest size of the result on disk, such as 90MB: the bits of the weights are chosen to fill it. Not with --bits." placeholder:"SIZE"`
	Calib     []string      `help:"Calibration text files, UTF-8. Default: the embedded text." placeholder:"FILE" sep:"none"`
	Threads   int           `help:"Threads; the result does not depend on them. 0: one for each CPU." default:"0"`
	MaxMemory size          `help:"Memory limit, such as 8GB. If the calibration activations do not fit, they go to a file." placeholder:"SIZE"`
	Time      time.Duration `help:"Roughly how long the job may take, such as 10m: if necessary fewer calibration windows are used, which is reported and recorded." placeholder:"TIME"`
	Strict    bool          `help:"${strict}"`
}

func (f *jobFlags) options() specquant.QuantizeOptions {
	return specquant.QuantizeOptions{Recipe: f.Recipe, Bits: f.Bits, Calibration: f.Calib, Threads: f.Threads, MaxMemory: int64(f.MaxMemory), Size: int64(f.Size), Time: f.Time, Strict: f.Strict}
}

type planCmd struct {
	jobFlags
	Measured string `help:"A table that compare has written with --json: adds its perplexity and KL divergence to the settings that it has measured." placeholder:"FILE.json"`
	JSON     bool   `name:"json" help:"Write JSON; sizes in bytes, times in seconds."`
}

func (c *planCmd) Run(e *env) error {
	if err := e.readPipes(c.Calib); err != nil {
		return err
	}
	o := c.options()
	o.Choices = true
	p, err := specquant.PlanQuantize(c.Dir, o)
	if err != nil {
		return err
	}
	printWarnings(e, p.Warnings)
	if c.Measured != "" {
		if err := c.addMeasured(e, p); err != nil {
			return err
		}
	}
	if c.JSON {
		return e.writeJSON(planOf(p))
	}
	printPlan(e, p)
	return nil
}

// addMeasured adds what a comparison has measured.
func (c *planCmd) addMeasured(e *env, p *specquant.Plan) error {
	t, err := specquant.ReadTable(c.Measured)
	if err != nil {
		return err
	}
	found, err := p.AddMeasured(t)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Measured, err)
	}
	if found < 2 { // full precision is always there
		fmt.Fprintf(e.err, "note: none of the settings below is in %s; specquant compare %s --recipes %s --bits … --text … --json measures them\n", c.Measured, c.Dir, c.Recipe)
	}
	return nil
}

// jobPlan is the JSON output of plan: sizes in bytes, times in seconds.
type jobPlan struct {
	Recipe       string                 `json:"recipe"`
	Bits         string                 `json:"bits"`
	Threads      int                    `json:"threads"`
	Blocks       int                    `json:"blocks"`
	Windows      int                    `json:"calibration_windows"` // 0: none is needed
	Tokens       int                    `json:"calibration_tokens_per_window"`
	Widths       []specquant.WidthShare `json:"widths"` // of the weights
	Memory       []memoryItem           `json:"memory"` // what is held at the peak
	Peak         int64                  `json:"peak_bytes"`
	MaxMemory    int64                  `json:"max_memory_bytes,omitempty"`
	Spill        int64                  `json:"spilled_bytes"`
	Read         int64                  `json:"read_bytes"`
	Artefact     int64                  `json:"artefact_bytes"`
	Disk         int64                  `json:"disk_bytes"`
	Rotations    []specquant.Rotation   `json:"rotations"`
	Fallbacks    []specquant.Fallback   `json:"fallbacks"`
	Operations   float64                `json:"floating_point_operations"`
	LeastSeconds float64                `json:"seconds_least"`
	MostSeconds  float64                `json:"seconds_most"`
	Budget       *specquant.TimeBudget  `json:"time_budget,omitempty"` // nil: no time limit was given
	Choices      *specquant.Choices     `json:"choices"`
	Load         float64                `json:"load_per_cpu"` // share of each processor that other programs use at the moment
}

type memoryItem struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

func planOf(p *specquant.Plan) jobPlan {
	j := jobPlan{Recipe: p.Recipe, Bits: p.Bits, Threads: p.Threads, Blocks: p.Blocks, Windows: p.Windows, Tokens: p.Tokens, Widths: p.Widths, Peak: p.Peak, MaxMemory: p.MaxMemory,
		Spill: p.Spill, Read: p.Read, Artefact: p.Artefact, Disk: p.Disk, Rotations: p.Rotations, Fallbacks: p.Fallbacks, Operations: p.Work,
		LeastSeconds: p.Least.Seconds(), MostSeconds: p.Most.Seconds(), Load: p.Load, Budget: p.Budget, Choices: p.Choices}
	for _, i := range p.Memory {
		j.Memory = append(j.Memory, memoryItem(i))
	}
	if j.Rotations == nil {
		j.Rotations = []specquant.Rotation{}
	}
	if j.Fallbacks == nil {
		j.Fallbacks = []specquant.Fallback{}
	}
	return j
}

func printPlan(e *env, p *specquant.Plan) {
	w := e.out
	fmt.Fprintf(w, "recipe        %s at %s, %s\n", p.Recipe, p.Bits, plural.Of(p.Threads, "thread"))
	if len(p.Widths) > 1 {
		var parts []string
		for _, x := range p.Widths {
			parts = append(parts, fmt.Sprintf("%s %.1f %%", plural.Of(x.Bits, "bit"), 100*x.Share))
		}
		fmt.Fprintf(w, "weights       %s\n", strings.Join(parts, ", "))
	}
	if p.Windows > 0 {
		fmt.Fprintf(w, "calibration   %s of %s\n", plural.Of(p.Windows, "window"), plural.Of(p.Tokens, "token"))
	} else {
		fmt.Fprintf(w, "calibration   none needed\n")
	}
	fmt.Fprintf(w, "reads         %s of weights in %s, one at a time\n", bytesText(p.Read), plural.Of(p.Blocks, "block"))
	fmt.Fprintf(w, "memory        %s at the peak:\n", bytesText(p.Peak))
	for _, i := range p.Memory {
		fmt.Fprintf(w, "  %10s  %s\n", bytesText(i.Bytes), i.Name)
	}
	if p.Spill > 0 {
		fmt.Fprintf(w, "spilled       %s of calibration activations go to a file, to stay below %s\n", bytesText(p.Spill), bytesText(p.MaxMemory))
	}
	if b := p.Budget; b != nil {
		fmt.Fprintf(w, "time          %s allows %d of %s\n", time.Duration(b.Seconds*float64(time.Second)), b.Windows, plural.Of(b.Asked, "calibration window"))
	}
	for i, r := range p.Rotations {
		fmt.Fprintf(w, "%-13s %s, width %d: %s\n", heading("rotations", i), r.Where, r.Width, r.Name)
	}
	for i, line := range specquant.FallbackLines(p.Fallbacks) {
		fmt.Fprintf(w, "%-13s %s\n", heading("fallbacks", i), line)
	}
	fmt.Fprintf(w, "writes        about %s; at most %s of disk in use at once\n", bytesText(p.Artefact), bytesText(p.Disk))
	fmt.Fprintf(w, "work          %.3g GFLOP, %s on this machine%s\n", p.Work/1e9, spanText(p.Least, p.Most), busyText(p))
	printChoices(w, p.Choices)
}

// printChoices prints the possible settings, and which of them suits this machine's memory.
func printChoices(w io.Writer, c *specquant.Choices) {
	if c == nil {
		return
	}
	fmt.Fprint(w, "\nother bits and groups for the same recipe, the same in all layers; head is the bits of the output matrix; memory while running, by context × sequences; tokens per second to expect on this machine, measured just now on random weights: prompts of 512 tokens, one answer, eight at once\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "bits\tgroup\ta weight\thead\tfolder\t")
	for _, r := range c.All[0].Running {
		fmt.Fprintf(t, "%d × %d\t", r.Context, r.Sequences)
	}
	fmt.Fprint(t, "prefill\tdecode\tof 8\t")
	measured := slices.ContainsFunc(c.All, func(one specquant.Choice) bool { return one.Measured != nil })
	if measured {
		fmt.Fprint(t, "perplexity\tKL\t")
	}
	fmt.Fprint(t, "\t\n")
	for i, one := range c.All {
		bits, group, head, mark := fmt.Sprint(one.Bits), "row", fmt.Sprint(one.Head), ""
		if one.Filled {
			bits = "mixed"
		}
		if one.Group > 0 {
			group = fmt.Sprint(one.Group)
		}
		if one.Multiples {
			group = "×" + group
		}
		if one.Bits == 16 {
			group, head = "", "" // as in the checkpoint
		}
		if one.Chosen {
			mark = "chosen"
		}
		if i == c.Fits {
			mark = strings.TrimPrefix(mark+", fits", ", ")
		}
		fmt.Fprintf(t, "%s\t%s\t%.2f\t%s\t%s\t", bits, group, one.BitsPerWeight, head, bytesText(one.File))
		for _, r := range one.Running {
			fmt.Fprintf(t, "%s\t", bytesText(r.Bytes))
		}
		for _, v := range []float64{one.Prefill, one.Decode, one.Decode8} {
			fmt.Fprintf(t, "%.3g\t", v)
		}
		if m := one.Measured; m != nil {
			fmt.Fprintf(t, "%.4g\t%.4f\t", m.Perplexity, m.KL)
		} else if measured {
			fmt.Fprint(t, "\t\t")
		}
		fmt.Fprintf(t, "  %s\t\n", mark)
	}
	t.Flush()
	if slices.ContainsFunc(c.All, func(one specquant.Choice) bool { return one.Multiples }) {
		fmt.Fprintln(w, "× before a group: its scale is a multiple of its row's.")
	}
	if slices.ContainsFunc(c.All, func(one specquant.Choice) bool { return one.Filled }) {
		fmt.Fprintln(w, "mixed: layers have the bits that are said above under weights.")
	}
	switch {
	case c.Free == 0:
	case c.Fits < 0:
		fmt.Fprintf(w, "This machine has %s of memory free: none of these fits with 8,192 tokens of context; use a smaller model.\n", bytesText(c.Free))
	case c.All[c.Fits].Bits == 16:
		fmt.Fprintf(w, "This machine has %s of memory free: the model fits without being quantized; quantized it is smaller and faster.\n", bytesText(c.Free))
	default:
		one := c.All[c.Fits]
		fmt.Fprintf(w, "This machine has %s of memory free: of those that fit with 8,192 tokens of context, the one of %.2f bits per weight should be the most accurate (--size %s); specquant compare measures how accurate.\n",
			bytesText(c.Free), one.BitsPerWeight, sizeFlag(one.File))
	}
}

// sizeFlag is a value of --size that is just above so many bytes.
func sizeFlag(bytes int64) string {
	bytes += bytes / 50
	if bytes < 10e6 {
		return fmt.Sprintf("%dkB", bytes/1e3+1)
	}
	return fmt.Sprintf("%dMB", bytes/1e6+1)
}

// busyText explains why the range of the time is wide, if other programs use the machine.
func busyText(p *specquant.Plan) string {
	if p.Load < specquant.BusyLoad {
		return ""
	}
	return " (other programs are using this machine)"
}

// heading is the name of a list on its first line, and "" on the others.
func heading(name string, line int) string {
	if line > 0 {
		return ""
	}
	return name
}
