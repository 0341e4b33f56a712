// Command peers measures specquant against llama.cpp on this machine, in turns
// (A B A B …), so that whatever else the machine does falls on both.
//
//	go run ./scripts/peers -llama-bench PATH/llama-bench -gguf MODEL-Q4_0.gguf -model MODEL-sq
//	go run ./scripts/peers -llama-bench PATH/llama-bench -gguf MODEL.gguf -shape tinyllama-1.1b
//
// With -model it is a real artefact, as specquant quantize writes it, against the same
// model as a GGUF file; with -shape both have random weights of one shape. Every round
// starts both programs afresh, each of which warms up or repeats what it measures; the
// table shows medians and ranges over the rounds, and the median of the rounds' ratios.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

type sample map[string]float64 // what → tokens a second

func main() {
	bench := flag.String("llama-bench", "", "path of llama.cpp's llama-bench, or of a fork's")
	gguf := flag.String("gguf", "", "the peer's model")
	extra := flag.String("peer-flags", "", "further flags for llama-bench, such as -rtr 1")
	model := flag.String("model", "", "folder of a quantized model to measure, instead of a shape")
	shape := flag.String("shape", "tinyllama-1.1b", "shape for specquant bench")
	bits := flag.String("bits", "", "bits for specquant bench; none: what quantize takes")
	recipe := flag.String("recipe", "", "recipe for specquant bench; none: the default")
	head := flag.String("head-bits", "", "bits of the output matrix for specquant bench; none: the recipe's")
	threads := flag.Int("threads", 2, "threads of both")
	prefill := flag.Int("prefill", 512, "prompt tokens")
	decode := flag.Int("decode", 64, "tokens to generate")
	rounds := flag.Int("rounds", 5, "rounds")
	flag.Parse()
	if *bench == "" || *gguf == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*bench, *gguf, strings.Fields(*extra), ours{*model, *shape, *recipe, *bits, *head}, *threads, *prefill, *decode, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// ours is what specquant bench is to measure.
type ours struct {
	model                     string // a folder; "": the shape
	shape, recipe, bits, head string // all but the shape: "" is bench's default
}

func (o ours) String() string {
	if o.model != "" {
		return filepath.Base(o.model)
	}
	return fmt.Sprintf("%s %s %s", o.shape, cmp.Or(o.recipe, "default recipe"), cmp.Or(o.bits, "default bits"))
}

// flags are those of specquant bench.
func (o ours) flags() []string {
	if o.model != "" {
		return []string{o.model}
	}
	list := []string{"--shape", o.shape}
	for _, f := range [][2]string{{"--recipe", o.recipe}, {"--bits", o.bits}, {"--head-bits", o.head}} {
		if f[1] != "" {
			list = append(list, f[0], f[1])
		}
	}
	return list
}

func run(bench, gguf string, extra []string, what ours, threads, prefill, decode, rounds int) error {
	dir, err := os.MkdirTemp("", "specquant-peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "specquant")
	if out, err := exec.Command("go", "build", "-o", program, "./cmd/specquant").CombinedOutput(); err != nil {
		return fmt.Errorf("building specquant: %w\n%s", err, out)
	}
	var a, b []sample
	for i := range rounds {
		s, err := peer(bench, gguf, extra, threads, prefill, decode)
		if err != nil {
			return err
		}
		a = append(a, s)
		if s, err = own(program, what, threads, prefill, decode); err != nil {
			return err
		}
		b = append(b, s)
		fmt.Fprintf(os.Stderr, "round %d of %d: peer %.1f and %.1f, specquant %.1f and %.1f tokens a second\n",
			i+1, rounds, a[i]["prefill"], a[i]["decode"], b[i]["prefill"], b[i]["decode"])
	}
	fmt.Printf("%s against %s, %d threads, %d rounds in turns, tokens a second: median (range)\n\n", what, filepath.Base(gguf), threads, rounds)
	fmt.Println("| what | peer | specquant | ratio |")
	fmt.Println("|---|---|---|---|")
	for _, row := range []string{"prefill", "decode"} {
		var ratios []float64
		for i := range a {
			ratios = append(ratios, b[i][row]/a[i][row])
		}
		n := prefill
		if row == "decode" {
			n = decode
		}
		fmt.Printf("| %s %d | %s | %s | %s |\n", row, n, spread(values(a, row), 1), spread(values(b, row), 1), spread(ratios, 2))
	}
	return nil
}

func values(s []sample, what string) []float64 {
	var v []float64
	for _, x := range s {
		v = append(v, x[what])
	}
	return v
}

// spread writes median (least–most). The median of an even number is the mean of the middle two.
func spread(v []float64, digits int) string {
	slices.Sort(v)
	f := func(x float64) string { return strconv.FormatFloat(x, 'f', digits, 64) }
	n := len(v)
	return fmt.Sprintf("%s (%s–%s)", f((v[(n-1)/2]+v[n/2])/2), f(v[0]), f(v[n-1]))
}

// peer runs llama-bench once.
func peer(bench, gguf string, extra []string, threads, prefill, decode int) (sample, error) {
	args := append([]string{"-m", gguf, "-t", strconv.Itoa(threads), "-p", strconv.Itoa(prefill), "-n", strconv.Itoa(decode), "-r", repeats, "-o", "json"}, extra...)
	cmd := exec.Command(bench, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", bench, err, stderr.Bytes())
	}
	var rows []struct {
		Prompt   int     `json:"n_prompt"`
		Generate int     `json:"n_gen"`
		Rate     float64 `json:"avg_ts"`
	}
	if i := bytes.IndexByte(out, '['); i > 0 {
		out = out[i:]
	}
	if err := json.Unmarshal(out, &rows); err != nil {
		return nil, fmt.Errorf("%s: reading its output: %w", bench, err)
	}
	s := sample{}
	for _, r := range rows {
		if r.Generate == 0 {
			s["prefill"] = r.Rate
		} else {
			s["decode"] = r.Rate
		}
	}
	return s, nil
}

// repeats is how often each program measures in a round: the first time pages of the
// model come in, and llama-bench has a run of its own for that.
const repeats = "3"

// own runs specquant bench once.
func own(path string, what ours, threads, prefill, decode int) (sample, error) {
	args := append([]string{"bench", "--threads", strconv.Itoa(threads), "--prefill", strconv.Itoa(prefill),
		"--decode", strconv.Itoa(decode), "--batch", "1", "--rounds", repeats, "--json"}, what.flags()...)
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("specquant bench: %w", err)
	}
	s := sample{}
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var r struct {
			Name string  `json:"name"`
			Rate float64 `json:"tokens_per_second"`
		}
		if err := dec.Decode(&r); err != nil {
			return nil, err
		}
		s[strings.Fields(strings.ReplaceAll(r.Name, ",", ""))[0]] = r.Rate
	}
	return s, nil
}
