package main

// The variants of the kernels. To add one, add it to its list here: the kernel, its
// declaration and the function that chooses among the kernels follow.

// The integer kernels: numbers of tokens, and bits of the weights.
var (
	tokensGroup = []int{12, 8, 4, 2, 1} // two row tiles for 2 tokens or more; tokens in groups of channels
	tokensVNNI  = []int{8, 4, 2, 1}     // likewise; for 12 there are kernels for one row tile
	tokens256   = []int{4, 2, 1}
	tokensNEON  = []int{4, 2, 1}

	byteBits  = []int{4, 8} // not in bit planes
	nibbles   = []int{4}    // indices into a table of levels
	planeBits = []int{2, 3, 5, 6, 7}
	allBits   = []int{2, 3, 4, 5, 6, 7, 8}

	// Weights whose groups' scales may be multiples of their row's.
	multipleBits = []int{2, 3, 4, 5, 6, 7}

	// Weights that are multiplied with float tokens as they are stored; others are
	// unpacked to bytes first.
	floatBits       = []int{2, 3, 4, 8}
	floatTokens512  = []int{4, 2, 1}
	floatTokens256  = []int{2, 1}
	floatTokensNEON = []int{1, 2}
)

// The kernels of AMX: see int_amx_amd64.tmpl.
var kernelsAMX = []struct {
	Name string
	Fine bool
}{
	{"intAMXPair16", false},
	{"intAMXFinePair16", true},
}

// Those for one row tile.
var kernelsAMXOne = []struct {
	Name   string
	Tokens int
	Fine   bool
}{
	{"intAMX16", 16, false},
	{"intAMX8", 8, false},
	{"intAMXFine16", 16, true},
	{"intAMXFine8", 8, true},
}

// multiplesVNNI are the kernels for weights whose groups' scales are multiples of their row's: see
// int_vnni_multiples_amd64.tmpl.
func multiplesVNNI() (list []values) {
	for _, half := range []bool{false, true} {
		name := "intVNNIMultiples"
		if half {
			name += "Half"
		}
		for _, bits := range multipleBits {
			for _, tokens := range tokensVNNI {
				list = append(list, values{"Name": name, "Bits": bits, "Tokens": tokens, "Half": half})
			}
		}
	}
	return list
}

// kernels are bits of weights, each with the same numbers of tokens.
type kernels struct{ Bits, Tokens []int }

// The register kernels of dense products: rows of their tiles. With a b of 16-bit floats
// there are often three: the query heads of a kv head.
var (
	heights512     = []int{12, 8, 4, 2, 1}
	heights256     = []int{6, 4, 2, 1}
	heightsNEON    = []int{1, 2, 4, 6}
	heightsHalf512 = []int{12, 8, 4, 3, 2, 1}
	heightsHalf256 = []int{6, 4, 3, 2, 1}
)

// An element is a type of stored numbers: how names spell it, what loads it as
// float32, and its bytes.
type element struct {
	Name, Load string
	Bytes      int
}

// Stored types that transpositions widen, and dense products of few rows: the types
// of b. Then the rows of a in those.
var (
	storedTypes = []element{{"f32", "LOADF32", 4}, {"f16", "LOADF16", 2}, {"bf16", "LOADBF16", 2}}
	narrow512   = []int{1, 2, 4}
	narrow256   = []int{1, 2}
)

// The tiles of a branch: numbers of tokens.
var (
	halfTokens512  = []int{1, 4, 8, 12}
	byteTokens512  = []int{1, 4, 8} // two tiles and 12 tokens are a routine of their own
	tileTokens256  = []int{1, 4}
	tileTokensNEON = []int{1, 4}
)

// A shape is what a kernel of attention takes: rows of queries or weights, and
// positions (scores) or dimensions (values).
type shape struct{ Rows, Dims int }

var (
	kvScore512   = []shape{{8, 32}, {4, 64}, {2, 64}, {1, 64}}
	kvCombine512 = []shape{{8, 32}, {4, 32}, {2, 32}, {1, 64}, {1, 32}}
	kvScore256   = []shape{{4, 16}, {1, 32}} // NEON too, where the routines are by hand
	kvCombine256 = []shape{{4, 16}, {1, 32}}

	// Caches of integers. With AVX2 a routine for 16 positions may take 8 and 8.
	kvIntCombine512 = []shape{{4, 32}, {2, 32}, {1, 64}, {1, 32}}
	kvIntScore256   = []shape{{4, 8}, {1, 16}}
	kvIntCombine256 = []shape{{4, 8}, {1, 16}}
	kvIntNarrow     = []shape{{4, 16}, {1, 16}} // and with NEON
)

// The matrices of signs: Paley's, of orders that widths of models have as a factor.
var signedMatrices = []signedMatrix{
	paley(11, 11, ""), paley(17, 17, ""), paley(19, 19, ""), paley(27, 3, squares27), paley(37, 37, ""), paley(43, 43, ""),
}

// squares27 tells the squares of the field of 27 elements from the others: see paley. The field's
// elements are numbered as package linalg does it.
const squares27 = "++----++++-+++-++---+-+--+-"
