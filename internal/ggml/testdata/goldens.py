"""Writes ../grids.bin and goldens.bin from the Python package gguf (pip install
gguf numpy; made with 0.19.0). Run it in this folder.

goldens.bin holds, for each type, blocks of random bytes and the float32 weights
that gguf makes of them:
name, newline; number of blocks and of weights (uint32); blocks; weights.
"""

import struct

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf import quants

rng = np.random.default_rng(1)


def packed(cls):
    """The grid as gguf has it: numbers of 2 or 4 bits, lowest first."""
    return bytes.fromhex(cls.grid_hex.decode())


with open("../grids.bin", "wb") as f:
    for cls in (quants.IQ2_XXS, quants.IQ2_XS, quants.IQ2_S, quants.IQ3_XXS, quants.IQ3_S, quants.IQ1_S):
        f.write(packed(cls))

# Where the 16-bit floats of a block are, so that most blocks can be given ordinary
# ones; IQ1_M's is spread over the block, and the 4-bit floats have none.
halves = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82], T.Q3_K: [108],
    T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ2_XXS: [0], T.IQ2_XS: [0], T.IQ2_S: [0], T.IQ3_XXS: [0],
    T.IQ3_S: [0], T.IQ1_S: [0], T.IQ1_M: [], T.IQ4_NL: [0], T.IQ4_XS: [0], T.TQ1_0: [52], T.TQ2_0: [64],
    T.MXFP4: [], T.NVFP4: [],
}


def blocks(t, n):
    size = GGML_QUANT_SIZES[t][1]
    raw = rng.integers(0, 256, (n, size), dtype=np.uint8)
    for b in raw[: n - 1]:  # the last keeps whatever came, NaN too
        for at in halves[t]:
            b[at : at + 2] = np.frombuffer(np.float16(rng.normal() * 0.05).tobytes(), np.uint8)
    return raw


if __name__ == "__main__":
    with open("goldens.bin", "wb") as f, np.errstate(all="ignore"):
        for t in halves:
            raw = blocks(t, 12 if GGML_QUANT_SIZES[t][0] <= 64 else 4)
            w = quants.dequantize(raw, t).astype("<f4")
            f.write(t.name.encode() + b"\n" + struct.pack("<II", len(raw), w.size))
            f.write(raw.tobytes())
            f.write(w.tobytes())
