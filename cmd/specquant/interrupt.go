package main

import (
	"os"
	"time"

	"github.com/specquant/specquant/internal/calibration"
	"github.com/specquant/specquant/internal/input"
)

// interruptGrace is how long a command may take to end by itself after a signal.
// Whatever it waits for or computes, the program ends then: what it writes is whole
// at every moment, so that this is no worse than a power failure, which it survives.
const interruptGrace = 700 * time.Millisecond

// interruptible runs a command and returns its error, or the context's where the
// command has not ended soon after a signal. It then still runs, and the caller must
// end the program.
func interruptible(e *env, command func() error) error {
	done := make(chan error, 1)
	go func() { done <- command() }()
	select {
	case err := <-done:
		return err
	case <-e.ctx.Done():
	}
	if e.drains.Load() {
		return <-done
	}
	select {
	case err := <-done:
		return err
	case <-time.After(interruptGrace):
	}
	if dir := e.scratch.Load(); dir != nil {
		os.RemoveAll(*dir)
	}
	return e.ctx.Err()
}

// readPipes reads the pipes among calibration texts, which a command may need more
// than once, for as long as it is not interrupted.
func (e *env) readPipes(paths []string) error {
	return input.Preload(e.ctx, calibration.MaxText, paths...)
}
