// Command mkmodel writes a random checkpoint of any shape, to measure memory
// and time on.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/testmodel"
)

func main() {
	var o testmodel.Options
	flag.IntVar(&o.Hidden, "hidden", 512, "hidden size")
	flag.IntVar(&o.Intermediate, "ffn", 1408, "feed-forward size")
	flag.IntVar(&o.Layers, "layers", 48, "blocks")
	flag.IntVar(&o.Heads, "heads", 8, "query heads")
	flag.IntVar(&o.KVHeads, "kv", 4, "key and value heads")
	flag.IntVar(&o.Context, "context", 512, "context in tokens")
	flag.IntVar(&o.Shards, "shards", 1, "weight files")
	dtype := flag.String("dtype", "F32", "F32, F16 or BF16")
	flag.Parse()
	o.DType = checkpoint.DType(*dtype)
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: mkmodel [flags] DIR")
		os.Exit(2)
	}
	if err := testmodel.Write(flag.Arg(0), o); err != nil {
		fmt.Fprintln(os.Stderr, "mkmodel:", err)
		os.Exit(1)
	}
}
