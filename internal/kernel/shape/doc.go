// Package shape has what kernels need to know about sizes: checks that a matrix lies within
// its memory, and small arithmetic.
package shape
