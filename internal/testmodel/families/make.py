#!/usr/bin/env python3
"""Goldens of small random models of each family, from Hugging Face transformers in float32.

    python3 -m venv V && V/bin/pip install torch transformers numpy
    V/bin/python make.py            # rewrites NAME.json beside this file

A golden holds config.json as transformers writes it, and for a fixed text of token ids the logits of the last position, some logits of every
position, and the tokens that follow greedily. Weights are not stored: value i of tensor NAME is drawn by a counter-based generator (below; in
Go: families.go), so that both sides make the same ones.
"""
import json, os, sys

import numpy as np
import torch
import transformers

VOCAB, TOKENS, GREEDY = 260, 40, 12
HERE = os.path.dirname(os.path.abspath(__file__))
BASE = dict(vocab_size=VOCAB, hidden_size=64, intermediate_size=112, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
            max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=0)
SLIDING, FULL = "sliding_attention", "full_attention"
long = lambda n, top: [1 + top * i / n for i in range(n)]
MODELS = {
    "llama": ("Llama", dict(rope_parameters=dict(rope_type="llama3", rope_theta=10000.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32))),
    "mistral": ("Mistral", dict(head_dim=24, sliding_window=9)),
    "ministral": ("Ministral", dict(head_dim=24, sliding_window=9, layer_types=[FULL, SLIDING, SLIDING])),
    "qwen2": ("Qwen2", dict(tie_word_embeddings=True)),
    "qwen2-yarn": ("Qwen2", dict(use_sliding_window=True, sliding_window=7, max_window_layers=1,
                                 rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=32))),
    "qwen3": ("Qwen3", dict(head_dim=32)),
    "gemma2": ("Gemma2", dict(head_dim=32, query_pre_attn_scalar=20, sliding_window=9, attn_logit_softcapping=3.0, final_logit_softcapping=2.0)),
    "gemma3": ("Gemma3", dict(head_dim=32, query_pre_attn_scalar=20, sliding_window=9, num_hidden_layers=4, layer_types=[SLIDING, SLIDING, FULL, SLIDING],
                              rope_parameters={FULL: dict(rope_type="linear", factor=8.0, rope_theta=1e6), SLIDING: dict(rope_type="default", rope_theta=1e4)})),
    "phi3": ("Phi3", dict(sliding_window=11)),
    "phi4-mini": ("Phi3", dict(tie_word_embeddings=True, original_max_position_embeddings=32, num_attention_heads=4, num_key_value_heads=1,
                               rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75, short_factor=long(6, 1), long_factor=long(6, 20)))),
    "phi4-mini-short": ("Phi3", dict(tie_word_embeddings=True, original_max_position_embeddings=64, num_attention_heads=4, num_key_value_heads=1,
                                     rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75, short_factor=long(6, 1), long_factor=long(6, 20)))),
    "granite": ("Granite", dict(embedding_multiplier=3.0, residual_multiplier=0.7, attention_multiplier=0.125, logits_scaling=0.5, tie_word_embeddings=True)),
    "granite-bias": ("Granite", dict(attention_bias=True, mlp_bias=True, residual_multiplier=0.5, attention_multiplier=0.4)),
    "olmo2": ("Olmo2", dict()),
    "mixtral": ("Mixtral", dict(intermediate_size=64, num_local_experts=6, num_experts_per_tok=2)),
    "qwen3-moe": ("Qwen3Moe", dict(head_dim=32, moe_intermediate_size=48, num_experts=8, num_experts_per_tok=3, norm_topk_prob=True, mlp_only_layers=[1])),
    "qwen3-moe-all": ("Qwen3Moe", dict(moe_intermediate_size=32, num_experts=5, num_experts_per_tok=2, norm_topk_prob=True)),
    "olmoe": ("Olmoe", dict(intermediate_size=32, num_experts=8, num_experts_per_tok=3)),
    "smollm3": ("SmolLM3", dict(num_hidden_layers=4, no_rope_layers=[1, 1, 1, 0])),
}


def uniform(name, n):
    """n numbers in [-1, 1): splitmix64 of (hash of the name) + i, its top 24 bits."""
    seed = np.uint64(0xCBF29CE484222325)
    with np.errstate(over="ignore"):
        for b in name.encode():
            seed = (seed ^ np.uint64(b)) * np.uint64(0x100000001B3)
        z = seed + (np.arange(n, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) / (1 << 23) - 1


def weights(name, shape, offset):
    """Norms: gains about 1, less the offset that the architecture adds. Biases: within ±0.3. Matrices keep the size of what passes."""
    u = uniform(name, int(np.prod(shape)))
    if len(shape) == 1 and name.endswith("norm.weight"):
        x = 1 - offset + 0.3 * u
    elif len(shape) == 1:
        x = 0.3 * u
    else:
        x = 1.7 * u / np.sqrt(shape[-1])
    return torch.from_numpy(x.astype(np.float32).reshape(shape))


def expert_weights(name, shape, mixtral):
    """What transformers holds as one tensor of all experts, from the tensors that files have: gate and up one below the other, or down."""
    block, part = name.split(".mlp.experts.")
    names = {"gate_up_proj": ("gate_proj", "up_proj"), "down_proj": ("down_proj",)}[part]
    if mixtral:
        block, names = block + ".block_sparse_moe", [{"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}[n] for n in names]
    else:
        block += ".mlp"
    rows = shape[1] // len(names)
    return torch.stack([torch.cat([weights(f"{block}.experts.{e}.{n}.weight", (rows, shape[2]), 0) for n in names]) for e in range(shape[0])])


def golden(name):
    kind, more = MODELS[name]
    config_class = getattr(transformers, kind + ("TextConfig" if kind == "Gemma3" else "Config"))
    config = config_class(**{**BASE, **more}, attn_implementation="eager")
    model = getattr(transformers, kind + "ForCausalLM")(config).eval().float()
    offset = 1.0 if kind.startswith("Gemma") else 0.0
    with torch.no_grad():
        for n, p in model.named_parameters():
            if ".mlp.experts." in n:
                p.copy_(expert_weights(n, tuple(p.shape), kind == "Mixtral"))
                continue
            if kind == "Mixtral":
                n = n.replace(".mlp.gate.", ".block_sparse_moe.gate.")
            p.copy_(weights(n, tuple(p.shape), offset))
        ids = [int(v) for v in (uniform("text", TOKENS) * 0.5 + 0.5) * VOCAB]
        logits = model(torch.tensor([ids]), use_cache=False).logits[0].double().numpy()
        greedy = list(ids)
        for _ in range(GREEDY):
            greedy.append(int(model(torch.tensor([greedy]), use_cache=False).logits[0, -1].argmax()))
    raw = config.to_dict()
    raw["architectures"] = [type(model).__name__]
    for key in ("_name_or_path", "transformers_version", "_attn_implementation_autoset"):
        raw.pop(key, None)
    out = dict(made_by=f"make.py, transformers {transformers.__version__}, torch {torch.__version__}", config=raw, ids=ids,
               last=[float("%.9g" % v) for v in logits[-1]], first4=[[float("%.9g" % v) for v in row[:4]] for row in logits], greedy=greedy[len(ids):])
    with open(f"{HERE}/{name}.json", "w") as f:
        f.write("{" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in out.items()) + "}\n")
    print(name, "largest logit", float(np.abs(logits).max()))


if __name__ == "__main__":
    for name in sys.argv[1:] or MODELS:
        golden(name)
