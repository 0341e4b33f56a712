package engine

import (
	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/llama"
)

// largePages is memory in pages of 2 MB for the weights. Every token reads all of them,
// in the 4 kB pages of a mapped file, whose translations the processor then looks up in
// memory: about a seventh of the time of a token.
type largePages struct {
	limit   int64    // bytes that may be taken; 0: none
	regions [][]byte // as the system gave them
	free    []byte   // of the last one
}

// regionBytes is how much address space is asked for at a time. What is not used of it
// takes no memory.
const regionBytes = 64 << 20

// take returns n bytes of zeros in large pages, or nil where there are none to be had.
func (p *largePages) take(n int) []byte {
	n = (n + 63) &^ 63
	if int64(n) > p.limit {
		return nil
	}
	if n > len(p.free) {
		whole, aligned := mapLargePages(max(regionBytes, n))
		if aligned == nil {
			p.limit = 0
			return nil
		}
		p.regions, p.free = append(p.regions, whole), aligned
	}
	p.limit -= int64(n)
	taken := p.free[:n:n]
	p.free = p.free[n:]
	return taken
}

// close gives the memory back.
func (p *largePages) close() {
	for _, r := range p.regions {
		unmapPages(r)
	}
	*p = largePages{}
}

// allowLargePages makes room for a model of so many bytes, if that is not more than half
// of the machine's memory: mapped files need none that others can't have.
func (m *Model) allowLargePages(bytes int64) {
	if bytes <= machineMemory()/2 {
		m.pages.limit = 2 * bytes // a GGUF file's weights may take more bytes in the kernels' layout
	}
}

// settle moves the integers of layers, which are about to be made ready, from the mapped
// file to large pages.
func (m *Model) settle(layers []*artefact.Linear) {
	for _, l := range layers {
		n := len(l.Tiles)
		to := m.pages.take(n)
		if to == nil || n == 0 {
			continue
		}
		const part = 16 << 20 // bytes that are in memory twice
		for from := 0; from < n; from += part {
			end := min(n, from+part)
			copyPieces(m.pool, to[from:end], l.Tiles[from:end])
			if n > part {
				m.Checkpoint.Release()
			}
		}
		l.Tiles = to[:n:n]
	}
}

// copyPieces copies src to dst, which is as long, with all threads.
func copyPieces(p *kernel.Pool, dst, src []byte) {
	const piece = 1 << 20
	p.Run((len(src)+piece-1)/piece, func(i int) {
		copy(dst[i*piece:], src[i*piece:min(len(src), (i+1)*piece)])
	})
}

// dropBlock takes the mapped pages of block i out of memory.
func (m *Model) dropBlock(i int) {
	prefix := llama.TensorPrefix(i)
	for _, name := range m.Checkpoint.Names() {
		if len(name) > len(prefix) && name[:len(prefix)] == prefix {
			if t, err := m.Checkpoint.Tensor(name); err == nil {
				t.Release()
			}
		}
	}
}
