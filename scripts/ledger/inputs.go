package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/gguf"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/tokenizer"
)

// How outliers are planted: as `specquant plant` does unless told otherwise.
const (
	plantChannels = 4
	plantFactor   = 30
	plantSeed     = 1
)

// cut gives the evaluation text and the path of the calibration text, which is
// written below work.
func (t text) cut(data, work string) (evaluation, calibration string, err error) {
	file := filepath.Join(data, "text", t.File)
	all, err := os.ReadFile(file)
	if err != nil {
		return "", "", err
	}
	if len(all) < t.Evaluation+t.Calibration {
		return "", "", fmt.Errorf("%s: has %d bytes, expected at least %d: what is measured on and what is calibrated on must not overlap", file, len(all), t.Evaluation+t.Calibration)
	}
	head, tail := all[:t.Evaluation], all[len(all)-t.Calibration:]
	if !utf8.Valid(head) || !utf8.Valid(tail) {
		return "", "", fmt.Errorf("%s: the first %d or the last %d bytes are not UTF-8, or cut a character", file, t.Evaluation, t.Calibration)
	}
	calibration = filepath.Join(work, "texts", strings.TrimSuffix(t.File, ".txt")+"-calibration.txt")
	if have, err := os.ReadFile(calibration); err == nil && bytes.Equal(have, tail) {
		return string(head), calibration, nil
	}
	if err := os.MkdirAll(filepath.Dir(calibration), 0o755); err != nil {
		return "", "", err
	}
	return string(head), calibration, checkpoint.WriteFileAtomic(calibration, tail)
}

// folder gives the model's checkpoint: the data folder's, or one that is made
// below work from its GGUF file or by planting outliers.
func (m model) folder(data, work string) (string, error) {
	if base, ok := strings.CutPrefix(m.Name, plantedPrefix); ok {
		from, err := model{Name: base}.folder(data, work)
		if err != nil {
			return "", err
		}
		return once(filepath.Join(work, "models", m.Name), func(dst string) error { return plant(from, dst) })
	}
	dir := filepath.Join(data, "models", m.Name)
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil {
		return dir, nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.gguf"))
	if err != nil {
		return "", err
	}
	if len(files) != 1 {
		return "", fmt.Errorf("%s: has no config.json and %d GGUF files, expected one of either", dir, len(files))
	}
	return once(filepath.Join(work, "models", m.Name), func(dst string) error { return gguf.Import(files[0], dst) })
}

// plant makes a copy with outliers.
func plant(from, dst string) error {
	ck, err := checkpoint.Open(from)
	if err != nil {
		return err
	}
	defer ck.Close()
	if err := ck.Check(); err != nil {
		return err
	}
	tok, err := tokenizer.Load(from)
	if err != nil {
		return err
	}
	return llama.Plant(ck, dst, plantChannels, plantFactor, plantSeed, tok.Files())
}

// once makes a folder unless it is there; what was interrupted does not count.
func once(dst string, write func(dst string) error) (string, error) {
	if _, err := os.Stat(dst); err == nil {
		return dst, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return "", err
	}
	partial := dst + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return "", err
	}
	if err := write(partial); err != nil {
		return "", errors.Join(err, os.RemoveAll(partial))
	}
	return dst, os.Rename(partial, dst)
}
