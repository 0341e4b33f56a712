// Package parallel shares work out among threads: a pool of them, and how much work is
// worth handing to one. pool.go hands out chunks from one counter, streams.go gives each
// thread a contiguous range of memory.
package parallel
