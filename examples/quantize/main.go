// Command quantize quantizes a checkpoint and prints what was lost in each layer.
//
//	go run ./examples/quantize DIR OUT
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/specquant/specquant"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: quantize DIR OUT")
	}
	dir, out := os.Args[1], os.Args[2]
	// An interrupted job is taken up by the same command.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o := specquant.QuantizeOptions{Bits: "4-8-8"}
	plan, err := specquant.PlanQuantize(dir, o)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s at %s: %.1f GB of memory, %s to %s\n", plan.Recipe, plan.Bits, float64(plan.Peak)/1e9, plan.Least.Round(1e9), plan.Most.Round(1e9))
	o.Progress = func(e specquant.Event) {
		if e.Layers != nil {
			fmt.Printf("block %d of %d\n", e.Block, e.Blocks)
		}
	}
	report, err := specquant.Quantize(ctx, dir, out, o)
	if err != nil {
		log.Fatal(err)
	}
	for _, l := range report.Layers {
		fmt.Printf("%-40s %.3f bits a weight, output error %.4f\n", l.Name, l.BitsPerWeight, l.Error)
	}
	for _, line := range specquant.FallbackLines(report.Fallbacks) {
		fmt.Println("fallback:", line)
	}
}
