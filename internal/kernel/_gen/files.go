package main

import "strings"

// A file is written from a template with data.
type file struct {
	name     string
	template string
	data     any
}

// An element is a type of stored numbers: how names spell it, the macro that
// loads it as float32, and its bytes.
type element struct {
	Name, Load string
	Bytes      int
}

// kernels are the bits of weights and, for each, the numbers of tokens.
type kernels struct{ Bits, Tokens []int }

// A family of integer kernels is called through one Go function: see int_calls.tmpl.
type family struct {
	Name, Doc, Parameters, Arguments, Format string
	Width                                    bool
	Kernels                                  []kernels
}

func call(name, doc, format string, list ...kernels) family {
	return family{name, doc, "args *intArgs", "args", format, true, list}
}

type values = map[string]any

// The numbers of tokens that kernels take, and the bits of weights in planes.
var (
	tokensVNNI = []int{12, 8, 4, 2, 1}
	tokens256  = []int{4, 2, 1}
	tokensNEON = []int{4, 2, 1}
	allBits    = []int{2, 3, 4, 5, 6, 7, 8}
	floatBits  = []int{2, 3, 4, 8} // of weights that are multiplied with float tokens
	planeBits  = []int{2, 3, 5, 6, 7}
)

// The rows of the tiles of the register kernels.
var (
	heights512  = []int{12, 8, 4, 2, 1}
	heights256  = []int{6, 4, 2, 1}
	heightsNEON = []int{1, 2, 4, 6}
)

// The products of few rows: the types of b, and the rows of a that a kernel takes.
var (
	narrowTypes = []element{{"f32", "LOADF32", 4}, {"f16", "LOADF16", 2}, {"bf16", "LOADBF16", 2}}
	narrow512   = []int{1, 2, 4}
	narrow256   = []int{1, 2}
)

// A shape is what a kernel of attention takes: rows of queries or weights, and
// positions (scores) or dimensions (values).
type shape struct{ Rows, Dims int }

var (
	kvScore512   = []shape{{8, 32}, {4, 64}, {2, 64}, {1, 64}}
	kvScore256   = []shape{{4, 16}, {1, 32}} // AVX2 and NEON
	kvCombine256 = []shape{{4, 16}, {1, 32}}
	kvCombine512 = []shape{{8, 32}, {4, 32}, {2, 32}, {1, 64}, {1, 32}}
)

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

