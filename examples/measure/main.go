// Command measure holds a quantized model against the checkpoint that it was made
// from, on a text that it was not calibrated on.
//
//	go run ./examples/measure QUANTIZED CHECKPOINT TEXT
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/specquant/specquant"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: measure QUANTIZED CHECKPOINT TEXT")
	}
	text, err := os.ReadFile(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	var models []*specquant.Model
	for _, dir := range os.Args[1:3] {
		m, err := specquant.Open(dir, specquant.Options{})
		if err != nil {
			log.Fatal(err)
		}
		defer m.Close()
		models = append(models, m)
	}
	d, err := models[0].Divergence(context.Background(), models[1], string(text), specquant.DivergenceOptions{MaxWindows: 8, Strict: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("perplexity   %.4g ± %.2g, full precision %.4g\n", d.Perplexity.Mean, d.Perplexity.StdErr, d.PerplexityRef.Mean)
	fmt.Printf("divergence   %.4g ± %.2g nats a token\n", d.KL.Mean, d.KL.StdErr)
	fmt.Printf("same choice  %.1f %% of %d tokens\n", 100*d.Top1.Mean, d.Tokens)
	fmt.Println(d.Fingerprint)
}
