// Command mkmodel writes a random checkpoint of any shape, to measure memory
// and time on, or the small one of a family that goldens are of.
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
	family := flag.String("family", "", "write the golden model of this name, such as gemma3; other flags don't count")
	flag.Parse()
	o.DType = checkpoint.DType(*dtype)
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: mkmodel [flags] DIR")
		os.Exit(2)
	}
	write := func(dir string) error { return testmodel.Write(dir, o) }
	if *family != "" {
		write = func(string) error { return fmt.Errorf("no golden model of %q", *family) }
		for _, f := range testmodel.Families() {
			if f.Name == *family {
				write = f.Write
			}
		}
	}
	if err := write(flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "mkmodel:", err)
		os.Exit(1)
	}
}
