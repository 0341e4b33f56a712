package eval

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/calibration"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// Overlap describes what an evaluation text has in common with one calibration text.
type Overlap struct {
	Source string  `json:"source"`
	Same   bool    `json:"same"`    // identical
	Lines  int     `json:"lines"`   // lines of the evaluation text that are in the calibration text
	Share  float64 `json:"share"`   // fraction of the bytes in long lines of the evaluation text that are in these lines
	Reason string  `json:"unknown"` // why it could not be compared; ""
}

// Any reports whether the texts have anything in common.
func (o Overlap) Any() bool { return o.Same || o.Lines > 0 }

// String describes the overlap in words.
func (o Overlap) String() string {
	switch {
	case o.Same:
		return fmt.Sprintf("the model was calibrated on this very text (%s)", o.Source)
	case o.Lines > 0:
		return fmt.Sprintf("%s, %.1f %% of the text, are in the calibration text %s", plural.Of(o.Lines, "line"), 100*o.Share, o.Source)
	case o.Reason != "":
		return fmt.Sprintf("the calibration text %s could not be compared: %s", o.Source, o.Reason)
	}
	return fmt.Sprintf("nothing in common with the calibration text %s", o.Source)
}

// lineBytes is the minimum length of lines that are compared: short ones are equal by
// chance.
const lineBytes = 40

// maxCalibration is the largest calibration text that is read again, in bytes.
const maxCalibration = 1 << 30

// Overlaps compares a text with the calibration texts that are recorded in the manifest of
// the artefact in dir. For a checkpoint, or an artefact that needed no calibration, the
// result is empty. A calibration text is read from the path given when the artefact was
// made, if it still has the recorded hash.
func Overlaps(dir, text string) ([]Overlap, error) {
	path := filepath.Join(dir, artefact.ManifestFile)
	data, err := input.ReadFile(path, input.MaxSmall)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var m artefact.Manifest
	if err := input.JSON(data, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if m.Calibration == nil {
		return nil, nil
	}
	hash := TextHash(text)
	var out []Overlap
	for _, s := range m.Calibration.Sources {
		o := Overlap{Source: s.Name, Same: s.SHA256 == hash}
		if o.Same {
			o.Share = 1
			o.Lines = strings.Count(text, "\n") + 1
		} else if known, reason := readSource(s); reason != "" {
			o.Reason = reason
		} else {
			o.Lines, o.Share = sharedLines(text, known)
		}
		out = append(out, o)
	}
	return out, nil
}

// readSource reads a calibration text again.
func readSource(s checkpoint.FileHash) (text, unknown string) {
	if s.Name == calibration.DefaultName {
		if text := calibration.Default(); TextHash(text) == s.SHA256 {
			return text, ""
		}
		return "", "this program embeds another text than the one that wrote the artefact"
	}
	if s.Name == input.PipeName {
		return "", "it came through a pipe and is not kept"
	}
	info, err := input.Stat(s.Name)
	switch {
	case err != nil || !info.Mode().IsRegular():
		return "", "there is no such file now"
	case info.Size() != s.Bytes || info.Size() > maxCalibration:
		return "", "the file of this name is another one now"
	}
	data, err := input.ReadFile(s.Name, maxCalibration)
	if err != nil {
		return "", "it can't be read"
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != s.SHA256 {
		return "", "the file of this name is another one now"
	}
	return string(data), ""
}

// sharedLines counts the long lines of text that are also in known, and returns their
// fraction of the bytes in long lines.
func sharedLines(text, known string) (lines int, share float64) {
	seen := map[string]bool{}
	for line := range bytes.Lines([]byte(known)) {
		if l := bytes.TrimSpace(line); len(l) >= lineBytes {
			seen[string(l)] = true
		}
	}
	var all, common int
	for line := range strings.Lines(text) {
		l := strings.TrimSpace(line)
		if len(l) < lineBytes {
			continue
		}
		all += len(l)
		if seen[l] {
			lines++
			common += len(l)
		}
	}
	if all == 0 {
		return 0, 0
	}
	return lines, float64(common) / float64(all)
}
