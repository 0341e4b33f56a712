package testmodel

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
)

// expertArchitectures are what GGUF files call the families with experts, by the name of
// their golden.
var expertArchitectures = map[string]string{"mixtral": "llama", "qwen3-moe-all": "qwen3moe", "olmoe": "olmoe"}

// GGUFKinds are the types that [Family.WriteGGUF] writes matrices in.
var GGUFKinds = []string{"F16", "Q8_0"}

// HasGGUF reports whether [Family.WriteGGUF] knows the family: those with experts in all
// blocks.
func (f Family) HasGGUF() bool { return expertArchitectures[f.Name] != "" }

// WriteGGUF writes the model as a GGUF file, with matrices of a kind of [GGUFKinds] and no
// tokenizer: the bytes that families/make_gguf.py writes with gguf-py.
func (f Family) WriteGGUF(path, kind string) error {
	c, err := checkpoint.ParseConfig(f.Config, "config.json")
	if err != nil {
		return err
	}
	w := &ggufWriter{arch: expertArchitectures[f.Name], kind: kind}
	w.metadata(f, &c)
	w.tensors(&c)
	return os.WriteFile(path, w.bytes(), 0o644)
}

// ggufWriter lays out a GGUF file of version 3.
type ggufWriter struct {
	arch, kind         string
	keys, tensorsCount uint64
	kv, infos, data    []byte
}

const (
	ggufU32, ggufF32, ggufString = 4, 6, 8
	ggufTypeF32, ggufTypeF16     = 0, 1
	ggufTypeQ80                  = 8
	ggufAlign                    = 32
)

func ggufText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

func (w *ggufWriter) key(name string, kind uint32) {
	w.kv = binary.LittleEndian.AppendUint32(ggufText(w.kv, name), kind)
	w.keys++
}

func (w *ggufWriter) u32(name string, v int) {
	w.key(w.arch+"."+name, ggufU32)
	w.kv = binary.LittleEndian.AppendUint32(w.kv, uint32(v))
}

func (w *ggufWriter) f32(name string, v float64) {
	w.key(w.arch+"."+name, ggufF32)
	w.kv = binary.LittleEndian.AppendUint32(w.kv, math.Float32bits(float32(v)))
}

func (w *ggufWriter) metadata(f Family, c *checkpoint.Config) {
	w.key("general.architecture", ggufString)
	w.kv = ggufText(w.kv, w.arch)
	qwen := f.Name == "qwen3-moe-all"
	forward := c.IntermediateSize
	if qwen {
		forward = 112 // of the blocks without experts, of which it has none
	}
	w.u32("block_count", c.Layers)
	w.u32("context_length", c.MaxPositions)
	w.u32("embedding_length", c.HiddenSize)
	w.u32("feed_forward_length", forward)
	w.u32("attention.head_count", c.Heads)
	w.u32("attention.head_count_kv", c.KVHeads)
	w.u32("attention.key_length", c.HeadDim)
	w.u32("attention.value_length", c.HeadDim)
	w.f32("attention.layer_norm_rms_epsilon", c.NormEps)
	w.f32("rope.freq_base", c.RopeTheta)
	w.u32("expert_count", c.Experts.Count)
	w.u32("expert_used_count", c.Experts.Used)
	if qwen {
		w.u32("expert_feed_forward_length", c.IntermediateSize)
	}
}

