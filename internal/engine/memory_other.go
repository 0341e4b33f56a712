//go:build !linux

package engine

// machineMemory is the memory in bytes that this process may have; not known here.
var machineMemory = func() int64 { return 0 }