// files lists what is generated. See each template for the meaning of its data.
var files = []file{
	{"gemm32_arm64.s", "gemm_arm64.tmpl", values{"Type": "float32", "Bits": 32, "Heights": heightsNEON}},
	{"gemm64_arm64.s", "gemm_arm64.tmpl", values{"Type": "float64", "Bits": 64, "Heights": heightsNEON}},

	{"project_amd64.s", "project_amd64.tmpl", values{"Name": "fold", "Bytes": 4, "Load": "VMOVUPS %s, %s", "Out": false}},
	{"project_stored_amd64.s", "project_stored_amd64.tmpl", values{"Name": "stored", "Bytes": 2, "Load": "VCVTPH2PS %s, %s", "Out": true}},
	{"byte_project_amd64.s", "byte_project_amd64.tmpl", values{"Name": "byte", "Bytes": 1, "Load": "CODES(%s, %s)", "Out": true}},
	{"gemm_narrow_amd64.s", "gemm_narrow_amd64.tmpl", values{
		"Types":   narrowTypes,
		"Rows512": narrow512, "Rows256": narrow256,
	}},
	{"half_tiles_amd64.s", "tiles_amd64.tmpl", values{
		"Name": "half", "Stored": "binary16", "Bytes": 2, "Load": "VCVTPH2PS %s, %s",
		"Strided": true, "Tokens512": []int{1, 4, 8, 12}, "Tokens256": []int{1, 4},
	}},
	{"byte_tiles_amd64.s", "tiles_amd64.tmpl", values{
		"Name": "byte", "Stored": "signed bytes", "Bytes": 1, "Load": "CODES(%s, %s)",
		"Strided": false, "Tokens512": []int{1, 4, 8}, "Tokens256": []int{1, 4},
	}},
	{"half_tiles_arm64.s", "tiles_arm64.tmpl", values{
		"Name": "half", "Stored": "binary16", "Bytes": 2, "Strided": true, "Tokens": []int{1, 4},
	}},
	{"byte_tiles_arm64.s", "tiles_arm64.tmpl", values{
		"Name": "byte", "Stored": "signed bytes", "Bytes": 1, "Strided": false, "Tokens": []int{1, 4},
	}},
	{"project_arm64.s", "project_arm64.tmpl", values{
		"See": "project.go and project_stored.go", "Codes": false, "Bases": []values{
			{"Name": "fold", "Bytes": 4, "Out": false},
			{"Name": "stored", "Bytes": 2, "Out": true},
		},
	}},
	{"byte_project_arm64.s", "project_arm64.tmpl", values{
		"See": "byte_project.go", "Codes": true, "Bases": []values{
			{"Name": "byte", "Bytes": 1, "Out": true},
		},
	}},
	{"gemm32_amd64.s", "gemm_amd64.tmpl", values{
		"Type": "float32", "Bits": 32, "Heights512": heights512, "Heights256": heights256,
	}},
	{"gemm64_amd64.s", "gemm_amd64.tmpl", values{
		"Type": "float64", "Bits": 64, "Heights512": heights512, "Heights256": heights256,
	}},
	{"int_vnni4_amd64.s", "int_vnni_amd64.tmpl", values{"Bits": 4, "Tokens": tokensVNNI}},
	{"int_vnni8_amd64.s", "int_vnni_amd64.tmpl", values{"Bits": 8, "Tokens": tokensVNNI}},
	{"int_vnni_whole_amd64.s", "int_vnni_whole_amd64.tmpl", values{"Bits": []int{4, 8}}},
	{"int_vnni_group_amd64.s", "int_vnni_group_amd64.tmpl", values{
		"Kernels": []values{{"Bits": 4, "Tokens": tokensVNNI}, {"Bits": 8, "Tokens": tokensVNNI}},
	}},
	{"int_vnni_planes_amd64.s", "int_vnni_planes_amd64.tmpl", values{"Bits": planeBits, "Tokens": []int{8, 4, 2}}},
	{"int_vnni_planes1_amd64.s", "int_vnni_planes1_amd64.tmpl", values{"Bits": []int{5, 6, 7}}},
	{"int_unpack512_amd64.s", "int_unpack512_amd64.tmpl", values{"Bits": planeBits}},
	{"int_unpack256_amd64.s", "int_unpack256_amd64.tmpl", values{"Bits": planeBits}},
	{"int_avx2_amd64.s", "int256_amd64.tmpl", values{
		"Title": "Weights of 4 and 8 bits × tokens of 8 bits, AVX2",
		"Name":  "intAVX2W", "VNNI": false, "Group": false, "Planes": false, "Bits": []int{4, 8}, "Tokens": tokens256,
	}},
	{"int_avx2_planes_amd64.s", "int256_amd64.tmpl", values{
		"Title": "Weights in bit planes × tokens of 8 bits, AVX2",
		"Name":  "intAVX2W", "VNNI": false, "Group": false, "Planes": true, "Bits": planeBits, "Tokens": tokens256,
	}},
	{"int_avx2_group_amd64.s", "int256_amd64.tmpl", values{
		"Title": "Weights of 4 and 8 bits × tokens in groups of channels, AVX2",
		"Name":  "intAVX2Group", "VNNI": false, "Group": true, "Planes": false, "Bits": []int{4, 8}, "Tokens": tokens256,
	}},
	{"int_avxvnni_amd64.s", "int256_amd64.tmpl", values{
		"Title": "Weights of 2 to 8 bits × tokens of 8 bits, AVX-VNNI",
		"Name":  "intAVXVNNI", "VNNI": true, "Group": false, "Planes": true, "Bits": allBits, "Tokens": tokens256,
	}},
	{"int_avxvnni_group_amd64.s", "int256_amd64.tmpl", values{
		"Title": "Weights of 4 and 8 bits × tokens in groups of channels, AVX-VNNI",
		"Name":  "intAVXVNNIGroup", "VNNI": true, "Group": true, "Planes": false, "Bits": []int{4, 8}, "Tokens": tokens256,
	}},
	{"int_float512_amd64.s", "int_float512_amd64.tmpl", values{"Bits": floatBits, "Tokens": []int{4, 2, 1}}},
	{"int_float256_amd64.s", "int_float256_amd64.tmpl", values{"Bits": floatBits, "Tokens": []int{2, 1}}},
	{"int_float_arm64.s", "int_float_arm64.tmpl", values{"Bits": []int{4, 8}, "Tokens": []int{1, 2}}},
	{"int_unpack_arm64.s", "int_unpack_arm64.tmpl", values{"Bits": planeBits}},
	{"int_neon_arm64.s", "int_arm64.tmpl", values{
		"Title": "Weights of 2 to 8 bits × tokens of 8 bits, without an int8 dot product",
		"Names": []values{{"Name": "intNEON", "Dot": false}}, "Group": false, "Bits": allBits, "Tokens": tokensNEON,
	}},
	{"int_dot_arm64.s", "int_arm64.tmpl", values{
		"Title": "Weights of 2 to 8 bits × tokens of 8 bits, with the int8 dot product of FEAT_DotProd",
		"Names": []values{{"Name": "intDot", "Dot": true}}, "Group": false, "Bits": allBits, "Tokens": tokensNEON,
	}},
	{"int_group_arm64.s", "int_arm64.tmpl", values{
		"Title": "Weights of 4 and 8 bits × tokens in groups of channels",
		"Names": []values{{"Name": "intDotGroup", "Dot": true}, {"Name": "intNEONGroup", "Dot": false}},
		"Group": true, "Bits": []int{4, 8}, "Tokens": tokensNEON,
	}},
	{"int_calls_amd64.go", "int_calls.tmpl", values{"Unsafe": false, "Families": []family{
		call("intVNNI", "multiplies two row tiles with 2 to 12 tokens, or row tiles with one token.", "intVNNI%dx%d",
			kernels{[]int{4, 8}, tokensVNNI}, kernels{planeBits, []int{8, 4, 2, 1}}),
		call("intVNNIGroup", "is intVNNI for tokens in groups of channels.", "intVNNIGroup%dx%d", kernels{[]int{4, 8}, tokensVNNI}),
		call("intAVX2", "multiplies a row tile with some tokens.", "intAVX2W%dx%d", kernels{allBits, tokens256}),
		call("intAVX2Group", "is intAVX2 for tokens in groups of channels.", "intAVX2Group%dx%d", kernels{[]int{4, 8}, tokens256}),
		call("intAVXVNNI", "multiplies a row tile with some tokens.", "intAVXVNNI%dx%d", kernels{allBits, tokens256}),
		call("intAVXVNNIGroup", "is intAVXVNNI for tokens in groups of channels.", "intAVXVNNIGroup%dx%d", kernels{[]int{4, 8}, tokens256}),
		call("intFloat512", "multiplies two row tiles with some float tokens.", "intFloat512W%dx%d", kernels{floatBits, []int{4, 2, 1}}),
		call("intFloat256", "multiplies a row tile with some float tokens.", "intFloat256W%dx%d", kernels{floatBits, []int{2, 1}}),
		{"intVNNIWhole", "multiplies two row tiles whose rows are one group with 12 tokens.", "args *intArgs", "args", "intVNNI%dx12Whole", false, []kernels{{[]int{4, 8}, nil}}},
		{"intUnpack512", "unpacks two row tiles of bit planes to bytes.", "args *intUnpackArgs", "args", "intUnpack512W%d", false, []kernels{{planeBits, nil}}},
		{"intUnpackAVX2", "unpacks a row tile of bit planes to bytes.", "args *intUnpackArgs", "args", "intUnpackAVX2W%d", false, []kernels{{planeBits, nil}}},
	}}},
	{"int_calls_arm64.go", "int_calls.tmpl", values{"Unsafe": true, "Families": []family{
		call("intDot", "multiplies a row tile with some tokens.", "intDot%dx%d", kernels{allBits, tokensNEON}),
		call("intDotGroup", "is intDot for tokens in groups of channels.", "intDotGroup%dx%d", kernels{[]int{4, 8}, tokensNEON}),
		call("intNEON", "multiplies a row tile with some tokens.", "intNEON%dx%d", kernels{allBits, tokensNEON}),
		call("intNEONGroup", "is intNEON for tokens in groups of channels.", "intNEONGroup%dx%d", kernels{[]int{4, 8}, tokensNEON}),
		call("intFloatNEON", "multiplies a row tile with some float tokens.", "intFloatNEON%dx%d", kernels{[]int{4, 8}, []int{2, 1}}),
		{"intUnpackNEON", "unpacks a row tile of bit planes to bytes.", "dst, src unsafe.Pointer, steps, add int", "dst, src, steps, add", "intUnpackNEON%d", false, []kernels{{planeBits, nil}}},
	}}},
	{"gemm_sets_amd64.go", "gemm_sets.tmpl", values{
		"Sets": []values{
			{"Name": "avx512Set32", "Bits": 32, "Columns": 128, "Tier": "avx512", "Heights": heights512},
			{"Name": "avx512Set64", "Bits": 64, "Columns": 128, "Tier": "avx512", "Heights": heights512},
			{"Name": "avx2Set32", "Bits": 32, "Columns": 64, "Tier": "avx2", "Heights": heights256},
			{"Name": "avx2Set64", "Bits": 64, "Columns": 64, "Tier": "avx2", "Heights": heights256},
		},
		"Narrow": []values{
			{"Name": "narrow512", "Tier": "avx512", "Types": narrowTypes, "Rows": narrow512},
			{"Name": "narrow256", "Tier": "avx2", "Types": narrowTypes, "Rows": narrow256},
		},
	}},
	{"gemm_sets_arm64.go", "gemm_sets.tmpl", values{
		"Sets": []values{
			{"Name": "neonSet32", "Bits": 32, "Columns": 64, "Tier": "NEON", "Heights": heightsNEON},
			{"Name": "neonSet64", "Bits": 64, "Columns": 64, "Tier": "NEON", "Heights": heightsNEON},
		},
		"Narrow": []values(nil),
	}},
	{"kv_score512_amd64.s", "kv_score512_amd64.tmpl", values{"Shapes": kvScore512}},
	{"kv_combine512_amd64.s", "kv_combine512_amd64.tmpl", values{"Shapes": kvCombine512}},
	{"vector_amd64.s", "vector_amd64.tmpl", values{"Axpy": []element{{"axpy", "VMOVUPS", 4}, {"axpyF16", "VCVTPH2PS", 2}}}},
	{"vector_arm64.s", "vector_arm64.tmpl", values{"Axpy": []element{{"axpy", "", 4}, {"axpyF16", "", 2}}}},
	{"elem_amd64.s", "elem_amd64.tmpl", nil},
	{"half_amd64.s", "half_amd64.tmpl", nil},
	{"hadamard_amd64.s", "hadamard_amd64.tmpl", nil},
	{"hadamard_arm64.s", "hadamard_arm64.tmpl", nil},
	{"int_zero_amd64.s", "int_zero_amd64.tmpl", nil},
	{"limits_amd64.s", "limits_amd64.tmpl", nil},
	{"limits_arm64.s", "limits_arm64.tmpl", nil},
	{"kv_avx2_amd64.s", "kv_avx2_amd64.tmpl", values{"Scores": kvScore256, "Combines": kvCombine256}},
	{"kv_calls_amd64.go", "kv_calls.tmpl", values{"Families": []values{
		kvCall("kvScore512", "avx512", kvScore512), kvCall("kvCombine512", "avx512", kvCombine512),
		kvCall("kvScore256", "avx2", kvScore256), kvCall("kvCombine256", "avx2", kvCombine256),
	}}},
	{"kv_calls_arm64.go", "kv_calls.tmpl", values{"Families": []values{
		kvCall("kvScoreNEON", "NEON", kvScore256), kvCall("kvCombineNEON", "NEON", kvCombine256),
	}}},
}

func kvCall(name, suffix string, shapes []shape) values {
	v := values{"Name": name, "Suffix": suffix, "Shapes": shapes}
	if strings.HasPrefix(name, "kvScore") {
		v["Doc"] = "multiplies rows of queries with as many positions as a group has"
		v["Routine"], v["Args"], v["Width"] = "kvScore", "kvScoreArgs", "positions"
	} else {
		v["Doc"] = "adds values times rows of weights to the sums, for some dimensions"
		v["Routine"], v["Args"], v["Width"] = "kvCombine", "kvCombineArgs", "dims"
	}
	return v
}
