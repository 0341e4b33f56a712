package pipeline

import (
	"fmt"
	"os"
	"unsafe"
)

// store holds the input of the current block for every calibration window:
// [windows][tokens × hidden], in memory, or in a file past the memory limit.
type store struct {
	window int // values of a window
	ram    []float32
	file   *os.File
	buffer []float32
}

func newStore(windows, values int, spill string) (*store, error) {
	s := &store{window: values}
	if spill == "" {
		s.ram = make([]float32, windows*values)
		return s, nil
	}
	f, err := os.Create(spill)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(4 * int64(windows) * int64(values)); err != nil {
		f.Close()
		return nil, fmt.Errorf("spilling activations to %s: %w", spill, err)
	}
	s.file, s.buffer = f, make([]float32, values)
	return s, nil
}

// get returns window i; what is changed in it is kept only by put.
func (s *store) get(i int) ([]float32, error) {
	if s.file == nil {
		return s.ram[i*s.window:][:s.window], nil
	}
	_, err := s.file.ReadAt(raw(s.buffer), 4*int64(i)*int64(s.window))
	if err != nil {
		return nil, fmt.Errorf("reading spilled activations: %w", err)
	}
	return s.buffer, nil
}

// set stores window i from memory of its own.
func (s *store) set(i int, x []float32) error {
	if s.file == nil {
		copy(s.ram[i*s.window:][:s.window], x)
		return nil
	}
	return s.put(i, x)
}

// put stores window i, which get has given out.
func (s *store) put(i int, x []float32) error {
	if s.file == nil {
		return nil // changed in place
	}
	if _, err := s.file.WriteAt(raw(x), 4*int64(i)*int64(s.window)); err != nil {
		return fmt.Errorf("spilling activations to %s: %w", s.file.Name(), err)
	}
	return nil
}

// close removes the spill file, if there is one; of nil, nothing.
func (s *store) close() {
	if s == nil {
		return
	}
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}

// raw views x as bytes in this machine's order: only this process reads them.
func raw(x []float32) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))
}
