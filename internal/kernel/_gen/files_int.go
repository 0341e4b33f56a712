package main

// The integer kernels.
var intFiles = []file{
	// AVX-512 VNNI.
	{"integer/vnni4_amd64.s", "int_vnni_amd64.tmpl", values{"Bits": 4, "Tokens": tokensVNNI}},
	{"integer/vnni8_amd64.s", "int_vnni_amd64.tmpl", values{"Bits": 8, "Tokens": tokensVNNI}},
	{"integer/vnni_tile_amd64.s", "int_vnni_tile_amd64.tmpl", values{
		"Kernels": []values{
			{"Name": "Tile", "Bits": byteBits, "Levels": false, "Fine": false},
			{"Name": "FineTile", "Bits": byteBits, "Levels": false, "Fine": true},
			{"Name": "LevelsTile", "Bits": nibbles, "Levels": true, "Fine": true},
		},
	}},
	{"integer/vnni_group_amd64.s", "int_vnni_group_amd64.tmpl", values{
		"Kernels": []values{{"Bits": 4, "Tokens": tokensGroup}, {"Bits": 8, "Tokens": tokensGroup}},
	}},
	{"integer/vnni_fine_amd64.s", "int_vnni_fine_amd64.tmpl", values{
		"Kernels": []values{
			{"Name": "Fine", "Bits": 4, "Levels": false, "Tokens": tokensVNNI},
			{"Name": "Fine", "Bits": 8, "Levels": false, "Tokens": tokensVNNI},
			{"Name": "Levels", "Bits": 4, "Levels": true, "Tokens": tokensVNNI},
		},
		"PlaneBits": planeBits,
	}},
	{"integer/vnni_planes_amd64.s", "int_vnni_planes_amd64.tmpl", values{"Bits": planeBits, "Tokens": tokensVNNI[:len(tokensVNNI)-1]}},
	{"integer/vnni_planes1_amd64.s", "int_vnni_planes1_amd64.tmpl", values{"Bits": []int{5, 6, 7}}},
	{"integer/vnni_multiples_amd64.s", "int_vnni_multiples_amd64.tmpl", values{"Kernels": multiplesVNNI()}},

	// AMX.
	{"integer/amx_amd64.s", "int_amx_amd64.tmpl", values{"Pairs": kernelsAMX, "Kernels": kernelsAMXOne}},

	// AVX2 and AVX-VNNI.
	{"integer/avx2_amd64.s", "int256_amd64.tmpl", values{
		"Title": "Weights of 4 and 8 bits × tokens of 8 bits, AVX2",
		"Name":  "intAVX2W", "VNNI": false, "Group": false, "Planes": false, "Levels": false, "Bits": byteBits, "Tokens": tokens256,
	}},
	{"integer/avx2_planes_amd64.s", "int256_amd64.tmpl", values{
		"Title": "Weights in bit planes × tokens of 8 bits, AVX2",
		"Name":  "intAVX2W", "VNNI": false, "Group": false, "Planes": true, "Levels": false, "Bits": planeBits, "Tokens": tokens256,
	}},
	{"integer/avx2_group_amd64.s", "int256_amd64.tmpl", values{
		"Title": "Weights of 4 and 8 bits × tokens in groups of channels, AVX2",
		"Name":  "intAVX2Group", "VNNI": false, "Group": true, "Planes": false, "Levels": false, "Bits": byteBits, "Tokens": tokens256,
	}},
	{"integer/avxvnni_amd64.s", "int256_amd64.tmpl", values{
		"Title": "Weights of 2 to 8 bits × tokens of 8 bits, AVX-VNNI",
		"Name":  "intAVXVNNI", "VNNI": true, "Group": false, "Planes": true, "Levels": false, "Bits": allBits, "Tokens": tokens256,
	}},
	{"integer/avxvnni_group_amd64.s", "int256_amd64.tmpl", values{
		"Title": "Weights of 4 and 8 bits × tokens in groups of channels, AVX-VNNI",
		"Name":  "intAVXVNNIGroup", "VNNI": true, "Group": true, "Planes": false, "Levels": false, "Bits": byteBits, "Tokens": tokens256,
	}},
	{"integer/avxvnni_levels_amd64.s", "int256_amd64.tmpl", values{
		"Title": "Weights that are indices of 4 bits into a table of levels × tokens in groups of channels, AVX-VNNI",
		"Name":  "intAVXVNNILevels", "VNNI": true, "Group": true, "Planes": false, "Levels": true, "Bits": nibbles, "Tokens": tokens256,
	}},
	{"integer/avx2_multiples_amd64.s", "int_multiples256_amd64.tmpl", values{
		"Title": "Weights whose groups' scales are multiples of their row's × tokens of 8 bits, AVX2",
		"Name":  "intAVX2Multiples", "VNNI": false, "Bits": multipleBits, "Tokens": tokens256,
	}},
	{"integer/avxvnni_multiples_amd64.s", "int_multiples256_amd64.tmpl", values{
		"Title": "Weights whose groups' scales are multiples of their row's × tokens of 8 bits, AVX-VNNI",
		"Name":  "intAVXVNNIMultiples", "VNNI": true, "Bits": multipleBits, "Tokens": tokens256,
	}},

	// NEON.
	{"integer/neon_arm64.s", "int_arm64.tmpl", values{
		"Title": "Weights of 2 to 8 bits × tokens of 8 bits, without an int8 dot product",
		"Names": []values{{"Name": "intNEON", "Dot": false}}, "Group": false, "Bits": allBits, "Tokens": tokensNEON,
	}},
	{"integer/dot_arm64.s", "int_arm64.tmpl", values{
		"Title": "Weights of 2 to 8 bits × tokens of 8 bits, with the int8 dot product of FEAT_DotProd",
		"Names": []values{{"Name": "intDot", "Dot": true}}, "Group": false, "Bits": allBits, "Tokens": tokensNEON,
	}},
	{"integer/group_arm64.s", "int_arm64.tmpl", values{
		"Title": "Weights of 4 and 8 bits × tokens in groups of channels",
		"Names": []values{{"Name": "intDotGroup", "Dot": true}, {"Name": "intNEONGroup", "Dot": false}},
		"Group": true, "Bits": byteBits, "Tokens": tokensNEON,
	}},
	{"integer/multiples_arm64.s", "int_multiples_arm64.tmpl", values{
		"Names": []values{
			{"Name": "intDotMultiples", "Dot": true, "Half": false}, {"Name": "intDotMultiplesHalf", "Dot": true, "Half": true},
			{"Name": "intNEONMultiples", "Dot": false, "Half": false}, {"Name": "intNEONMultiplesHalf", "Dot": false, "Half": true},
		},
		"Bits": multipleBits, "Tokens": tokensNEON,
	}},

	// Float tokens.
	{"integer/float512_amd64.s", "int_float512_amd64.tmpl", values{"Bits": floatBits, "Tokens": floatTokens512}},
	{"integer/float256_amd64.s", "int_float256_amd64.tmpl", values{"Bits": floatBits, "Tokens": floatTokens256}},
	{"integer/float_arm64.s", "int_float_arm64.tmpl", values{"Bits": byteBits, "Tokens": floatTokensNEON}},

	// Bit planes to bytes.
	{"integer/unpack512_amd64.s", "int_unpack512_amd64.tmpl", values{"Bits": planeBits, "Multiples": []values{
		{"Name": "intUnpackTimes512", "Bits": multipleBits, "Half": false},
		{"Name": "intUnpackTimesHalf512", "Bits": planeBits, "Half": true},
	}}},
	{"integer/unpack256_amd64.s", "int_unpack256_amd64.tmpl", values{"Bits": planeBits, "Multiples": []values{
		{"Name": "intUnpackTimesAVX2", "Bits": multipleBits, "Half": false},
		{"Name": "intUnpackTimesHalfAVX2", "Bits": planeBits, "Half": true},
	}}},
	{"integer/unpack_arm64.s", "int_unpack_arm64.tmpl", values{"Bits": planeBits}},

	// The choice among them.
	{"integer/calls_amd64.go", "int_calls.tmpl", values{"Package": "integer", "Unsafe": false, "Families": []family{
		call("intVNNI", "multiplies two row tiles with 2 to 8 tokens, or row tiles with one token.", "intVNNI%dx%d",
			kernels{byteBits, tokensVNNI}, kernels{planeBits, tokensVNNI}),
		call("intVNNIGroup", "is intVNNI for 1 to 12 tokens in groups of channels.", "intVNNIGroup%dx%d", kernels{byteBits, tokensGroup}),
		call("intVNNIFine", "is intVNNIGroup where each group of the weights is one part.", "intVNNIFine%dx%d",
			kernels{byteBits, tokensVNNI}, kernels{planeBits, []int{1}}),
		call("intVNNILevels", "is intVNNIFine where nibbles are indices into a table of levels.", "intVNNILevels%dx%d", kernels{nibbles, tokensVNNI}),
		call("intVNNIHalf", "is intVNNIFine for one token and groups of half a step.", "intVNNIHalf%dx%d", kernels{planeBits, []int{1}}),
		call("intVNNIMultiples", "multiplies row tiles, whose groups' scales are multiples of their row's, with some tokens.", "intVNNIMultiples%dx%d", kernels{multipleBits, tokensVNNI}),
		call("intVNNIMultiplesHalf", "is intVNNIMultiples for groups of half a step.", "intVNNIMultiplesHalf%dx%d", kernels{multipleBits, tokensVNNI}),
		call("intAVX2", "multiplies a row tile with some tokens.", "intAVX2W%dx%d", kernels{allBits, tokens256}),
		call("intAVX2Group", "is intAVX2 for tokens in groups of channels.", "intAVX2Group%dx%d", kernels{byteBits, tokens256}),
		call("intAVXVNNI", "multiplies a row tile with some tokens.", "intAVXVNNI%dx%d", kernels{allBits, tokens256}),
		call("intAVXVNNIGroup", "is intAVXVNNI for tokens in groups of channels.", "intAVXVNNIGroup%dx%d", kernels{byteBits, tokens256}),
		call("intAVXVNNILevels", "is intAVXVNNIGroup where nibbles are indices into a table of levels.", "intAVXVNNILevels%dx%d", kernels{nibbles, tokens256}),
		call("intAVX2Multiples", "is intAVX2 for weights whose groups' scales are multiples of their row's.", "intAVX2Multiples%dx%d", kernels{multipleBits, tokens256}),
		call("intAVX2MultiplesHalf", "is intAVX2Multiples for groups of half a step.", "intAVX2MultiplesHalf%dx%d", kernels{multipleBits, tokens256}),
		call("intAVXVNNIMultiples", "is intAVXVNNI for weights whose groups' scales are multiples of their row's.", "intAVXVNNIMultiples%dx%d", kernels{multipleBits, tokens256}),
		call("intAVXVNNIMultiplesHalf", "is intAVXVNNIMultiples for groups of half a step.", "intAVXVNNIMultiplesHalf%dx%d", kernels{multipleBits, tokens256}),
		call("intFloat512", "multiplies two row tiles with some float tokens.", "intFloat512W%dx%d", kernels{floatBits, floatTokens512}),
		call("intFloat256", "multiplies a row tile with some float tokens.", "intFloat256W%dx%d", kernels{floatBits, floatTokens256}),
		{"intVNNITile", "multiplies a row tile with 12 tokens.", "args *intArgs", "args", "intVNNITile%dx12", false, []kernels{{byteBits, nil}}},
		{"intVNNIFineTile", "is intVNNITile for tokens in groups of channels where each group of the weights is one part.", "args *intArgs", "args", "intVNNIFineTile%dx12", false, []kernels{{byteBits, nil}}},
		{"intVNNILevelsTile", "is intVNNIFineTile where nibbles are indices into a table of levels.", "args *intArgs", "args", "intVNNILevelsTile%dx12", false, []kernels{{nibbles, nil}}},
		{"intUnpack512", "unpacks two row tiles of bit planes to bytes.", "args *intUnpackArgs", "args", "intUnpack512W%d", false, []kernels{{planeBits, nil}}},
		{"intUnpackAVX2", "unpacks a row tile of bit planes to bytes.", "args *intUnpackArgs", "args", "intUnpackAVX2W%d", false, []kernels{{planeBits, nil}}},
		{"intUnpackTimesAVX2", "unpacks a row tile to bytes that are multiplied with their groups' multiples.", "args *intTimesUnpackArgs", "args", "intUnpackTimesAVX2W%d", false, []kernels{{multipleBits, nil}}},
		{"intUnpackTimesHalfAVX2", "is intUnpackTimesAVX2 for groups of half a step.", "args *intTimesUnpackArgs", "args", "intUnpackTimesHalfAVX2W%d", false, []kernels{{planeBits, nil}}},
		{"intUnpackTimes512", "unpacks a row tile to bytes that are multiplied with their groups' multiples.", "args *intTimesUnpackArgs", "args", "intUnpackTimes512W%d", false, []kernels{{multipleBits, nil}}},
		{"intUnpackTimesHalf512", "is intUnpackTimes512 for groups of half a step.", "args *intTimesUnpackArgs", "args", "intUnpackTimesHalf512W%d", false, []kernels{{planeBits, nil}}},
	}}},
	{"integer/calls_arm64.go", "int_calls.tmpl", values{"Package": "integer", "Unsafe": true, "Families": []family{
		call("intDot", "multiplies a row tile with some tokens.", "intDot%dx%d", kernels{allBits, tokensNEON}),
		call("intDotGroup", "is intDot for tokens in groups of channels.", "intDotGroup%dx%d", kernels{byteBits, tokensNEON}),
		call("intNEON", "multiplies a row tile with some tokens.", "intNEON%dx%d", kernels{allBits, tokensNEON}),
		call("intNEONGroup", "is intNEON for tokens in groups of channels.", "intNEONGroup%dx%d", kernels{byteBits, tokensNEON}),
		call("intFloatNEON", "multiplies a row tile with some float tokens.", "intFloatNEON%dx%d", kernels{byteBits, floatTokensNEON}),
		call("intDotMultiples", "is intDot where groups' scales are multiples of their row's.", "intDotMultiples%dx%d", kernels{multipleBits, tokensNEON}),
		call("intDotMultiplesHalf", "is intDotMultiples for groups of 16 inputs.", "intDotMultiplesHalf%dx%d", kernels{multipleBits, tokensNEON}),
		call("intNEONMultiples", "is intNEON where groups' scales are multiples of their row's.", "intNEONMultiples%dx%d", kernels{multipleBits, tokensNEON}),
		call("intNEONMultiplesHalf", "is intNEONMultiples for groups of 16 inputs.", "intNEONMultiplesHalf%dx%d", kernels{multipleBits, tokensNEON}),
		{"intTimesNEON", "multiplies a row tile of signed bytes with the multiples of their groups.", "dst, multiples unsafe.Pointer, groups, quads, last int", "dst, multiples, groups, quads, last", "intTimesNEON%d", false, []kernels{{multipleBits, nil}}},
		{"intUnpackNEON", "unpacks a row tile of bit planes to bytes.", "dst, src unsafe.Pointer, steps, add int", "dst, src, steps, add", "intUnpackNEON%d", false, []kernels{{planeBits, nil}}},
	}}},
}

// A family of integer kernels is called through one Go function: see int_calls.tmpl.
type family struct {
	Name, Doc, Parameters, Arguments, Format string
	Width                                    bool
	Kernels                                  []kernels
}

// call is a family whose routines take intArgs.
func call(name, doc, format string, list ...kernels) family {
	return family{name, doc, "args *intArgs", "args", format, true, list}
}
