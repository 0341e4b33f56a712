// Package parallel shares work among threads. pool.go has the pool of threads, which take
// chunks of work from one counter; streams.go gives each thread a contiguous range of chunks,
// for work that reads much memory; chunk.go says how much work a chunk should have.
package parallel
