// Package cpu knows the machine. tier.go says which instruction sets the CPU has and which
// of them are in use. limits.go measures the highest speed of its arithmetic and its memory,
// which the speed of kernels is compared with.
package cpu
