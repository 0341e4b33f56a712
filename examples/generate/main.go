// Command generate continues a text, printing each token as soon as it is known.
//
//	go run ./examples/generate DIR "Once upon a time"
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
	if len(os.Args) != 3 {
		log.Fatal("usage: generate DIR PROMPT")
	}
	model, err := specquant.Open(os.Args[1], specquant.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	fmt.Print(os.Args[2])
	for token, err := range model.Generate(context.Background(), os.Args[2], specquant.GenerateOptions{MaxTokens: 128, Temperature: 0.8, Seed: 1}) {
		if err != nil {
			log.Fatal(err) // such as a *specquant.ContextError, where the prompt is too long
		}
		fmt.Print(token.Text)
	}
	fmt.Println()
}
