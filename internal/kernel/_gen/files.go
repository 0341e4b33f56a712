package main

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

type values = map[string]any

// The numbers of tokens that kernels take, and the bits of weights in planes.
var (
	tokensVNNI = []int{12, 8, 4, 2, 1}
	tokens256  = []int{4, 2, 1}
	tokensNEON = []int{4, 2, 1}
	planeBits  = []int{2, 3, 5, 6, 7}
)

// files lists what is generated. See each template for the meaning of its data.
var files = []file{
	{"gemm32_arm64.s", "gemm_arm64.tmpl", values{"Type": "float32", "Bits": 32, "Heights": []int{1, 2, 4, 6}}},
	{"gemm64_arm64.s", "gemm_arm64.tmpl", values{"Type": "float64", "Bits": 64, "Heights": []int{1, 2, 4, 6}}},

	{"project_amd64.s", "project_amd64.tmpl", values{"Name": "fold", "Bytes": 4, "Load": "VMOVUPS %s, %s", "Out": false}},
	{"project_stored_amd64.s", "project_stored_amd64.tmpl", values{"Name": "stored", "Bytes": 2, "Load": "VCVTPH2PS %s, %s", "Out": true}},
	{"byte_project_amd64.s", "byte_project_amd64.tmpl", values{"Name": "byte", "Bytes": 1, "Load": "CODES(%s, %s)", "Out": true}},
	{"narrow_amd64.s", "narrow_amd64.tmpl", values{
		"Types":   []element{{"f32", "LOADF32", 4}, {"f16", "LOADF16", 2}, {"bf16", "LOADBF16", 2}},
		"Rows512": []int{1, 2, 4}, "Rows256": []int{1, 2},
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
		"Type": "float32", "Bits": 32, "Heights512": []int{12, 8, 4, 2, 1}, "Heights256": []int{6, 4, 2, 1},
	}},
	{"gemm64_amd64.s", "gemm_amd64.tmpl", values{
		"Type": "float64", "Bits": 64, "Heights512": []int{12, 8, 4, 2, 1}, "Heights256": []int{6, 4, 2, 1},
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
		"Name":  "intAVXVNNI", "VNNI": true, "Group": false, "Planes": true, "Bits": []int{2, 3, 4, 5, 6, 7, 8}, "Tokens": tokens256,
	}},
	{"int_avxvnni_group_amd64.s", "int256_amd64.tmpl", values{
		"Title": "Weights of 4 and 8 bits × tokens in groups of channels, AVX-VNNI",
		"Name":  "intAVXVNNIGroup", "VNNI": true, "Group": true, "Planes": false, "Bits": []int{4, 8}, "Tokens": tokens256,
	}},
	{"int_float512_amd64.s", "int_float512_amd64.tmpl", values{"Bits": []int{2, 3, 4, 8}, "Tokens": []int{4, 2, 1}}},
	{"int_float256_amd64.s", "int_float256_amd64.tmpl", values{"Bits": []int{2, 3, 4, 8}, "Tokens": []int{2, 1}}},
	{"int_float_arm64.s", "int_float_arm64.tmpl", values{"Bits": []int{4, 8}, "Tokens": []int{1, 2}}},
	{"int_unpack_arm64.s", "int_unpack_arm64.tmpl", values{"Bits": planeBits}},
	{"int_neon_arm64.s", "int_arm64.tmpl", values{
		"Title": "Weights of 2 to 8 bits × tokens of 8 bits, without an int8 dot product",
		"Names": []values{{"Name": "intNEON", "Dot": false}}, "Group": false, "Bits": []int{2, 3, 4, 5, 6, 7, 8}, "Tokens": tokensNEON,
	}},
	{"int_dot_arm64.s", "int_arm64.tmpl", values{
		"Title": "Weights of 2 to 8 bits × tokens of 8 bits, with the int8 dot product of FEAT_DotProd",
		"Names": []values{{"Name": "intDot", "Dot": true}}, "Group": false, "Bits": []int{2, 3, 4, 5, 6, 7, 8}, "Tokens": tokensNEON,
	}},
	{"int_group_arm64.s", "int_arm64.tmpl", values{
		"Title": "Weights of 4 and 8 bits × tokens in groups of channels",
		"Names": []values{{"Name": "intDotGroup", "Dot": true}, {"Name": "intNEONGroup", "Dot": false}},
		"Group": true, "Bits": []int{4, 8}, "Tokens": tokensNEON,
	}},
}
