package main

import (
	"errors"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/gguf"
	"github.com/specquant/specquant/internal/report"
)

// inspection is the JSON output of inspect.
type inspection struct {
	Model            string        `json:"model"`
	Architecture     string        `json:"architecture"`
	Blocks           int           `json:"blocks"`
	Hidden           int           `json:"hidden_size"`
	FeedForward      int           `json:"intermediate_size"`
	Heads            int           `json:"heads"`
	KVHeads          int           `json:"kv_heads"`
	HeadDim          int           `json:"head_dim"`
	Context          int           `json:"context"` // tokens that the model was made for
	RopeTheta        float64       `json:"rope_theta"`
	RopeScaling      string        `json:"rope_scaling,omitempty"`
	RopeFactor       float64       `json:"rope_factor,omitempty"`
	Window           int           `json:"sliding_window,omitempty"` // tokens; 0: all are seen
	Vocabulary       int           `json:"vocabulary"`
	Tied             bool          `json:"tied_embeddings"`
	Parameters       int64         `json:"parameters"`
	LinearParameters int64         `json:"linear_parameters"` // of the blocks' linear layers
	Bytes            int64         `json:"bytes"`             // of all tensors on disk
	Files            int           `json:"files"`
	Tokenizer        tokenizerInfo `json:"tokenizer"`
	conversation
	Unused    []string       `json:"unused_tensors,omitempty"`
	Quantized *quantizedInfo `json:"quantized,omitempty"` // none: a checkpoint in full precision
	Spectrum  *spectrumInfo  `json:"spectrum,omitempty"`  // none: --brief, or quantized
	GGUF      []typeInfo     `json:"gguf_types,omitempty"`
}

type tokenizerInfo struct {
	Kind   string   `json:"kind"`
	Tokens int      `json:"tokens"`
	Notes  []string `json:"notes,omitempty"`
}

type quantizedInfo struct {
	Bits     string             `json:"bits"`
	Format   int                `json:"format"`
	Files    string             `json:"files"` // "verified", "sizes only" (--brief) or "no sums"
	Manifest *artefact.Manifest `json:"manifest"`
}

type spectrumInfo struct {
	Band   float64              `json:"band"`  // share of the frequencies that counts as low
	Alpha  string               `json:"alpha"` // of the smoothing
	Layers []report.SpectrumRow `json:"layers"`
}

// writeInspection is Run with --json.
func (c *inspectCmd) writeInspection(e *env, ck *checkpoint.Checkpoint) error {
	m := &ck.Config
	i := inspection{Model: c.Dir, Architecture: m.Architecture, Blocks: m.Layers, Hidden: m.HiddenSize, FeedForward: m.IntermediateSize,
		Heads: m.Heads, KVHeads: m.KVHeads, HeadDim: m.HeadDim, Context: m.MaxPositions, RopeTheta: m.RopeTheta, Window: m.SlidingWindow,
		Vocabulary: m.VocabSize, Tied: m.TieEmbeddings, Bytes: ck.Bytes(), Files: len(ck.Files())}
	if s := m.RopeScaling; s != nil {
		i.RopeScaling, i.RopeFactor = s.Kind, s.Factor
	}
	i.Parameters, i.LinearParameters = countWeights(m)
	tok, err := gguf.LoadTokenizer(ck)
	if err != nil {
		return err
	}
	i.Tokenizer = tokenizerInfo{tok.Kind(), tok.VocabSize(), tok.Warnings()}
	if i.conversation, err = readConversation(ck); err != nil {
		return err
	}
	switch {
	case ck.GGUF != nil:
		i.GGUF = ggufTypes(ck)
	case m.Quantization != nil:
		i.Quantized, err = c.quantizedInfo(ck)
	default:
		i.Unused = ck.Extra()
		if err = ck.Check(); err == nil && !c.Brief {
			i.Spectrum = &spectrumInfo{Band: report.LowBand}
			rows, alpha, failed := c.spectrum(e, ck)
			i.Spectrum.Alpha, i.Spectrum.Layers, err = alpha.String(), rows, failed
		}
	}
	if err != nil {
		return err
	}
	return e.writeJSON(i)
}

func (c *inspectCmd) quantizedInfo(ck *checkpoint.Checkpoint) (*quantizedInfo, error) {
	q, err := artefact.ParseQuantization(ck.Config.Quantization, c.Dir+"/config.json")
	if err != nil {
		return nil, err
	}
	i := &quantizedInfo{Bits: q.Bits.String(), Format: q.Version, Files: "sizes only"}
	if !c.Brief || ck.Sums() == nil {
		switch err := ck.Verify(); {
		case errors.Is(err, checkpoint.ErrNoSums):
			i.Files = "no sums"
		case err != nil:
			return nil, err
		default:
			i.Files = "verified"
		}
	}
	i.Manifest, err = artefact.ReadManifest(c.Dir)
	return i, err
}
