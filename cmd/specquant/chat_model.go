package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/hub"
	"github.com/specquant/specquant/internal/input"
)

// model returns the folder or file of the model: the argument's, or a quantized one of the same
// name in the store, or one that is quantized now.
func (c *chatCmd) model(e *env) (string, error) {
	if !c.Quantize {
		return modelToRun(e, c.Dir, c.Full)
	}
	config, err := hub.FromEnv()
	if err != nil {
		return "", err
	}
	_, statErr := input.Stat(c.Dir)
	name, nameErr := hub.ParseName(c.Dir)
	if statErr == nil || nameErr != nil || name.File != "" {
		return "", fmt.Errorf("--quantize takes the name of a checkpoint in the store; for a folder: specquant quantize %s -o OUT", c.Dir)
	}
	m, err := config.Find(c.Dir)
	if err != nil {
		return "", err
	}
	if name, err = hub.ParseName(m.Name); err != nil {
		return "", err
	}
	return c.quantized(e, config, name)
}

// quantized returns the quantized model of a name, and quantizes it if it is not in the store.
func (c *chatCmd) quantized(e *env, config hub.Config, name hub.Name) (string, error) {
	variant := strings.TrimSuffix(filepath.Base(c.Recipe), ".yaml")
	if c.Bits != "" { // without, the recipe may fill a size with more bits than its setting says
		bits, err := specquant.ParseBits(c.Bits)
		if err != nil {
			return "", err
		}
		variant += "-" + bits.String()
	}
	out := config.StorePath(name, variant)
	if _, err := input.Stat(filepath.Join(out, "config.json")); err == nil {
		return out, nil
	}
	dir, err := config.Resolve(name.Repo)
	if err != nil {
		return "", err
	}
	o := specquant.QuantizeOptions{Recipe: c.Recipe, Bits: c.Bits, Threads: c.Threads}
	plan, err := specquant.PlanQuantize(dir, o)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(e.err, "quantizing %s by %s at %s takes %s, %s of memory and %s of disk, once\n", name.Repo, plan.Recipe, plan.Bits, spanText(plan.Least, plan.Most), bytesText(plan.Peak), bytesText(plan.Disk))
	if !e.confirm("go on?", true) {
		return "", errors.New("nothing was quantized; without --quantize the model is used as it is")
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return "", err
	}
	job := quantizeCmd{jobFlags: jobFlags{Dir: dir, Recipe: c.Recipe, Bits: c.Bits, Threads: c.Threads}, Out: newFolder(out)}
	if err := job.Run(e); err != nil {
		return "", err
	}
	return out, nil
}
