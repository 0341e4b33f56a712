package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
)

// keep writes a finished row to the work folder.
func (c *comparison) keep(row *Row, key string) error {
	if row.Reused {
		return nil
	}
	data, err := json.MarshalIndent(row, "", "  ")
	if err != nil {
		return err
	}
	if data, err = checkpoint.Seal(append(data, '\n')); err != nil {
		return err
	}
	if err := checkpoint.WriteFileAtomic(filepath.Join(c.Work, key+".json"), data); err != nil {
		return err
	}
	row.Made, row.Build = time.Now(), c.build
	return nil
}

// find reads a finished cell, of this build or else of one in Builds. [Row.Reused] is false if
// there is none.
func (c *comparison) find(x cell) (row Row, err error) {
	for _, build := range append([]string{c.build}, c.Builds...) {
		key, _ := c.key(x, build)
		path := filepath.Join(c.Work, key+".json")
		data, err := input.ReadFile(path, input.MaxSmall)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Row{}, err
		}
		if err := checkpoint.CheckSeal(data); errors.Is(err, checkpoint.ErrDamaged) || err != nil && build == c.build {
			c.note("%s %v; the cell is made again", path, err)
			continue
		} // cells of early versions have no checksums
		if err := input.JSON(data, &row); err != nil {
			return Row{}, fmt.Errorf("%s: %w; remove the file", path, err)
		}
		info, err := input.Stat(path)
		if err != nil {
			return Row{}, err
		}
		row.Reused, row.Made, row.Build = true, info.ModTime(), build
		return row, nil
	}
	return Row{}, nil
}

// key returns a hash of everything that the row of a cell depends on, which names its file, and
// the folder in which the cell is made. The folder's name also depends on what only the
// manifest records: the names of the recipe and of the calibration files.
func (c *comparison) key(x cell, build string) (key, out string) {
	id := map[string]any{"build": build, "inputs": c.inputs, "text": c.table.TextHash, "window": c.table.Window, "windows": c.table.Windows,
		"prefill": c.Ablation == "groups"}
	if len(c.Texts) > 1 {
		id["texts"] = c.ref.perText()
	}
	if x.also != "" {
		id["also"] = x.files
	}
	if r := x.recipe; r != nil {
		content := *r
		content.Name, content.About = "", ""
		id["recipe"] = content
		if x.size > 0 {
			id["size"] = x.size
		}
		if r.NeedsCalibration() {
			id["calibration"] = c.table.Calibration
		}
	}
	key = hashJSON(id)[:32]
	return key, filepath.Join(c.Work, key+"-"+hashJSON([]any{x.recipe, c.sources})[:8])
}

// secondsOf is what that file holds.
type secondsOf struct {
	Seconds float64 `json:"seconds"`
}

// checkKept removes an artefact that an earlier run has left if it is damaged, so that it is
// made again.
func (c *comparison) checkKept(out string) error {
	if _, err := input.Stat(out); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := artefact.Verify(out)
	if err == nil {
		return nil
	}
	c.note("%v; the cell is made again", err)
	return os.RemoveAll(out)
}
