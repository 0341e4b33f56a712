package kernel

// The assembly kernels that are one loop in variants, and what belongs to them in
// Go, are written by the program in _gen, a module of its own.
//
//go:generate go run -C _gen .
