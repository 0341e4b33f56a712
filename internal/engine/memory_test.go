package engine

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/testmodel"
)

// A context or a batch that this machine's memory can't hold is refused before any of
// it is asked for, with the bytes.
func TestMemory(t *testing.T) {
	dir := t.TempDir() + "/m"
	if err := testmodel.Write(dir, testmodel.Options{Layers: 2}); err != nil {
		t.Fatal(err)
	}
	m, err := Open(dir, Options{Context: 64})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	each := m.tokenBytes()
	old := machineMemory
	defer func() { machineMemory = old }()
	machineMemory = func() int64 { return 32 * each }
	var memory *MemoryError
	if _, err := Open(dir, Options{Context: 33}); !errors.As(err, &memory) || memory.Bytes != 33*each || !strings.Contains(err.Error(), "a context of 33 tokens takes") {
		t.Error(err)
	}
	if ok, err := Open(dir, Options{Context: 32}); err != nil {
		t.Error(err)
	} else {
		ok.Close()
	}
	emit := func(int, int, []float32) error { return nil }
	var steps []Step
	for range 4 {
		steps = append(steps, Step{Seq: m.NewSequence(), IDs: make([]int, 9)})
	}
	if err := m.Forward(t.Context(), steps, emit); !errors.As(err, &memory) || !strings.Contains(err.Error(), "a batch of 4 sequences with 36 tokens") {
		t.Error(err)
	}
	if err := m.Forward(t.Context(), steps[:3], emit); err != nil {
		t.Error(err)
	}
	if err := m.checkMemory(math.MaxInt, "all"); !errors.As(err, &memory) || memory.Bytes != math.MaxInt64 {
		t.Error(err)
	}
	machineMemory = func() int64 { return 0 } // not known
	if err := m.checkMemory(math.MaxInt, "all"); err != nil {
		t.Error(err)
	}
}
