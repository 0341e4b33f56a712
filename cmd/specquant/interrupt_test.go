//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/testmodel"
)

// TestMainProgram is the program itself, in a process of its own, for tests that
// send signals to it.
func TestMainProgram(t *testing.T) {
	if args := os.Getenv("SPECQUANT_TEST_ARGS"); args != "" {
		os.Exit(run(strings.Split(args, "\n"), os.Stdout, os.Stderr))
	}
}

// Every command ends within a second of a signal, also while it waits for a pipe
// without a writer, and with a word for who sent it. Pipes where a file is expected
// are refused at once.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	pipe, model := filepath.Join(dir, "pipe"), filepath.Join(dir, "model")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	if err := testmodel.Write(model, testmodel.Options{Layers: 2}); err != nil {
		t.Fatal(err)
	}
	// odd is a model with a pipe in the place of one file.
	odd := func(file string) string {
		d := filepath.Join(dir, "odd-"+file)
		if err := os.CopyFS(d, os.DirFS(model)); err != nil {
			t.Fatal(err)
		}
		os.Remove(filepath.Join(d, file))
		if err := syscall.Mkfifo(filepath.Join(d, file), 0o600); err != nil {
			t.Fatal(err)
		}
		return d
	}
	recipe := filepath.Join(dir, "r.yaml")
	if err := syscall.Mkfifo(recipe, 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	for _, c := range []struct {
		args    []string
		refused string // "": it waits
	}{
		{[]string{"eval", "ppl", model, "--text", pipe}, ""},
		{[]string{"eval", "divergence", model, "--against", model, "--text", pipe}, ""},
		{[]string{"diff", model, model, "--text", pipe}, ""},
		{[]string{"compare", model, "--text", pipe, "--work", dir}, ""},
		{[]string{"plan", model, "--calib", pipe}, ""},
		{[]string{"quantize", model, "-o", out, "--calib", pipe}, ""},
		{[]string{"inspect", model, "--calib", pipe}, ""},
		{[]string{"report", model, "-o", out + ".html", "--calib", pipe}, ""},
		{[]string{"run", model}, ""}, // standard input is a pipe that nobody writes to
		{[]string{"bench", "--shape", "llama-3-8b"}, ""},
		{[]string{"layer", "--shape", "4096x4096"}, ""},
		{[]string{"run", odd("tokenizer.json"), "-p", "x"}, "is a pipe"},
		{[]string{"run", odd("tokenizer_config.json"), "-p", "x"}, "is a pipe"},
		{[]string{"inspect", odd("config.json")}, "is a pipe"},
		{[]string{"inspect", odd("model.safetensors")}, "is a pipe"},
		{[]string{"plan", odd("generation_config.json")}, "is a pipe"},
		{[]string{"run", odd("model.safetensors.index.json"), "-p", "x", "-n", "1"}, "-"},
		{[]string{"plan", model, "-r", recipe}, "is a pipe"},
		{[]string{"import", pipe, "-o", out}, "is a pipe"},
		{[]string{"eval", "tasks", model, "--tasks", "piqa=" + pipe}, "is a pipe"},
		{[]string{"eval", "tasks", model, "--tasks", "piqa=" + pipe, "--log", pipe}, "is a pipe"},
	} {
		t.Run(strings.Join(c.args[:min(2, len(c.args))], " ")+" "+filepath.Base(c.args[len(c.args)-1]), func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestMainProgram$")
			cmd.Env = append(os.Environ(), "SPECQUANT_TEST_ARGS="+strings.Join(c.args, "\n"))
			var errs bytes.Buffer
			cmd.Stderr = &errs
			if in, err := cmd.StdinPipe(); err != nil {
				t.Fatal(err)
			} else {
				defer in.Close()
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- cmd.Wait() }()
			wait := 2 * time.Second
			if c.refused != "" {
				wait = 30 * time.Second
			}
			select {
			case <-done:
				if c.refused == "" || c.refused != "-" && !strings.Contains(errs.String(), c.refused) {
					t.Fatalf("ended by itself: %s", errs.String())
				}
				return
			case <-time.After(wait):
			}
			if c.refused != "" {
				cmd.Process.Kill()
				t.Fatalf("still running: %s", errs.String())
			}
			sent := time.Now()
			cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-done:
				if took := time.Since(sent); took > 10*time.Second { // a second, and the share of a very busy machine
					t.Errorf("ended %v after the signal", took)
				}
				if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(errs.String(), "interrupted") {
					t.Errorf("ended with %d: %s", code, errs.String())
				}
			case <-time.After(20 * time.Second):
				cmd.Process.Kill()
				t.Errorf("did not end: %s", errs.String())
			}
		})
	}
}
