package main

import "slices"

// A file is written from a template with data. See each template for what its data
// mean.
type file struct {
	name     string
	template string
	data     any
}

type values = map[string]any

// files lists what is generated, besides the declarations.
var files = slices.Concat(floatFiles, intFiles, kvFiles)

// architectures are those with assembly, and what is to be said of its routines.
var architectures = map[string]string{
	"amd64": `// The assembly routines. The name ends with the instructions that a routine needs,
// or has them in the middle: [AVX512VNNI] for intVNNI…, [AVXVNNI] for intAVXVNNI…,
// [AVX512] for …512…, [AVX2] for …avx2, …AVX2… and …256…. A routine may be called only
// where the active tier has them. Strides are in bytes unless it is said otherwise.
`,
	"arm64": `// The assembly routines. intDot… need [NEONDot], all others [NEON]. A routine may be
// called only where the active tier has it. Strides are in bytes unless it is said
// otherwise.
`,
}
