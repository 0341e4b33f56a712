package jinja

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/specquant/specquant/internal/plural"
)

// ErrLimit is wrapped by every error about a template that exceeds a limit.
var ErrLimit = errors.New("the chat template does too much")

// Limits bound a rendering. A zero field takes its default.
type Limits struct {
	Steps  int           // expressions and statements evaluated, and elements iterated over
	Output int           // bytes of the prompt, and of each single text made on the way
	Text   int           // bytes of all texts made on the way, together
	Time   time.Duration // wall clock
}

// maxDepth is the deepest nesting of expressions, blocks and calls, and maxSource the size of a
// template in bytes. Real templates stay below 20 and 64 KiB.
const (
	maxDepth  = 100
	maxSource = 1 << 20
)

// maxEval is the deepest nesting of expressions, blocks and macros while they are evaluated.
const maxEval = 4000

// withDefaults fills in the fields that are 0. The defaults grow with the size of the
// conversation, input in bytes.
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
	next   int // number of steps at which the time is checked next
	start  time.Time
	depth  int
}

// step counts n steps.
func (b *budget) step(n int) error {
	if n < 0 || n > b.limits.Steps-b.steps {
		return fmt.Errorf("%w: more than %s", ErrLimit, plural.Of(b.limits.Steps, "step"))
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

// made counts a text of n bytes before it is made.
func (b *budget) made(n int) error {
	if n < 0 || n > b.limits.Output {
		return fmt.Errorf("%w: a text of more than %s", ErrLimit, plural.Of(b.limits.Output, "byte"))
	}
	if n > b.limits.Text-b.bytes {
		return fmt.Errorf("%w: more than %s of text on the way", ErrLimit, plural.Of(b.limits.Text, "byte"))
	}
	b.bytes += n
	return b.step(1 + n/1024)
}

// enter counts one more level of nesting; leave one less.
func (b *budget) enter() error {
	if b.depth++; b.depth > maxEval {
		return fmt.Errorf("%w: calls nested more than %d deep", ErrLimit, maxEval)
	}
	return nil
}

func (b *budget) leave() { b.depth-- }
