// Package cpu knows the machine: tier.go which instruction sets the CPU has and which of
// them kernels use, limits.go the highest speed of its arithmetic and memory, to compare
// the speed of kernels with.
package cpu
