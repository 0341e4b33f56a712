//go:build race

package jinja

// raceFactor is how much slower the race detector may make a rendering.
const raceFactor = 20
