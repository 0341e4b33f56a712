package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
)

// Kong calls Validate before a command runs, so that errors in the command line itself are
// reported before any file is opened.

func (c *reportCmd) Validate() error {
	if info, err := input.Stat(c.Out); err == nil && info.IsDir() {
		return fmt.Errorf("--out: %s is a folder, expected the name of a file such as report.html", c.Out)
	}
	if err := checkpoint.CheckTarget(c.Out); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if c.MaxWindows != 0 && c.Text == "" {
		return errors.New("--max-windows limits how much of --text FILE is measured; give that too, or leave it out")
	}
	return nil
}

// Validate returns an error for --seed without --limit, which would have no effect.
func (c *tasksCmd) Validate() error {
	if c.Seed != 0 && c.Limit == 0 {
		return errors.New("--seed chooses the questions of --limit; give that too, or leave it out")
	}
	return nil
}

// Validate returns an error if there would be no tokens to calibrate or measure with.
func (c *layerCmd) Validate() error {
	for _, f := range []struct {
		name string
		n    int
	}{{"tokens", c.Tokens}, {"held-out", c.HeldOut}} {
		if f.n < 1 {
			return fmt.Errorf("--%s: found %d, expected 1 or more", f.name, f.n)
		}
	}
	return nil
}

// Defaults of the flags of inspect for the spectral energy.
const (
	inspectAlpha = "0.5"
	inspectSeeds = 4
)

// Validate returns an error for flags that have no effect with --brief.
func (c *inspectCmd) Validate() error {
	if name := c.ofEnergy(); c.Brief && name != "" {
		return fmt.Errorf("--%s: is for the spectral energy, which --brief leaves out; give one of them", name)
	}
	if c.Seeds < 1 {
		return fmt.Errorf("--seeds: found %d, expected 1 or more", c.Seeds)
	}
	_, err := c.alpha()
	return err
}

// ofEnergy returns the name of a given flag that concerns the spectral energy; "" if there is
// none.
func (c *inspectCmd) ofEnergy() string {
	switch {
	case len(c.Calib) > 0:
		return "calib"
	case c.Alpha != inspectAlpha:
		return "alpha"
	case c.Seeds != inspectSeeds:
		return "seeds"
	}
	return ""
}

// checkData returns an error if the folder of the task files does not exist and a task needs
// it.
func (c *tasksCmd) checkData() error {
	need := len(c.Tasks) == 0
	for _, t := range c.Tasks {
		need = need || !strings.Contains(t, "=")
	}
	if !need {
		return nil
	}
	if _, err := input.Stat(c.Data); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--data: there is no folder %s; name the one that has the task files, or give each task as --tasks TASK=FILE", c.Data)
	}
	return nil
}
