package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/input"
	"golang.org/x/term"
)

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// newTable returns a table in the style of all commands: without changing the case of headers.
func newTable() table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	return t
}

// size is a number of bytes on the command line, such as 16GB or 500MiB.
type size int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *size) UnmarshalText(text []byte) error {
	n, err := input.Size(string(text))
	*s = size(n)
	return err
}

// bytesText writes a number of bytes for people.
func bytesText(n int64) string { return input.SizeText(n) }

// durationText writes a duration for people.
func durationText(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	default:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
}

// spanText writes a range of durations in one unit, rounded to the precision with which it is
// known.
func spanText(least, most time.Duration) string {
	unit, name := time.Second, "s"
	switch {
	case most >= 2*time.Hour:
		unit, name = time.Hour, "h"
	case most >= 2*time.Minute:
		unit, name = time.Minute, "min"
	}
	number := func(d time.Duration) string {
		v := float64(d) / float64(unit)
		if v < 9.95 && unit != time.Minute {
			return fmt.Sprintf("%.1f", v)
		}
		return fmt.Sprintf("%.0f", v)
	}
	a, b := number(least), number(most)
	switch {
	case a == b:
		return a + " " + name
	case a == "0" || a == "0.0":
		return "at most " + b + " " + name
	}
	return a + " to " + b + " " + name
}

// estimateText writes a mean and its standard error, both multiplied by scale, in a format such
// as %.4f. If the error is not known, as for a single value, it says so.
func estimateText(v specquant.Estimate, scale float64, format string) string {
	text := fmt.Sprintf(format, scale*v.Mean)
	if math.IsNaN(v.StdErr) {
		return text + " ± unknown"
	}
	return text + " ± " + fmt.Sprintf(strings.ReplaceAll(format, "+", ""), scale*v.StdErr)
}
