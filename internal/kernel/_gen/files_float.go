package main

// The float kernels, and what belongs to a branch.
var floatFiles = []file{
	// Products of matrices.
	{"float/gemm32_amd64.s", "gemm_amd64.tmpl", values{
		"Type": "float32", "Bits": 32, "Half": false, "Heights512": heights512, "Heights256": heights256,
	}},
	{"float/gemm_half_amd64.s", "gemm_amd64.tmpl", values{
		"Type": "float32", "Bits": 32, "Half": true, "Heights512": heightsHalf512, "Heights256": heightsHalf256,
	}},
	{"float/gemm64_amd64.s", "gemm_amd64.tmpl", values{
		"Type": "float64", "Bits": 64, "Half": false, "Heights512": heights512, "Heights256": heights256,
	}},
	{"float/gemm32_arm64.s", "gemm_arm64.tmpl", values{"Type": "float32", "Bits": 32, "Half": false, "Heights": heightsNEON}},
	{"float/gemm_half_arm64.s", "gemm_arm64.tmpl", values{"Type": "float32", "Bits": 32, "Half": true, "Heights": heightsNEON}},
	{"float/gemm64_arm64.s", "gemm_arm64.tmpl", values{"Type": "float64", "Bits": 64, "Half": false, "Heights": heightsNEON}},
	{"float/gemm_narrow_amd64.s", "gemm_narrow_amd64.tmpl", values{
		"Types":   storedTypes,
		"Rows512": narrow512, "Rows256": narrow256,
	}},
	{"float/gemm_sets_amd64.go", "gemm_sets.tmpl", values{
		"Package": "float",
		"Sets": []values{
			{"Bits": 32, "Half": false, "Columns": 128, "Tier": "avx512", "Active": "AVX512", "Heights": heights512},
			{"Bits": 64, "Half": false, "Columns": 128, "Tier": "avx512", "Active": "AVX512", "Heights": heights512},
			{"Bits": 32, "Half": false, "Columns": 64, "Tier": "avx2", "Active": "AVX2", "Heights": heights256},
			{"Bits": 64, "Half": false, "Columns": 64, "Tier": "avx2", "Active": "AVX2", "Heights": heights256},
			{"Bits": 32, "Half": true, "Columns": 128, "Tier": "avx512", "Active": "AVX512", "Heights": heightsHalf512},
			{"Bits": 32, "Half": true, "Columns": 64, "Tier": "avx2", "Active": "AVX2", "Heights": heightsHalf256},
		},
		"Narrow": []values{
			{"Tier": "avx512", "Active": "AVX512", "Types": storedTypes, "Rows": narrow512},
			{"Tier": "avx2", "Active": "AVX2", "Types": storedTypes, "Rows": narrow256},
		},
	}},
	{"float/gemm_sets_arm64.go", "gemm_sets.tmpl", values{
		"Package": "float",
		"Sets": []values{
			{"Bits": 32, "Half": false, "Columns": 64, "Tier": "NEON", "Active": "NEON", "Heights": heightsNEON},
			{"Bits": 64, "Half": false, "Columns": 64, "Tier": "NEON", "Active": "NEON", "Heights": heightsNEON},
			{"Bits": 32, "Half": true, "Columns": 64, "Tier": "NEON", "Active": "NEON", "Heights": heightsNEON},
		},
		"Narrow": []values(nil),
	}},
	{"float/gemm_sets_other.go", "gemm_sets.tmpl", values{"Package": "float", "Sets": []values(nil), "Narrow": []values(nil)}},

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

	// The choice among those of a branch.
	branchCalls("amd64", "AVX2", []values{{"Active": "AVX512", "Suffix": "avx512", "Tokens": halfTokens512}, {"Active": "AVX2", "Suffix": "avx2", "Tokens": tileTokens256}},
		[]values{{"Active": "AVX512", "Suffix": "avx512", "Tokens": byteTokens512}, {"Active": "AVX2", "Suffix": "avx2", "Tokens": tileTokens256}}),
	branchCalls("arm64", "NEON", []values{{"Active": "NEON", "Suffix": "NEON", "Tokens": tileTokensNEON}}, []values{{"Active": "NEON", "Suffix": "NEON", "Tokens": tileTokensNEON}}),
	branchCalls("", "", nil, nil),

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

	// Products with matrices of signs.
	{"float/signed_matrices.go", "signed_matrices.tmpl", values{"Matrices": signedMatrices}},
	{"float/signed_amd64.s", "signed_amd64.tmpl", values{"Matrices": signedMatrices}},
	{"float/signed_arm64.s", "signed_arm64.tmpl", values{"Matrices": signedMatrices}},
	{"float/signed_sets_amd64.go", "signed_sets.tmpl", values{"Matrices": signedMatrices, "Tiers": []values{
		{"Name": "AVX512", "Suffix": "avx512"}, {"Name": "AVX2", "Suffix": "avx2"},
	}}},
	{"float/signed_sets_arm64.go", "signed_sets.tmpl", values{"Matrices": signedMatrices, "Tiers": []values{{"Name": "NEON", "Suffix": "NEON"}}}},
	{"float/signed_sets_other.go", "signed_sets.tmpl", values{"Matrices": signedMatrices, "Tiers": []values(nil)}},

	// The speed of the machine.
	{"cpu/limits_amd64.s", "limits_amd64.tmpl", nil},
	{"cpu/limits_arm64.s", "limits_arm64.tmpl", nil},
}

// branchCalls is the file of an architecture with the functions that choose among the
// kernels of a branch: see branch_calls.tmpl. half and bytes list the tiers' routines for
// tiles of 16-bit and of 8-bit coefficients, the highest tier first.
func branchCalls(arch, lowest string, half, bytes []values) file {
	name, four := arch, ""
	if arch == "" {
		name = "other"
	} else {
		four = half[0]["Active"].(string)
	}
	return file{"branch/calls_" + name + ".go", "branch_calls.tmpl", values{
		"Arch": arch, "Lowest": lowest,
		"Bases": []values{
			{"Name": "fold", "Type": "float32", "Out": false},
			{"Name": "stored", "Type": "uint16", "Out": true},
			{"Name": "byte", "Type": "int8", "Out": true},
		},
		"Tiles": []values{
			{"Name": "half", "Type": "uint16", "Strided": true, "Tiers": half, "Four": four},
			{"Name": "byte", "Type": "int8", "Strided": false, "Tiers": bytes, "Four": four},
		},
	}}
}
