package main

import "slices"

// A file is written from a template and its data, which a comment at the beginning of the
// template explains. The name is relative to internal/kernel.
type file struct {
	name     string
	template string
	data     any
}

type values = map[string]any

// files are all that are generated, except the declarations (stubs.go).
var files = slices.Concat(floatFiles, floatBlocks, intFiles, kvFiles, kvBlocks, headers)

// headers are included by the assembly of several packages. Each has a copy, because the
// go command does not see changes of a file outside the package that it builds.
var headers = []file{
	{"branch/neon_arm64.h", "neon_arm64.h", nil},
	{"cpu/neon_arm64.h", "neon_arm64.h", nil},
	{"float/neon_arm64.h", "neon_arm64.h", nil},
	{"integer/neon_arm64.h", "neon_arm64.h", nil},
	{"kv/neon_arm64.h", "neon_arm64.h", nil},
	{"float/elem_amd64.h", "elem_amd64.h", nil},
}

// architectures are those with assembly. The text is put at the top of their declarations.
var architectures = map[string]string{
	"amd64": `// The assembly routines. The name ends with the instructions that a routine needs,
// or has them in the middle: AMX for intAMX… and kv…AMX, AVX-512 VNNI for intVNNI…, AVX-VNNI for intAVXVNNI…,
// AVX-512 for …512…, AVX2 for …avx2, …AVX2… and …256…. A routine may be called only
// where the active tier of the package cpu has them. Strides are in bytes unless it is
// said otherwise.
`,
	"arm64": `// The assembly routines. intDot… need the int8 dot product, all others NEON. A routine
// may be called only where the active tier of the package cpu has it. Strides are in
// bytes unless it is said otherwise.
`,
}
