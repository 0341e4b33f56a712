// Package branch computes what a branch adds to a quantized layer. A branch is a product
// with two thin matrices: a token x is first multiplied with a few vectors (its projection
// z), and z then with a matrix of coefficients, whose product is added to the layer's
// outputs.
//
//	project          z for vectors of float32; cosines and sines take a quarter of the work
//	project_stored   z for vectors that are stored in 16-bit floats
//	byte_project     z for vectors that are stored in signed bytes, with a scale each
//	half_tiles       coefficients in 16-bit floats, in tiles of 16 output rows
//	byte_tiles       coefficients in signed bytes, in the same tiles
//	terms            the branches of several matrices that share activations
//
// calls_* choose the assembly routine for the active tier, fold_* those for cosines and
// sines. The package integer calls the methods Add, AddOne and Pair of the tiles for each
// part of its product, while that part is still in the processor's cache.
package branch
