package main

import "strings"

// Attention.
var kvFiles = []file{
	{"kv_score512_amd64.s", "kv_score512_amd64.tmpl", values{"Shapes": kvScore512}},
	{"kv_combine512_amd64.s", "kv_combine512_amd64.tmpl", values{"Shapes": kvCombine512}},
	{"kv_avx2_amd64.s", "kv_avx2_amd64.tmpl", values{"Scores": kvScore256, "Combines": kvCombine256}},
	{"kv_calls_amd64.go", "kv_calls.tmpl", values{"Families": []values{
		kvCall("kvScore512", "avx512", kvScore512), kvCall("kvCombine512", "avx512", kvCombine512),
		kvCall("kvScore256", "avx2", kvScore256), kvCall("kvCombine256", "avx2", kvCombine256),
	}}},
	{"kv_calls_arm64.go", "kv_calls.tmpl", values{"Families": []values{
		kvCall("kvScoreNEON", "NEON", kvScore256), kvCall("kvCombineNEON", "NEON", kvCombine256),
	}}},
}

// kvCall is a function that calls the kernels of some shapes: see kv_calls.tmpl.
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
