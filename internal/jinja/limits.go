package jinja

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrLimit is in every error that says a template went over a limit.
var ErrLimit = errors.New("the chat template does too much")

// Limits bound a rendering. A zero field takes its default.
type Limits struct {
	Steps  int           // expressions and statements evaluated, elements gone through
	Output int           // bytes of the prompt, and of any one text on the way
	Text   int           // bytes of all texts made on the way, together
	Time   time.Duration // wall clock
}

// maxDepth bounds how deep expressions, blocks and calls may be nested, and maxSource
// the bytes of a template. Real ones stay under 20 and 64 KiB.
const (
	maxDepth  = 100
	maxSource = 1 << 20
)

// maxEval bounds how deep expressions, blocks and macros may call each other while
// they are evaluated.
const maxEval = 4000

// withDefaults fills in what is not set, for a conversation of input bytes: a long
// conversation may cost more than a short one.
func (l Limits) withDefaults(input int) Limits {
	set := func(v *int, base, perByte int) {
		if *v <= 0 {
			*v = base + perByte*input
		}
	}
	set(&l.Steps, 500_000, 8)
	set(&l.Output, 2<<20, 8)
	set(&l.Text, 32<<20, 64)
	if l.Time <= 0 {
		l.Time = 900*time.Millisecond + time.Duration(input)*time.Microsecond
	}
	return l
}

// budget counts what a rendering has used.
type budget struct {
	ctx    context.Context
	limits Limits
	steps  int
	bytes  int
	next   int // steps at which the clock is looked at again
	start  time.Time
	depth  int
}

// step counts n steps.
func (b *budget) step(n int) error {
	if n < 0 || n > b.limits.Steps-b.steps {
		return fmt.Errorf("%w: more than %d steps", ErrLimit, b.limits.Steps)
	}
	b.steps += n
	if b.steps >= b.next {
		b.next = b.steps + 256
		return b.clock()
	}
	return nil
}

func (b *budget) clock() error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	if time.Since(b.start) > b.limits.Time {
		return fmt.Errorf("%w: more than %v", ErrLimit, b.limits.Time)
	}
	return nil
}

// made counts a text of n bytes that is about to be made.
func (b *budget) made(n int) error {
	if n < 0 || n > b.limits.Output {
		return fmt.Errorf("%w: a text of more than %d bytes", ErrLimit, b.limits.Output)
	}
	if n > b.limits.Text-b.bytes {
		return fmt.Errorf("%w: more than %d bytes of text on the way", ErrLimit, b.limits.Text)
	}
	b.bytes += n
	return b.step(1 + n/1024)
}

// enter counts one level of nesting; leave takes it back.
func (b *budget) enter() error {
	if b.depth++; b.depth > maxEval {
		return fmt.Errorf("%w: calls nested more than %d deep", ErrLimit, maxEval)
	}
	return nil
}

func (b *budget) leave() { b.depth-- }
