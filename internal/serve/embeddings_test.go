package serve

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/openai/openai-go/v3"
)

// TestEmbeddings: OpenAI's client gets a vector of length 1 for each text, the same alone
// and among others, as numbers and as base64.
func TestEmbeddings(t *testing.T) {
	_, url, _ := server(t, Options{})
	c := client(url)
	texts := []string{"a cat", "a dog", "a cat", "something else altogether, and longer"}
	got, err := c.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: "test", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: texts}})
	if err != nil || len(got.Data) != len(texts) || got.Usage.PromptTokens != 5*3+37+4 && got.Usage.PromptTokens != 5*3+37 {
		t.Fatalf("%+v, error %v", got, err)
	}
	for i, text := range texts {
		sum := 0.0
		for _, v := range got.Data[i].Embedding {
			sum += v * v
		}
		if math.Abs(sum-1) > 1e-5 || got.Data[i].Index != int64(i) {
			t.Errorf("text %d has length² %v", i, sum)
		}
		alone, err := c.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: "test", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String(text)}})
		if err != nil || !slices.Equal(alone.Data[0].Embedding, got.Data[i].Embedding) {
			t.Errorf("text %d alone: error %v, or another vector", i, err)
		}
	}
	if !slices.Equal(got.Data[0].Embedding, got.Data[2].Embedding) || slices.Equal(got.Data[0].Embedding, got.Data[1].Embedding) {
		t.Error("equal texts differ, or different ones are equal")
	}
	_, _, body := call(t, "POST", url+"/v1/embeddings", `{"input":"a cat","encoding_format":"base64"}`)
	var coded struct{ Data []struct{ Embedding string } }
	if err := json.Unmarshal([]byte(body), &coded); err != nil {
		t.Fatal(err, body)
	}
	bytes, err := base64.StdEncoding.DecodeString(coded.Data[0].Embedding)
	if err != nil || len(bytes) != 4*len(got.Data[0].Embedding) {
		t.Fatalf("%d bytes, error %v", len(bytes), err)
	}
	for i, want := range got.Data[0].Embedding {
		if v := math.Float32frombits(binary.LittleEndian.Uint32(bytes[4*i:])); v != float32(want) {
			t.Fatalf("number %d: %v, expected %v", i, v, want)
		}
	}
}
