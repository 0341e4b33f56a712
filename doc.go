// Package specquant quantizes language models, measures how much accuracy that costs, and runs
// the result on a CPU, in pure Go. Supported are LLaMA and related architectures: see
// docs/ARCHITECTURES.md.
//
// Each method is a recipe: see [Recipes] and docs/RECIPES.md. They include SpecQuant (AAAI-26,
// arXiv 2511.11663), which moves activation outliers into the weights, keeps a low-frequency
// part of the weights in 16 bits and quantizes the rest to 4, and the methods that it is
// compared with.
//
// # What to call
//
// [Quantize] reads a Hugging Face checkpoint (config.json, safetensors, tokenizer) and
// writes a folder that [Open] can open. [PlanQuantize] returns beforehand how much memory, disk
// and time that takes. To continue a job that was interrupted, repeat the call.
//
//	report, err := specquant.Quantize(ctx, "Llama-3.2-1B", "Llama-3.2-1B-sq", specquant.QuantizeOptions{})
//
// [Open] opens that folder, or a full-precision checkpoint, and [Model.Generate]
// continues a text:
//
//	model, err := specquant.Open("Llama-3.2-1B-sq", specquant.Options{})
//	…
//	defer model.Close()
//	for token, err := range model.Generate(ctx, "Once upon a time", specquant.GenerateOptions{MaxTokens: 64}) {
//		…
//	}
//
// [Model.Perplexity] and [Model.RunTasks] measure a model, [Model.Divergence] and
// [Diff] compare it with another, and [CompareRecipes] makes a table of recipes and bit
// settings. The folder examples/ has a small program for each of these.
//
// # What may be relied on
//
// Before version 1 a release with a new minor number may change this package; its
// notes then say how. Within a minor number, what is exported here keeps its meaning,
// fields may be added, and folders written by an earlier version can be opened.
// Results are deterministic: the same checkpoint, options and version give the same
// bytes and the same tokens, whatever the number of threads. Messages of errors are for
// people and may change; [ErrMalformed] and the error types are for programs.
// Everything under internal/ may change at any time.
package specquant
