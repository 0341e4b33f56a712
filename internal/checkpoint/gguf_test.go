package checkpoint

import (
	"encoding/binary"
	"math"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/testdata"
)

// ggufBuilder writes GGUF files for tests.
type ggufBuilder struct{ b []byte }

func (g *ggufBuilder) u32(v uint32) *ggufBuilder {
	g.b = binary.LittleEndian.AppendUint32(g.b, v)
	return g
}

func (g *ggufBuilder) u64(v uint64) *ggufBuilder {
	g.b = binary.LittleEndian.AppendUint64(g.b, v)
	return g
}

func (g *ggufBuilder) str(s string) *ggufBuilder {
	g.u64(uint64(len(s)))
	g.b = append(g.b, s...)
	return g
}

func newGGUF(version uint32, tensors, keys uint64) *ggufBuilder {
	g := &ggufBuilder{b: []byte("GGUF")}
	return g.u32(version).u64(tensors).u64(keys)
}

func (g *ggufBuilder) tensor(name string, kind uint32, off uint64, dims ...uint64) *ggufBuilder {
	g.str(name).u32(uint32(len(dims)))
	for _, d := range dims {
		g.u64(d)
	}
	return g.u32(kind).u64(off)
}

// data pads to 32 bytes and appends n zero bytes.
func (g *ggufBuilder) data(n int) []byte {
	for len(g.b)%32 != 0 {
		g.b = append(g.b, 0)
	}
	return append(g.b, make([]byte, n)...)
}

func TestGGUFAccepts(t *testing.T) {
	b := newGGUF(2, 2, 6)
	b.str("u").u32(ggufU32).u32(7)
	b.str("s").u32(ggufString).str("text")
	b.str("f").u32(ggufF32).u32(math.Float32bits(1.5))
	b.str("a").u32(ggufArray).u32(ggufString).u64(2).str("x").str("")
	b.str("i").u32(ggufArray).u32(ggufI32).u64(1).u32(0xffffffff)
	b.str("l").u32(ggufI64).u64(1<<64 - 5)
	data := b.tensor("w", 0, 0, 3, 2).tensor("n", 30, 32, 4).data(40)
	binary.LittleEndian.PutUint32(data[len(data)-40:], math.Float32bits(2.5))
	g, err := OpenGGUF(writeTemp(t, "x.gguf", data))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	want := map[string]any{"u": uint32(7), "s": "text", "f": float32(1.5), "a": []string{"x", ""}, "i": []int32{-1}, "l": int64(-5)}
	if !reflect.DeepEqual(g.Metadata, want) {
		t.Errorf("metadata %#v, expected %#v", g.Metadata, want)
	}
	w, _ := g.Tensor("w")
	dst := make([]float32, 6)
	if err := w.Float32(dst); err != nil || dst[0] != 2.5 || !slices.Equal(w.Shape, []int{2, 3}) {
		t.Errorf("tensor %v %v (%v)", w.Shape, dst, err)
	}
	if n, ok := g.Tensor("n"); !ok || n.DType != BF16 || !slices.Equal(g.Names(), []string{"n", "w"}) {
		t.Errorf("tensor %+v, names %v", n, g.Names())
	}
}

