//go:build !race

package pipeline

// raceDetector says that the tests run with the race detector.
const raceDetector = false
