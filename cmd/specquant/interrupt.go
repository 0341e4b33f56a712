package main

import (
	"os"
	"time"

	"github.com/specquant/specquant/internal/calibration"
	"github.com/specquant/specquant/internal/input"
)

// interruptGrace is how long a command may take to end by itself after a signal.
// After that the program ends, whatever it waits for or computes. This is safe because files
// are replaced atomically, so that it is no worse than a power failure.
const interruptGrace = 700 * time.Millisecond

// interruptible runs a command and returns its error, or the context's error if the command has
// not ended soon after a signal. In that case it still runs, and the caller must end the
// program.
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

// readPipes reads the pipes among the calibration texts into memory, because a command may need
// them more than once.
func (e *env) readPipes(paths []string) error {
	return input.Preload(e.ctx, calibration.MaxText, paths...)
}
