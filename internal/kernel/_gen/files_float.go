package main

// The float kernels, and what belongs to a branch.
var floatFiles = []file{
	// Products of matrices.
	{"float/gemm32_amd64.s", "gemm_amd64.tmpl", values{
		"Type": "float32", "Bits": 32, "Heights512": heights512, "Heights256": heights256,
	}},
	{"float/gemm64_amd64.s", "gemm_amd64.tmpl", values{
		"Type": "float64", "Bits": 64, "Heights512": heights512, "Heights256": heights256,
	}},
	{"float/gemm32_arm64.s", "gemm_arm64.tmpl", values{"Type": "float32", "Bits": 32, "Heights": heightsNEON}},
	{"float/gemm64_arm64.s", "gemm_arm64.tmpl", values{"Type": "float64", "Bits": 64, "Heights": heightsNEON}},
	{"float/gemm_narrow_amd64.s", "gemm_narrow_amd64.tmpl", values{
		"Types":   storedTypes,
		"Rows512": narrow512, "Rows256": narrow256,
	}},
	{"float/gemm_sets_amd64.go", "gemm_sets.tmpl", values{
		"Package": "float",
		"Sets": []values{
			{"Name": "avx512Set32", "Bits": 32, "Columns": 128, "Tier": "avx512", "Heights": heights512},
			{"Name": "avx512Set64", "Bits": 64, "Columns": 128, "Tier": "avx512", "Heights": heights512},
			{"Name": "avx2Set32", "Bits": 32, "Columns": 64, "Tier": "avx2", "Heights": heights256},
			{"Name": "avx2Set64", "Bits": 64, "Columns": 64, "Tier": "avx2", "Heights": heights256},
		},
		"Narrow": []values{
			{"Name": "narrow512", "Tier": "avx512", "Types": storedTypes, "Rows": narrow512},
			{"Name": "narrow256", "Tier": "avx2", "Types": storedTypes, "Rows": narrow256},
		},
	}},
	{"float/gemm_sets_arm64.go", "gemm_sets.tmpl", values{
		"Package": "float",
		"Sets": []values{
			{"Name": "neonSet32", "Bits": 32, "Columns": 64, "Tier": "NEON", "Heights": heightsNEON},
			{"Name": "neonSet64", "Bits": 64, "Columns": 64, "Tier": "NEON", "Heights": heightsNEON},
		},
		"Narrow": []values(nil),
	}},

	// Tiles of 16 rows times the coefficients of a branch.
	{"branch/half_tiles_amd64.s", "tiles_amd64.tmpl", values{
		"Name": "half", "Stored": "binary16", "Bytes": 2, "Load": "VCVTPH2PS %s, %s",
		"Strided": true, "Tokens512": halfTokens512, "Tokens256": tileTokens256,
	}},
	{"branch/byte_tiles_amd64.s", "tiles_amd64.tmpl", values{
		"Name": "byte", "Stored": "signed bytes", "Bytes": 1, "Load": "CODES(%s, %s)",
		"Strided": false, "Tokens512": byteTokens512, "Tokens256": tileTokens256,
	}},
	{"branch/half_tiles_arm64.s", "tiles_arm64.tmpl", values{
		"Name": "half", "Stored": "binary16", "Bytes": 2, "Strided": true, "Tokens": tileTokensNEON,
	}},
	{"branch/byte_tiles_arm64.s", "tiles_arm64.tmpl", values{
		"Name": "byte", "Stored": "signed bytes", "Bytes": 1, "Strided": false, "Tokens": tileTokensNEON,
	}},

	// Projections, the first half of a branch.
	{"branch/project_amd64.s", "project_amd64.tmpl", values{"Name": "fold", "Bytes": 4, "Load": "VMOVUPS %s, %s", "Out": false}},
	{"branch/project_stored_amd64.s", "project_stored_amd64.tmpl", values{"Name": "stored", "Bytes": 2, "Load": "VCVTPH2PS %s, %s", "Out": true}},
	{"branch/byte_project_amd64.s", "byte_project_amd64.tmpl", values{"Name": "byte", "Bytes": 1, "Load": "CODES(%s, %s)", "Out": true}},
	{"branch/project_arm64.s", "project_arm64.tmpl", values{
		"See": "project.go and project_stored.go", "Codes": false, "Bases": []values{
			{"Name": "fold", "Bytes": 4, "Out": false},
			{"Name": "stored", "Bytes": 2, "Out": true},
		},
	}},
	{"branch/byte_project_arm64.s", "project_arm64.tmpl", values{
		"See": "byte_project.go", "Codes": true, "Bases": []values{
			{"Name": "byte", "Bytes": 1, "Out": true},
		},
	}},

	// Vectors.
	{"float/elem_amd64.s", "elem_amd64.tmpl", nil},
	{"float/elem_arm64.s", "elem_arm64.tmpl", nil},
	{"float/transpose_amd64.s", "transpose_amd64.tmpl", values{"Types": storedTypes}},
	{"float/grid_amd64.s", "grid_amd64.tmpl", nil},
	{"float/half_amd64.s", "half_amd64.tmpl", nil},
	{"float/hadamard_amd64.s", "hadamard_amd64.tmpl", nil},
	{"float/hadamard_arm64.s", "hadamard_arm64.tmpl", nil},
	{"float/vector_amd64.s", "vector_amd64.tmpl", values{"Axpy": []element{{"axpy", "VMOVUPS", 4}, {"axpyF16", "VCVTPH2PS", 2}}}},
	{"float/vector_arm64.s", "vector_arm64.tmpl", values{"Axpy": []element{{"axpy", "", 4}, {"axpyF16", "", 2}}}},

	// The speed of the machine.
	{"cpu/limits_amd64.s", "limits_amd64.tmpl", nil},
	{"cpu/limits_arm64.s", "limits_arm64.tmpl", nil},
}
