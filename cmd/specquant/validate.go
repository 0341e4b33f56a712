package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Kong calls Validate before a command runs: what is wrong with the command line
// by itself is told before any file is opened.

func checkWindows(n int, none string) error {
	if n < 0 {
		return fmt.Errorf("--max-windows: found %d, expected a number of windows, or 0 for %s", n, none)
	}
	return nil
}

func (c *pplCmd) Validate() error        { return checkWindows(c.MaxWindows, "all") }
func (c *divergenceCmd) Validate() error { return checkWindows(c.MaxWindows, "all") }
func (c *compareCmd) Validate() error    { return checkWindows(c.MaxWindows, "all") }
func (c *diffCmd) Validate() error       { return checkWindows(c.MaxWindows, "8") }

func (c *reportCmd) Validate() error {
	if info, err := os.Stat(c.Out); err == nil && info.IsDir() {
		return fmt.Errorf("--out: %s is a folder, expected the name of a file such as report.html", c.Out)
	}
	if c.MaxWindows != 0 && c.Text == "" {
		return errors.New("--max-windows: says how much of --text FILE is measured; give that too, or leave it out")
	}
	return checkWindows(c.MaxWindows, "all")
}

// Validate refuses a seed that draws nothing.
func (c *tasksCmd) Validate() error {
	if c.Seed != 0 && c.Limit == 0 {
		return errors.New("--seed: draws the questions of --limit; give that too, or leave it out")
	}
	return nil
}

// Validate refuses what a brief look does not look at.
func (c *inspectCmd) Validate() error {
	if c.Brief && len(c.Calib) > 0 {
		return errors.New("--calib: is the text for the spectral energy, which --brief leaves out; give one of them")
	}
	return nil
}

// checkData says which flag names the folder of the task files, if it is not there
// and a task needs it.
func (c *tasksCmd) checkData() error {
	need := len(c.Tasks) == 0
	for _, t := range c.Tasks {
		need = need || !strings.Contains(t, "=")
	}
	if !need {
		return nil
	}
	if _, err := os.Stat(c.Data); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--data: there is no folder %s; name the one that has the task files, or give each task as --tasks TASK=FILE", c.Data)
	}
	return nil
}
