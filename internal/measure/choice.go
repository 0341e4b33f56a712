package measure

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/kernel/cpu"
)

// Choice is a tier of kernels that a measurement chose on a machine. A choice changes nothing but
// the time: tiers above portable Go give the same results, but for weights of 2 and 3 bits times
// activations that are not quantized, whose last bits differ.
type Choice struct {
	CPU  string  `json:"cpu"`  // the machine's processor: the choice counts on no other
	Best string  `json:"best"` // the highest tier that it had
	Tier string  `json:"tier"`
	Less float64 `json:"less"` // the tier's time relative to that of the highest
}

// maxChoice is the largest size of its file, in bytes.
const maxChoice = 64 << 10

// choiceFile is where the choice is kept.
func choiceFile() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "specquant", "kernels.json"), nil
}

// Save keeps the choice for later runs.
func (c Choice) Save() error {
	path, err := choiceFile()
	if err != nil {
		return err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// Forget removes a choice; it is no error if there is none.
func Forget() error {
	path, err := choiceFile()
	if err != nil {
		return nil // no folder that could hold one
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Remembered returns the choice that was kept for a processor of this name. ok is false if there
// is none, if it is of another processor, or if the file is damaged.
func Remembered(name string) (c Choice, ok bool) {
	path, err := choiceFile()
	if err != nil {
		return Choice{}, false
	}
	data, err := input.ReadFile(path, maxChoice)
	if err != nil || json.Unmarshal(data, &c) != nil {
		return Choice{}, false
	}
	return c, c.CPU == name && c.Best == cpu.Best().String()
}

// Apply makes kernels use the tier that was chosen, and reports whether it did: not if the
// environment names one.
func (c Choice) Apply() bool {
	t, err := cpu.ParseTier(c.Tier)
	if err != nil || t == cpu.Portable || os.Getenv(cpu.EnvTier) != "" {
		return false
	}
	cpu.SetTier(t)
	return true
}
