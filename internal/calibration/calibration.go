// Package calibration turns text into the windows of tokens on which calibration statistics
// are gathered.
package calibration

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

//go:embed default.txt
var defaultText string

// DefaultName names the embedded text in lists of sources.
const DefaultName = "(embedded calibration text)"

// Default is the text used if the caller gives none: 207 kB, written for this project. It
// is broad on purpose, because fitting to one kind of text makes the model worse on others.
// About 190 short sections, neighbours always of different kinds, are stories, articles,
// chats in the formats of several model families, source code in many languages, web pages,
// and prose in twenty languages. The two blank lines between sections have no special
// meaning to the program.
func Default() string { return defaultText }

// minTokens is the smallest number of calibration tokens that is accepted.
const minTokens = 256

// holdOut: every tenth window is held out.
const holdOut = 10

// MaxText is the largest size of one calibration file in bytes.
const MaxText = 1 << 30

// Encoder is the part of a tokenizer that calibration needs.
type Encoder interface {
	Encode(text string, addSpecial bool) ([]int, error)
}

// Text is a calibration text and where it comes from.
type Text struct {
	Source checkpoint.FileHash
	Text   string
}

// ReadFiles reads text files or pipes; it waits for pipes until ctx ends. Without files it
// returns the default text.
func ReadFiles(ctx context.Context, files []string) ([]Text, error) {
	if len(files) == 0 {
		sum := sha256.Sum256([]byte(defaultText))
		return []Text{{checkpoint.FileHash{Name: DefaultName, Bytes: int64(len(defaultText)), SHA256: hex.EncodeToString(sum[:])}, defaultText}}, nil
	}
	var out []Text
	for _, f := range files {
		text, err := input.ReadText(ctx, f, MaxText)
		if err != nil {
			return nil, fmt.Errorf("calibration text: %w", err)
		}
		data, name := text.Data, f
		if text.Pipe {
			name = input.PipeName
		}
		if len(data) == 0 {
			return nil, fmt.Errorf("calibration text %s: is empty", f)
		}
		if !utf8.Valid(data) {
			return nil, fmt.Errorf("calibration text %s: is not UTF-8; convert it to UTF-8", f)
		}
		sum := sha256.Sum256(data)
		out = append(out, Text{checkpoint.FileHash{Name: name, Bytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}, string(data)})
	}
	return out, nil
}

// Set is the calibration windows, all of the same length.
type Set struct {
	Sources []checkpoint.FileHash
	Windows [][]int // used for statistics and fitting
	HeldOut [][]int // never fitted on: the result is judged on these
	Tokens  int     // in each window
	Hash    string  // sha256 of all ids as little-endian uint32
}

// NewSet encodes the texts, one after the other, and takes up to `samples` windows of
// `tokens` tokens that do not overlap: all of them if there are no more, otherwise a random
// choice by seed, kept in the order of the text. Every tenth window is held out, at most
// samples/9 of them (but one is allowed). A text shorter than one window makes one shorter
// window; fewer than 256 tokens, if that is less than a window, is an error.
func NewSet(enc Encoder, texts []Text, samples, tokens int, seed uint64) (*Set, error) {
	if samples < 1 || tokens < 1 {
		return nil, fmt.Errorf("calibration on %s of %s: expected at least 1 window of 1 token", plural.Of(samples, "window"), plural.Of(tokens, "token"))
	}
	s := &Set{Tokens: tokens}
	var ids []int
	for _, t := range texts {
		s.Sources = append(s.Sources, t.Source)
		more, err := enc.Encode(t.Text, true)
		if err != nil {
			return nil, fmt.Errorf("calibration text %s: %w", t.Source.Name, err)
		}
		ids = append(ids, more...)
	}
	if len(ids) < min(tokens, minTokens) {
		return nil, fmt.Errorf("the calibration text has only %s, expected at least %d; give a longer one, 100 kB or more", plural.Of(len(ids), "token"), min(tokens, minTokens))
	}
	s.Tokens = min(tokens, len(ids))
	var order, held []int
	for i := range len(ids) / s.Tokens {
		if i%holdOut == holdOut-1 {
			held = append(held, i)
		} else {
			order = append(order, i)
		}
	}
	if most := max(1, samples/(holdOut-1)); len(held) > most {
		held = held[:most]
	}
	for _, w := range held {
		s.HeldOut = append(s.HeldOut, slices.Clone(ids[w*s.Tokens:][:s.Tokens])) // the other ids are garbage: a text may have millions
	}
	if len(order) > samples {
		rng := rand.New(rand.NewPCG(seed, 0x5045435155414e54))
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		order = order[:samples]
		slices.Sort(order)
	}
	h := sha256.New()
	var b [4]byte
	for _, w := range order {
		window := slices.Clone(ids[w*s.Tokens:][:s.Tokens])
		s.Windows = append(s.Windows, window)
		for _, id := range window {
			binary.LittleEndian.PutUint32(b[:], uint32(id))
			h.Write(b[:])
		}
	}
	s.Hash = hex.EncodeToString(h.Sum(nil))
	return s, nil
}
