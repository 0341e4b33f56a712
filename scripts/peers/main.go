// Command peers measures specquant against llama.cpp on this machine, in turns
// (A B A B …), so that whatever else the machine does falls on both.
//
//	go run ./scripts/peers -llama-bench PATH/llama-bench -gguf MODEL.gguf -shape tinyllama-1.1b
//
// The GGUF file is the peer's model of the same shape (random weights do). Every
// round starts both programs afresh; the table shows medians and ranges over
// the rounds, and the median of the rounds' ratios.
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
	shape := flag.String("shape", "tinyllama-1.1b", "shape for specquant bench")
	bits := flag.String("bits", "4-8-8", "bits for specquant bench")
	branch := flag.Int("branch", 16, "branch components for specquant bench, without a recipe")
	recipe := flag.String("recipe", "", "recipe for specquant bench to price instead")
	threads := flag.Int("threads", 2, "threads of both")
	prefill := flag.Int("prefill", 512, "prompt tokens")
	decode := flag.Int("decode", 64, "tokens to generate")
	rounds := flag.Int("rounds", 5, "rounds")
	flag.Parse()
	if *bench == "" || *gguf == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*bench, *gguf, strings.Fields(*extra), *shape, *recipe, *bits, *branch, *threads, *prefill, *decode, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(bench, gguf string, extra []string, shape, recipe, bits string, branch, threads, prefill, decode, rounds int) error {
	dir, err := os.MkdirTemp("", "specquant-peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ours := filepath.Join(dir, "specquant")
	if out, err := exec.Command("go", "build", "-o", ours, "./cmd/specquant").CombinedOutput(); err != nil {
		return fmt.Errorf("building specquant: %w\n%s", err, out)
	}
	var a, b []sample
	for i := range rounds {
		s, err := peer(bench, gguf, extra, threads, prefill, decode)
		if err != nil {
			return err
		}
		a = append(a, s)
		if s, err = own(ours, shape, recipe, bits, branch, threads, prefill, decode); err != nil {
			return err
		}
		b = append(b, s)
		fmt.Fprintf(os.Stderr, "round %d of %d: peer %.1f and %.1f, specquant %.1f and %.1f tokens a second\n",
			i+1, rounds, a[i]["prefill"], a[i]["decode"], b[i]["prefill"], b[i]["decode"])
	}
	fmt.Printf("%s %s %s against %s, %d threads, %d rounds in turns, tokens a second: median (range)\n\n", shape, cmp.Or(recipe, "dft branch"), bits, filepath.Base(gguf), threads, rounds)
	fmt.Println("| what | peer | specquant | ratio |")
	fmt.Println("|---|---|---|---|")
	for _, what := range []string{"prefill", "decode"} {
		var ratios []float64
		for i := range a {
			ratios = append(ratios, b[i][what]/a[i][what])
		}
		n := prefill
		if what == "decode" {
			n = decode
		}
		fmt.Printf("| %s %d | %s | %s | %s |\n", what, n, spread(values(a, what), 1), spread(values(b, what), 1), spread(ratios, 2))
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

// spread writes median (least–most).
func spread(v []float64, digits int) string {
	slices.Sort(v)
	f := func(x float64) string { return strconv.FormatFloat(x, 'f', digits, 64) }
	return fmt.Sprintf("%s (%s–%s)", f(v[len(v)/2]), f(v[0]), f(v[len(v)-1]))
}

// peer runs llama-bench once.
func peer(bench, gguf string, extra []string, threads, prefill, decode int) (sample, error) {
	args := append([]string{"-m", gguf, "-t", strconv.Itoa(threads), "-p", strconv.Itoa(prefill), "-n", strconv.Itoa(decode), "-r", "1", "-o", "json"}, extra...)
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

// own runs specquant bench once.
func own(path, shape, recipe, bits string, branch, threads, prefill, decode int) (sample, error) {
	args := []string{"bench", "--shape", shape, "--bits", bits, "--threads", strconv.Itoa(threads),
		"--prefill", strconv.Itoa(prefill), "--decode", strconv.Itoa(decode), "--batch", "1", "--rounds", "1", "--json"}
	if recipe != "" {
		args = append(args, "--recipe", recipe)
	} else {
		args = append(args, "--branch", strconv.Itoa(branch))
	}
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
