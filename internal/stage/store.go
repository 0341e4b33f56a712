package stage

import (
	"fmt"
	"hash/crc32"
	"os"
	"unsafe"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/disk"
	"github.com/specquant/specquant/internal/llama"
)

// Store holds activations of every calibration window, such as the input of the current
// block, [windows][values], in memory, or in a file past the memory limit.
type Store struct {
	window int // values of a window
	ram    []float32
	file   *disk.File
	buffer []float32
	sums   []uint32 // CRC-32C of each window in the file
	known  []int    // values of each window that have been written

	row     int      // values of a row, of which each has its own sum; 0: rows are not read
	rowSums []uint32 // CRC-32C of each row in the file
}

// NewRowStore is [NewStore] for windows of which single rows are read, with [Store.Row].
func NewRowStore(windows, rows, width int, spill string) (*Store, error) {
	s, err := NewStore(windows, rows*width, spill)
	if err == nil && s.file != nil {
		s.row, s.rowSums = width, make([]uint32, windows*rows)
	}
	return s, err
}

func NewStore(windows, values int, spill string) (*Store, error) {
	s := &Store{window: values}
	if spill == "" {
		s.ram = make([]float32, windows*values)
		return s, nil
	}
	f, err := disk.OpenFile(spill, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(4 * int64(windows) * int64(values)); err != nil {
		f.Close()
		return nil, fmt.Errorf("spilling activations to %s: %w", spill, err)
	}
	s.file, s.buffer = f, make([]float32, values)
	s.sums, s.known = make([]uint32, windows), make([]int, windows)
	return s, nil
}

// Get returns window i; changes to it are saved only by Put.
func (s *Store) Get(i int) ([]float32, error) {
	if s.file == nil {
		return s.ram[i*s.window:][:s.window], nil
	}
	_, err := s.file.ReadAt(raw(s.buffer), 4*int64(i)*int64(s.window))
	if err != nil {
		return nil, fmt.Errorf("reading spilled activations: %w", err)
	}
	if n := s.known[i]; n > 0 && crc32.Checksum(raw(s.buffer[:n]), castagnoli) != s.sums[i] {
		return nil, s.damaged(i)
	}
	return s.buffer, nil
}

func (s *Store) damaged(i int) error {
	return fmt.Errorf("%s: window %d of the activations is not what was written there: the disk or the memory is damaged; run again, which takes the finished blocks up, with another disk or without --max-memory", s.file.Name(), i)
}

// Row reads row n of window i of a store made by [NewRowStore].
func (s *Store) Row(dst []float32, i, n int) error {
	at := i*s.window + n*len(dst)
	if s.file == nil {
		copy(dst, s.ram[at:])
		return nil
	}
	if _, err := s.file.ReadAt(raw(dst), 4*int64(at)); err != nil {
		return fmt.Errorf("reading spilled activations: %w", err)
	}
	if crc32.Checksum(raw(dst), castagnoli) != s.rowSums[at/s.row] {
		return s.damaged(i)
	}
	return nil
}

// Set stores window i, or the beginning of it, from memory of its own.
func (s *Store) Set(i int, x []float32) error {
	if s.file == nil {
		copy(s.ram[i*s.window:][:s.window], x)
		return nil
	}
	return s.Put(i, x)
}

// Put stores window i, in the memory that Get returned.
func (s *Store) Put(i int, x []float32) error {
	if s.file == nil {
		return nil // changed in place
	}
	if _, err := s.file.WriteAt(raw(x), 4*int64(i)*int64(s.window)); err != nil {
		return fmt.Errorf("spilling activations to %s: %w", s.file.Name(), err)
	}
	s.sums[i], s.known[i] = crc32.Checksum(raw(x), castagnoli), len(x)
	if s.row > 0 {
		sums := s.rowSums[i*s.window/s.row:]
		for n := range len(x) / s.row {
			sums[n] = crc32.Checksum(raw(x[n*s.row:][:s.row]), castagnoli)
		}
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Close removes the spill file, if there is one; s may be nil.
func (s *Store) Close() {
	if s == nil {
		return
	}
	if s.file != nil {
		s.file.Close()
		disk.RemoveFile(s.file.Name())
	}
}

// raw returns x as bytes in this machine's byte order: only this process reads them.
func raw(x []float32) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))
}

// Fill stores the embeddings of the calibration windows, in memory or, if spill is not
// empty, in that file.
func (st *State) Fill(ck *checkpoint.Checkpoint, windows [][]int, spill string) (*Store, error) {
	s, err := NewStore(len(windows), st.Tokens*ck.Config.HiddenSize, spill)
	if err != nil {
		return nil, err
	}
	for i, ids := range windows {
		x, err := s.Get(i)
		if err == nil {
			err = llama.Embed(ck, x, ids)
		}
		if err == nil {
			st.Rotation.Embed(st.Pool, x, len(ids))
			err = st.checkStream(x, "of embeddings", fullModel, i)
		}
		if err == nil {
			err = s.Put(i, x)
		}
		if err != nil {
			s.Close()
			return nil, err
		}
	}
	if t, err := ck.Tensor(EmbedWeight); err == nil {
		t.Release()
	}
	return s, nil
}