func TestGGUFRefuses(t *testing.T) {
	key := func() *ggufBuilder { return newGGUF(3, 0, 1).str("k") }
	one := func() *ggufBuilder { return newGGUF(3, 1, 0) }
	tests := []struct {
		name  string
		data  []byte
		kind  error
		parts []string
	}{
		{"empty", nil, ErrMalformed, []string{"truncated"}},
		{"magic", []byte("GGML............"), ErrMalformed, []string{"GGML"}},
		{"version 4", newGGUF(4, 0, 0).b, ErrUnsupported, []string{"version 4"}},
		{"big-endian", newGGUF(3<<24, 0, 0).b, ErrUnsupported, []string{"big-endian"}},
		{"tensor count", newGGUF(3, 1<<40, 0).data(0), ErrMalformed, []string{"tensor count", "at most"}},
		{"tensor count beyond file", newGGUF(3, 1<<19, 0).data(0), ErrMalformed, []string{"tensor count", "room for"}},
		{"key count", newGGUF(3, 0, 1<<63).data(0), ErrMalformed, []string{"metadata count"}},
		{"string length", key().u32(ggufString).u64(1 << 62).data(0), ErrMalformed, []string{`"k"`, "at most 16777216"}},
		{"string beyond file", key().u32(ggufString).u64(100).data(0), ErrMalformed, []string{`"k"`, "truncated"}},
		{"array length", key().u32(ggufArray).u32(ggufU8).u64(1 << 60).data(0), ErrMalformed, []string{`"k"`, "at most"}},
		{"array beyond file", key().u32(ggufArray).u32(ggufF64).u64(1 << 25).data(0), ErrMalformed, []string{`"k"`, "truncated"}},
		{"nested array", key().u32(ggufArray).u32(ggufArray).data(0), ErrMalformed, []string{`"k"`, "type 9"}},
		{"value type", key().u32(77).data(0), ErrMalformed, []string{"77"}},
		{"bool", append(key().u32(ggufBool).b, 2), ErrMalformed, []string{"expected 0 or 1"}},
		{"duplicate key", newGGUF(3, 0, 2).str("k").u32(ggufU32).u32(1).str("k").u32(ggufU32).u32(1).data(0), ErrMalformed, []string{`"k"`, "twice"}},
		{"alignment", newGGUF(3, 0, 1).str("general.alignment").u32(ggufU32).u32(24).data(0), ErrMalformed, []string{"general.alignment", "24"}},
		{"alignment zero", newGGUF(3, 0, 1).str("general.alignment").u32(ggufU32).u32(0).data(0), ErrMalformed, []string{"general.alignment"}},
		{"integers", one().tensor("w", 26, 0, 32).data(128), ErrUnsupported, []string{`"w"`, "I32", "BF16"}},
		{"removed type", one().tensor("w", 31, 0, 32).data(18), ErrUnsupported, []string{`"w"`, "Q4_0_4_4"}},
		{"part of a block", one().tensor("w", 12, 0, 128, 2).data(144), ErrMalformed, []string{`"w"`, "128 elements", "256"}},
		{"truncated blocks", one().tensor("w", 2, 0, 32, 2).data(35), ErrMalformed, []string{`"w"`, "truncated"}},
		{"giant blocks", one().tensor("w", 2, 0, 1<<40, 1<<20).data(35), ErrMalformed, []string{`"w"`, "truncated"}},
		{"more than giant blocks", one().tensor("w", 2, 0, 1<<40, 1<<22).data(35), ErrMalformed, []string{`"w"`}},
		{"unknown type", one().tensor("w", 999, 0, 32).data(18), ErrUnsupported, []string{"999"}},
		{"dimensions", one().tensor("w", 0, 0, 1, 1, 1, 1, 1).data(4), ErrMalformed, []string{"5 dimensions"}},
		{"zero dimension", one().tensor("w", 0, 0, 0).data(4), ErrMalformed, []string{"dimension 0 is 0"}},
		{"negative dimension", one().tensor("w", 0, 0, 1<<63).data(4), ErrMalformed, []string{"9223372036854775808"}},
		{"overflow", one().tensor("w", 0, 0, 1<<32, 1<<32).data(4), ErrMalformed, []string{"overflows"}},
		{"offset overflow", one().tensor("w", 0, 1<<63-32, 8).data(32), ErrMalformed, []string{"offset"}},
		{"offset unaligned", one().tensor("w", 0, 4, 8).data(36), ErrMalformed, []string{"multiple of 32"}},
		{"truncated", one().tensor("w", 0, 0, 8).data(31), ErrMalformed, []string{`"w"`, "truncated", "up to 96", "95"}},
		{"giant", one().tensor("w", 0, 0, 1<<40).data(31), ErrMalformed, []string{"truncated"}},
		{"overlap", newGGUF(3, 2, 0).tensor("a", 0, 0, 16).tensor("b", 0, 32, 8).data(64), ErrMalformed, []string{`"b"`, "overlaps", `"a"`}},
		{"duplicate tensor", newGGUF(3, 2, 0).tensor("a", 0, 0, 8).tensor("a", 0, 32, 8).data(64), ErrMalformed, []string{`"a"`, "twice"}},
		{"no name", one().tensor("", 0, 0, 8).data(64), ErrMalformed, []string{"name"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := writeTemp(t, "x.gguf", tt.data)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			g, err := OpenGGUF(p)
			runtime.ReadMemStats(&after)
			if err == nil {
				g.Close()
			}
			wantErr(t, err, tt.kind, append(tt.parts, p)...)
			if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
				t.Errorf("allocated %d bytes for a file of %d", n, len(tt.data))
			}
		})
	}
}

// Every cut of a real header is refused, and none panics.
func TestGGUFTruncatedAnywhere(t *testing.T) {
	b := newGGUF(3, 1, 2)
	b.str("s").u32(ggufArray).u32(ggufString).u64(1).str("text")
	b.str("f").u32(ggufBool).b = append(b.b, 1)
	data := b.tensor("w", 0, 0, 8).data(32)
	for n := range data {
		_, err := OpenGGUF(writeTemp(t, "x.gguf", data[:n]))
		wantErr(t, err, ErrMalformed, "truncated")
	}
}

func TestGGUFVocabulary(t *testing.T) {
	g, err := OpenGGUF(testdata.Path(t, "models", "stories260k", "stories260K-f32.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	tokens, scores, types, model, bos, eos, err := g.Vocabulary()
	if err != nil {
		t.Fatal(err)
	}
	if len(tokens) != 512 || len(scores) != 512 || len(types) != 512 || model != "llama" || bos != 1 || eos != 2 ||
		tokens[0] != "<unk>" || tokens[3] != "<0x00>" || types[3] != 6 {
		t.Errorf("%d tokens, %d scores, %d types, %s, %d, %d", len(tokens), len(scores), len(types), model, bos, eos)
	}
	g.Metadata["tokenizer.ggml.scores"] = []float32{1}
	_, _, _, _, _, _, err = g.Vocabulary()
	wantErr(t, err, ErrMalformed, "tokenizer.ggml.scores", "512")
	g.Metadata["tokenizer.ggml.scores"] = nil
	g.Metadata["tokenizer.ggml.eos_token_id"] = uint32(512)
	_, _, _, _, _, _, err = g.Vocabulary()
	wantErr(t, err, ErrMalformed, "eos_token_id", "512")
}