// tensors adds all tensors, the layers of a block's experts in one each.
func (w *ggufWriter) tensors(c *checkpoint.Config) {
	get := func(name string, shape ...int) []float32 { return values(c.InFile(name), shape, 0) }
	q, kv, h, inner, vocab := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim, c.HiddenSize, c.IntermediateSize, c.VocabSize
	w.add("token_embd.weight", get("model.embed_tokens.weight", vocab, h), false, vocab, h)
	for i := range c.Layers {
		hf, to := fmt.Sprintf("model.layers.%d.", i), fmt.Sprintf("blk.%d.", i)
		norm := func(name string, place checkpoint.Norm) {
			if n := c.NormWidth(place); c.HasNorm(place) {
				w.add(to+name+".weight", get(hf+c.NormName(place)+".weight", n), true, n)
			}
		}
		norm("attn_norm", checkpoint.AttnNorm)
		w.add(to+"attn_q.weight", w.paired(get(hf+"self_attn.q_proj.weight", q, h), c.Heads, h), false, q, h)
		w.add(to+"attn_k.weight", w.paired(get(hf+"self_attn.k_proj.weight", kv, h), c.KVHeads, h), false, kv, h)
		w.add(to+"attn_v.weight", get(hf+"self_attn.v_proj.weight", kv, h), false, kv, h)
		norm("attn_q_norm", checkpoint.QNorm)
		norm("attn_k_norm", checkpoint.KNorm)
		w.add(to+"attn_output.weight", get(hf+"self_attn.o_proj.weight", h, q), false, h, q)
		norm("ffn_norm", checkpoint.MLPNorm)
		w.add(to+"ffn_gate_inp.weight", get(hf+checkpoint.Router+".weight", c.Experts.Count, h), true, c.Experts.Count, h)
		for _, part := range []string{"gate", "up", "down"} {
			rows, cols := inner, h
			if part == "down" {
				rows, cols = h, inner
			}
			var all []float32
			for e := range c.Experts.Count {
				all = append(all, get(hf+checkpoint.ExpertPrefix(e)+part+"_proj.weight", rows, cols)...)
			}
			w.add(to+"ffn_"+part+"_exps.weight", all, false, c.Experts.Count, rows, cols)
		}
	}
	w.add("output_norm.weight", get("model.norm.weight", h), true, h)
	w.add("output.weight", get("lm_head.weight", vocab, h), false, vocab, h)
}

// paired puts the rows of q or k [heads·dim × cols] in the order of the architecture
// llama: the two that turn together side by side.
func (w *ggufWriter) paired(v []float32, heads, cols int) []float32 {
	if w.arch != "llama" {
		return v
	}
	var out []float32
	half := len(v) / cols / heads / 2
	for h := range heads {
		for j := range half {
			for part := range 2 {
				out = append(out, v[(h*2*half+part*half+j)*cols:][:cols]...)
			}
		}
	}
	return out
}

func (w *ggufWriter) add(name string, v []float32, exact bool, shape ...int) {
	kind := uint32(ggufTypeF32)
	w.data = append(w.data, make([]byte, -len(w.data)&(ggufAlign-1))...)
	at := len(w.data)
	switch {
	case exact:
		for _, x := range v {
			w.data = binary.LittleEndian.AppendUint32(w.data, math.Float32bits(x))
		}
	case w.kind == "F16":
		kind = ggufTypeF16
		for _, x := range v {
			w.data = binary.LittleEndian.AppendUint16(w.data, float.ToF16(x))
		}
	default:
		kind = ggufTypeQ80
		for block := range slices.Chunk(v, 32) {
			w.data = appendQ80(w.data, block)
		}
	}
	w.infos = binary.LittleEndian.AppendUint32(ggufText(w.infos, name), uint32(len(shape)))
	for _, n := range slices.Backward(shape) {
		w.infos = binary.LittleEndian.AppendUint64(w.infos, uint64(n))
	}
	w.infos = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(w.infos, kind), uint64(at))
	w.tensorsCount++
}

// appendQ80 is a block of Q8_0, rounded as gguf-py does: half away from zero.
func appendQ80(b []byte, v []float32) []byte {
	var top float32
	for _, x := range v {
		top = max(top, x, -x)
	}
	d := top / 127
	var inverse float32
	if d != 0 {
		inverse = 1 / d
	}
	b = binary.LittleEndian.AppendUint16(b, float.ToF16(d))
	for _, x := range v {
		b = append(b, byte(int8(math.Round(float64(x*inverse)))))
	}
	return b
}

func (w *ggufWriter) bytes() []byte {
	b := binary.LittleEndian.AppendUint32([]byte("GGUF"), 3)
	b = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, w.tensorsCount), w.keys)
	b = slices.Concat(b, w.kv, w.infos)
	b = append(b, make([]byte, -len(b)&(ggufAlign-1))...)
	b = append(b, w.data...)
	return append(b, make([]byte, -len(b)&(ggufAlign-1))...)
}

// FamilyNamed is the family of that name.
func FamilyNamed(name string) Family {
	for _, f := range Families() {
		if f.Name == name {
			return f
		}
	}
	panic("testmodel: no family " + strings.ToUpper(name))
}
