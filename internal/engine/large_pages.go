package engine

import (
	"unsafe"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
)

// largePages is memory in pages of 2 MB for the weights. Every token reads all weights. In the
// 4 kB pages of a mapped file, looking up the address translations takes about a seventh of a
// token's time.
type largePages struct {
	limit   int64    // the most bytes to allocate; 0: none
	regions [][]byte // as mapped by the system
	free    []byte   // unused part of the last region
}

// regionBytes is the address space that is mapped at a time. Unused parts take no memory.
const regionBytes = 64 << 20

// take returns n zero bytes in large pages, or nil if there are none.
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

// close unmaps the memory.
func (p *largePages) close() {
	for _, r := range p.regions {
		unmapPages(r)
	}
	*p = largePages{}
}

// allowLargePages allows large pages for a model of so many bytes, if that is at most half of
// the machine's memory. (Unlike them, the pages of mapped files can be evicted when other
// programs need memory.)
func (m *Model) allowLargePages(bytes int64) {
	if bytes <= machineMemory()/2 {
		m.pages.limit = 2 * bytes // a GGUF file's weights can take more bytes in the kernels' layout
	}
}

// settle moves the integers, scales and multiples of layers from the mapped file to large pages, before the layers
// are prepared.
func (m *Model) settle(layers []*artefact.Linear) {
	for _, l := range layers {
		n := len(l.Tiles)
		to := m.pages.take(n)
		if to == nil || n == 0 {
			continue
		}
		const part = 16 << 20 // bytes that are copied at a time, which are in memory twice
		for from := 0; from < n; from += part {
			end := min(n, from+part)
			copyPieces(m.pool, to[from:end], l.Tiles[from:end])
			if n > part && m.Checkpoint != nil { // nil: a random model
				m.Checkpoint.Release()
			}
		}
		l.Tiles = to[:n:n]
		if to := m.pages.take(2 * len(l.Scales)); to != nil && len(l.Scales) > 0 {
			scales := unsafe.Slice((*uint16)(unsafe.Pointer(&to[0])), len(l.Scales))
			copy(scales, l.Scales)
			l.Scales = scales
		}
		if n := len(l.Multiples); n > 0 {
			if to := m.pages.take(n); to != nil {
				copy(to, l.Multiples)
				l.Multiples = to[:n:n]
			}
		}
	}
}

// copyPieces copies src to dst, of the same length, with all threads.
func copyPieces(p *parallel.Pool, dst, src []byte) {
	const piece = 1 << 20
	p.Run((len(src)+piece-1)/piece, func(i int) {
		copy(dst[i*piece:], src[i*piece:min(len(src), (i+1)*piece)])
	})
}

// dropBlock releases the mapped pages of block i.
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
