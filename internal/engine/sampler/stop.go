package sampler

import (
	"fmt"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// Limits on stop strings: their number and the bytes of one.
const (
	MaxStops    = 64
	MaxStopText = 1024
)

// Stops looks for texts at which generation ends, across tokens: text that may be the
// beginning of one is held back until it is known whether it is.
type Stops struct {
	texts   []string
	pending string
}

// NewStops looks for the first of texts.
func NewStops(texts []string) (*Stops, error) {
	if len(texts) > MaxStops {
		return nil, fmt.Errorf("%s: expected at most %d", plural.Of(len(texts), "stop string"), MaxStops)
	}
	for _, s := range texts {
		if s == "" || len(s) > MaxStopText {
			return nil, fmt.Errorf("a stop string of %s: expected 1 to %d", plural.Of(len(s), "byte"), MaxStopText)
		}
	}
	return &Stops{texts: texts}, nil
}

// Push takes text as it comes and gives what is safe to show. stop is the stop string
// that ends the text, "" while there is none; it is not shown. Where several are
// found, the one that begins first counts, and of those the longest.
func (s *Stops) Push(text string) (show, stop string) {
	s.pending += text
	at := -1
	for _, t := range s.texts {
		k := strings.Index(s.pending, t)
		if k >= 0 && (at < 0 || k < at || k == at && len(t) > len(stop)) {
			at, stop = k, t
		}
	}
	if at < 0 {
		at = len(s.pending) - s.held()
		show, s.pending = s.pending[:at], s.pending[at:]
		return show, ""
	}
	show, s.pending = s.pending[:at], ""
	return show, stop
}

// held is the length of the longest end of the pending text that a stop string begins
// with.
func (s *Stops) held() int {
	longest := 0
	for _, t := range s.texts {
		for n := min(len(t)-1, len(s.pending)); n > longest; n-- {
			if strings.HasSuffix(s.pending, t[:n]) {
				longest = n
				break
			}
		}
	}
	return longest
}

// Flush gives what is held back, when the text ends otherwise.
func (s *Stops) Flush() string {
	rest := s.pending
	s.pending = ""
	return rest
}
