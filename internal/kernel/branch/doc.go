// Package branch computes what a branch adds to a quantized layer: the product of a token
// with a few vectors (project), and the product of that with a matrix of coefficients,
// which is added to the layer's outputs (tiles).
//
//	project          projections on float32 vectors, folded where they are cosines and sines
//	project_stored   on vectors in 16-bit floats
//	byte_project     on vectors in signed bytes with a scale each
//	half_tiles       coefficients in 16-bit floats, by tiles of 16 rows
//	byte_tiles       coefficients in signed bytes, likewise
//	terms            the branches of several matrices that share activations
//
// The package integer adds the tiles to a product while its results are in the cache, with
// the methods Add, AddOne and Pair.
package branch
