package main

import "strings"

// Attention.
var kvFiles = []file{
	{"kv/score512_amd64.s", "kv_score512_amd64.tmpl", values{"Shapes": kvScore512}},
	{"kv/combine512_amd64.s", "kv_combine512_amd64.tmpl", values{"Shapes": kvCombine512}},
	{"kv/avx2_amd64.s", "kv_avx2_amd64.tmpl", values{"Scores": kvScore256, "Combines": kvCombine256}},
	{"kv/int512_amd64.s", "kv_int512_amd64.tmpl", values{"Scores": kvScore512, "Combines": kvIntCombine512}},
	{"kv/amx_amd64.s", "kv_amx_amd64.tmpl", nil},
	{"kv/int256_amd64.s", "kv_int256_amd64.tmpl", values{"Scores": kvIntScore256, "Combines": kvIntCombine256}},
	{"kv/softmax512_amd64.s", "kv_softmax512_amd64.tmpl", nil},
	{"kv/softmax256_amd64.s", "kv_softmax256_amd64.tmpl", nil},
	{"kv/int_arm64.s", "kv_int_arm64.tmpl", values{"Shapes": kvIntNarrow}},
	{"kv/calls_amd64.go", "kv_calls.tmpl", values{"Package": "kv", "Families": []values{
		kvCall("kvScore512", "avx512", kvScore512), kvCall("kvCombine512", "avx512", kvCombine512),
		kvCall("kvScore256", "avx2", kvScore256), kvCall("kvCombine256", "avx2", kvCombine256),
		kvCall("kvIntScore512", "AVX512VNNI", kvScore512), kvCall("kvIntCombine512", "AVX512VNNI", kvIntCombine512),
		kvCall("kvIntScore256", "IntAVX2", kvIntNarrow), kvCall("kvIntCombine256", "IntAVX2", kvIntCombine256),
	}}},
	{"kv/calls_arm64.go", "kv_calls.tmpl", values{"Package": "kv", "Families": []values{
		kvCall("kvScore", "NEON", kvScore256), kvCall("kvCombine", "NEON", kvCombine256),
		kvCall("kvIntScore", "NEON", kvIntNarrow), kvCall("kvIntCombine", "NEON", kvIntNarrow),
	}}},
}

// kvCall is a function that calls the kernels of some shapes: see kv_calls.tmpl.
func kvCall(name, suffix string, shapes []shape) values {
	v := values{"Name": name, "Suffix": suffix, "Shapes": shapes, "Kinds": []int{16}}
	args := "kv"
	if strings.HasPrefix(name, "kvInt") {
		args, v["Kinds"] = "kvInt", []int{4, 8}
	}
	if strings.Contains(name, "Score") {
		v["Doc"] = "multiplies rows of queries with as many positions as a group has"
		v["Routine"], v["Args"], v["Width"] = "kvScore", args+"ScoreArgs", "positions"
	} else {
		v["Doc"] = "adds values times rows of weights to the sums, for some dimensions"
		v["Routine"], v["Args"], v["Width"] = "kvCombine", args+"CombineArgs", "dims"
	}
	return v
}
