package main

import "strings"

// A vector is a routine for whole blocks of vectors, and the Go function that calls it on
// the active tier: see blocks.tmpl.
type vector struct {
	Name       string // of the function, without Blocks
	Routine    string // its name in the assembly, without what the tier adds
	Parameters string // of the function, in Go; those with a slice are vectors
	Result     string // the routine's type; "" if it has none
	Whole      bool   // the routine does all of the work, or none where the tier lacks it
	tiers      []vectorTier
}

// A vectorTier says that a tier (a constant of the package cpu) has a routine, what the
// routine's name ends with, and how many numbers are a block of it.
type vectorTier struct {
	Arch, Tier, Suffix string
	Block              int
}

var (
	avx512, avx2, neon = vectorTier{"amd64", "AVX512", "avx512", 16}, vectorTier{"amd64", "AVX2", "avx2", 16}, vectorTier{"arm64", "NEON", "NEON", 16}

	everywhere = []vectorTier{avx512, avx2, neon}
	onlyAMD64  = []vectorTier{avx512, avx2}
	only512    = []vectorTier{avx512}
	eights     = []vectorTier{avx512, {"amd64", "AVX2", "avx2", 8}, {"arm64", "NEON", "NEON", 8}}
)

// TiersOf lists an architecture's tiers with the routine, the highest first.
func (v vector) TiersOf(arch string) []vectorTier {
	var list []vectorTier
	for _, t := range v.tiers {
		if t.Arch == arch {
			list = append(list, t)
		}
	}
	return list
}

// First is the name of the first vector.
func (v vector) First() string {
	for _, p := range strings.Split(v.Parameters, ", ") {
		if name, typ, ok := strings.Cut(p, " "); ok && strings.HasPrefix(typ, "[]") {
			return name
		}
	}
	panic(v.Name + ": no vector")
}

// Arguments are what the routine is called with, before the number of blocks: the
// addresses of vectors, and other parameters as they are.
func (v vector) Arguments() string {
	var list []string
	for _, p := range strings.Split(v.Parameters, ", ") {
		name, typ, _ := strings.Cut(p, " ")
		if strings.HasPrefix(typ, "[]") {
			name = "unsafe.Pointer(unsafe.SliceData(" + name + "))"
		}
		list = append(list, name)
	}
	return strings.Join(list, ", ")
}

// blockFiles are the functions of a package for each architecture, and for the others.
func blockFiles(pkg string, functions ...vector) []file {
	var list []file
	for _, arch := range []string{"amd64", "arm64", ""} {
		name := arch
		if arch == "" {
			name = "other"
		}
		list = append(list, file{pkg + "/blocks_" + name + ".go", "blocks.tmpl", values{"Package": pkg, "Arch": arch, "Functions": functions}})
	}
	return list
}

var floatBlocks = blockFiles("float",
	vector{"exp", "exp", "x []float32", "", false, everywhere},
	vector{"maxScaled", "maxScaled", "x []float32, scale float32", "float32", false, everywhere},
	vector{"expSum", "expSum", "x []float32, scale float32, top float32, lanes *[16]float64", "", false, everywhere},
	vector{"normalize", "normalize", "x []float32, inv float32", "", false, everywhere},
	vector{"swiglu", "swiglu", "gate []float32, up []float32", "", false, everywhere},
	vector{"swigluRows", "swigluRows", "dst []float32, next int, gate []float32, up []float32, blocks int, rows int", "", true, onlyAMD64},
	vector{"add", "add", "x []float32, y []float32", "", false, everywhere},
	vector{"mulScaled", "mulScaled", "dst []float32, x []float32, weight []float32, scale float32", "", false, everywhere},
	vector{"rope", "rope", "lo []float32, hi []float32, cos []float32, sin []float32", "", false, everywhere},

	vector{"addWide", "addWide", "sums []float64, x []float32", "", false, onlyAMD64},
	vector{"maxMagnitude", "maxMagnitude", "top []float32, x []float32", "", false, onlyAMD64},
	vector{"copyLines", "copyLines", "dst []byte, src []byte, next int, rows int", "", true, only512},

	vector{"sumSquares", "sumSquares", "x []float32", "float64", false, everywhere},
	vector{"axpy", "axpy", "y []float32, a float32, x []float32", "", false, everywhere},
	vector{"axpyF16", "axpyF16", "y []float32, a float32, x []uint16", "", false, everywhere},

	vector{"f16ToF32", "f16tof32", "dst []float32, src []uint16", "", false, eights},
	vector{"f16BytesToF32", "f16tof32", "dst []float32, src []byte", "", false, eights},
	vector{"bf16BytesToF32", "bf16tof32", "dst []float32, src []byte", "", false, eights},
	vector{"f32ToF16", "f32tof16", "dst []uint16, src []float32", "", false, eights},
	vector{"roundF16", "roundf16", "dst []float32, src []float32", "", false, eights},

	vector{"gridError", "gridError", "w []float32, d []float32, g *GridStep, inv float32, lanes *[gridLanes]float32", "", false, onlyAMD64},
	vector{"gridRound", "gridRound", "q []int8, w []float32, g *GridStep", "", false, onlyAMD64},
	vector{"gridValues", "gridValues", "dst []float32, q []int8, g *GridStep", "", false, onlyAMD64},
	vector{"gridRoundEach", "gridRoundEach", "q []int8, e []float32, w []float32, scale []float32, shift []float32, g *GridStep, share float32", "", false, onlyAMD64},
	vector{"gridTurn", "gridTurn", "q []int8, e []float32, gradient []float32, change []float32, scale []float32, shift []float32, g *GridStep, h float32", "int", false, onlyAMD64},

	vector{"hadamard16", "hadamard16", "x []float32, scale float32", "", false, everywhere},
	vector{"hadamard32", "hadamard32", "dst []float32, src []float32, scale float32, blocks int", "", true, only512},
	vector{"hadamard64", "hadamard64", "dst []float32, src []float32, scale float32, blocks int", "", true, only512},
	vector{"hadamard128", "hadamard128", "dst []float32, src []float32, scale float32, blocks int", "", true, only512},
	vector{"hadamardColumns", "hadamardColumns", "dst []float32, src []float32, scale float32, columns int", "", true, only512},
	vector{"columnsToRows", "columnsToRows", "dst []float32, src []float32, columns int", "", true, only512},
	vector{"hadamard2", "hadamard2", "x []float32, h int, groups int", "", true, everywhere},
	vector{"hadamard4", "hadamard4", "x []float32, h int, groups int", "", true, everywhere},
	vector{"paleyPairs", "paleyPairs", "dst []float32, x []float32, w int, groups int", "", true, everywhere},
	vector{"scale", "scale16", "x []float32, scale float32", "", false, everywhere},
)

var kvBlocks = blockFiles("kv",
	vector{"kvShift", "kvShift", "dst []float32, x []float32, by float32", "", false, everywhere},
)
