package specquant_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/testmodel"
)

// tinyModel writes a random checkpoint of two blocks, so that the examples run
// anywhere; remove deletes it. Yours is a folder that you have.
func tinyModel() (folder string, remove func()) {
	tmp, err := os.MkdirTemp("", "specquant-example-")
	if err != nil {
		log.Fatal(err)
	}
	folder = filepath.Join(tmp, "tiny")
	if err := testmodel.Write(folder, testmodel.Options{}); err != nil {
		log.Fatal(err)
	}
	return folder, func() { os.RemoveAll(tmp) }
}

func ExampleQuantize() {
	folder, remove := tinyModel()
	defer remove()
	report, err := specquant.Quantize(context.Background(), folder, folder+"-sq", specquant.QuantizeOptions{
		Recipe:    "rtn",
		Bits:      "4-8-8",
		MaxMemory: 8e9,  // bytes
		KeepBad:   true, // the model is random: there is nothing to lose
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d layers, %.2f bits a weight\n", len(report.Layers), report.BitsPerWeight)
	// Output: 14 layers, 4.73 bits a weight
}

func ExamplePlanQuantize() {
	folder, remove := tinyModel()
	defer remove()
	plan, err := specquant.PlanQuantize(folder, specquant.QuantizeOptions{Recipe: "rtn"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(plan.Recipe, "at", plan.Bits, "takes", plan.Blocks, "blocks one at a time")
	// Output: rtn at 4-4-4 takes 2 blocks one at a time
}

func ExampleModel_Generate() {
	folder, remove := tinyModel()
	defer remove()
	model, err := specquant.Open(folder, specquant.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	n := 0
	for token, err := range model.Generate(context.Background(), "Once upon a time", specquant.GenerateOptions{MaxTokens: 8, IgnoreEOS: true}) {
		if err != nil {
			log.Fatal(err)
		}
		if token.ID >= 0 { // the last may be the rest of a character
			n++
		}
	}
	fmt.Println(n, "tokens")
	// Output: 8 tokens
}

func ExampleModel_Perplexity() {
	folder, remove := tinyModel()
	defer remove()
	model, err := specquant.Open(folder, specquant.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	text := strings.Repeat("A text that is long enough for a window. ", 20)
	r, err := model.Perplexity(context.Background(), text, specquant.PerplexityOptions{MaxWindows: 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Fingerprint.Windows, "windows of", r.Fingerprint.Window, "tokens by protocol", r.Fingerprint.Protocol)
	// Output: 2 windows of 64 tokens by protocol gptq
}
