// Package shape has what the kernels share: checks that matrices lie within their memory,
// and small arithmetic on sizes.
package shape
