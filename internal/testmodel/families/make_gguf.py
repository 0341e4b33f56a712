#!/usr/bin/env python3
"""GGUF files of the small random models with experts, as gguf-py writes them, and the sha256 of each.

    V/bin/pip install gguf          # beside what make.py needs
    V/bin/python make_gguf.py DIR   # writes NAME-F16.gguf and NAME-Q8_0.gguf, prints their sums

families_gguf.go writes the same files in Go; its test holds their sums to those that this prints.
"""
import hashlib, json, sys

import gguf
import numpy as np

from make import HERE, weights

ARCH = {"mixtral": "llama", "qwen3-moe-all": "qwen3moe", "olmoe": "olmoe"}


def write(path, name, kind):
    c = json.load(open(f"{HERE}/{name}.json"))["config"]
    w = gguf.GGUFWriter(path, ARCH[name])
    hidden, heads, kv, experts = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"], c.get("num_local_experts") or c["num_experts"]
    dim, inner = c.get("head_dim") or hidden // heads, c.get("moe_intermediate_size") or c["intermediate_size"]
    w.add_block_count(c["num_hidden_layers"])
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(hidden)
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(heads)
    w.add_head_count_kv(kv)
    w.add_key_length(dim)
    w.add_value_length(dim)
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_rope_freq_base(c["rope_parameters"]["rope_theta"])
    w.add_expert_count(experts)
    w.add_expert_used_count(c["num_experts_per_tok"])
    if name.startswith("qwen3"):
        w.add_expert_feed_forward_length(inner)

    def values(hf, *shape):
        return weights(hf, shape, 0).numpy()

    def add(to, x, exact=False):
        if exact:
            w.add_tensor(to, x)
        elif kind == "F16":
            w.add_tensor(to, x.astype(np.float16))
        else:
            w.add_tensor(to, gguf.quants.quantize(x, gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0)

    def paired(x, n):  # as llama.cpp's converter does for the architecture llama
        return x if name != "mixtral" else x.reshape(n, 2, x.shape[0] // n // 2, x.shape[1]).swapaxes(1, 2).reshape(x.shape)

    add("token_embd.weight", values("model.embed_tokens.weight", c["vocab_size"], hidden))
    for i in range(c["num_hidden_layers"]):
        hf, to = f"model.layers.{i}.", f"blk.{i}."
        moe = hf + ("block_sparse_moe." if name == "mixtral" else "mlp.")
        names = ("w1", "w3", "w2") if name == "mixtral" else ("gate_proj", "up_proj", "down_proj")
        add(to + "attn_norm.weight", values(hf + "input_layernorm.weight", hidden), True)
        add(to + "attn_q.weight", paired(values(hf + "self_attn.q_proj.weight", heads * dim, hidden), heads))
        add(to + "attn_k.weight", paired(values(hf + "self_attn.k_proj.weight", kv * dim, hidden), kv))
        add(to + "attn_v.weight", values(hf + "self_attn.v_proj.weight", kv * dim, hidden))
        if name != "mixtral":
            q, k = (dim, dim) if name.startswith("qwen3") else (heads * dim, kv * dim)
            add(to + "attn_q_norm.weight", values(hf + "self_attn.q_norm.weight", q), True)
            add(to + "attn_k_norm.weight", values(hf + "self_attn.k_norm.weight", k), True)
        add(to + "attn_output.weight", values(hf + "self_attn.o_proj.weight", hidden, heads * dim))
        add(to + "ffn_norm.weight", values(hf + "post_attention_layernorm.weight", hidden), True)
        add(to + "ffn_gate_inp.weight", values(moe + "gate.weight", experts, hidden), True)
        for part, n, shape in zip(("gate", "up", "down"), names, ((inner, hidden), (inner, hidden), (hidden, inner))):
            add(f"{to}ffn_{part}_exps.weight", np.stack([values(f"{moe}experts.{e}.{n}.weight", *shape) for e in range(experts)]))
    add("output_norm.weight", values("model.norm.weight", hidden), True)
    add("output.weight", values("lm_head.weight", c["vocab_size"], hidden))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    print(f'"{name}-{kind}": "{hashlib.sha256(open(path, "rb").read()).hexdigest()}",')


for name in ARCH:
    for kind in ("F16", "Q8_0"):
        write(f"{sys.argv[1]}/{name}-{kind}.gguf", name, kind)
