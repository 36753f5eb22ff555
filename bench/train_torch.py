#!/usr/bin/env python3
"""The same training step as bench-train, in PyTorch, for `make bench-train` to put beside ours.

    python3 bench/train_torch.py [--batch B] [--time T] [--steps N] [--layers L] [--hidden C]
                                 [--vocab V] [--llama] [--bf16]

Prints one JSON object. GPT-2 without dropout, or a Llama as in bench/train.c; fp32, or autocast to
bf16; AdamW with torch's fused or foreach loop, whichever is faster; attention by
scaled_dot_product_attention where this version has it. Run it with
OMP_NUM_THREADS, and try the settings of the table in bench/train.py: the best counts.
"""
import argparse
import contextlib
import inspect
import json
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn


def rotated(x, turns):
    """@turns [T, D / 2], of halves of each head as transformers' Llama has them."""
    left, right = x.chunk(2, dim=-1)
    cos, sin = turns
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1).type_as(x)


class Block(nn.Module):
    def __init__(self, c, heads, is_llama):
        super().__init__()
        self.heads, self.is_llama = heads, is_llama
        norm = nn.RMSNorm if is_llama else nn.LayerNorm
        wide = (c * 8 // 3 + 63) // 64 * 64 if is_llama else 4 * c
        has_bias = not is_llama
        self.norm1, self.norm3 = norm(c), norm(c)
        self.qkv, self.out = nn.Linear(c, 3 * c, bias=has_bias), nn.Linear(c, c, bias=has_bias)
        self.up, self.down = nn.Linear(c, wide, bias=has_bias), nn.Linear(wide, c, bias=has_bias)
        self.gate = nn.Linear(c, wide, bias=False) if is_llama else None

    def attend(self, x, turns):
        b, t, c = x.shape
        q, k, v = (part.reshape(b, t, self.heads, -1).transpose(1, 2)
                   for part in self.qkv(x).split(c, dim=2))
        if self.is_llama:
            q, k = rotated(q, turns), rotated(k, turns)
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(2, 3) / (c // self.heads) ** 0.5
            causal = torch.ones(t, t, dtype=torch.bool).tril()
            y = scores.masked_fill(~causal, float("-inf")).softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(b, t, c))

    def forward(self, x, turns):
        x = x + self.attend(self.norm1(x), turns)
        h = self.norm3(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h) if self.is_llama
                             else F.gelu(self.up(h)))


class Model(nn.Module):
    def __init__(self, vocab, positions, c, layers, is_llama):
        super().__init__()
        self.words = nn.Embedding(vocab, c)
        self.positions = None if is_llama else nn.Embedding(positions, c)
        self.blocks = nn.ModuleList(Block(c, c // 64, is_llama) for _ in range(layers))
        self.norm = nn.RMSNorm(c) if is_llama else nn.LayerNorm(c)
        self.head = nn.Linear(c, vocab, bias=False)
        if not is_llama:
            self.head.weight = self.words.weight
        angles = torch.outer(torch.arange(positions), 10000.0 ** (-torch.arange(32) / 32))
        self.turns = angles.cos(), angles.sin()

    def forward(self, ids, labels):
        x = self.words(ids)
        if self.positions is not None:
            x = x + self.positions.weight[:ids.shape[1]]
        turns = [part[:ids.shape[1]] for part in self.turns]
        for block in self.blocks:
            x = block(x, turns)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))


def seconds_of_steps(args, **adamw):
    torch.manual_seed(1)
    model = Model(args.vocab, max(args.time, 1024), args.hidden, args.layers, args.llama)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, **adamw)
    ids = torch.randint(args.vocab, (args.batch, args.time))
    labels = torch.randint(args.vocab, (args.batch, args.time))
    seconds = []
    for _ in range(args.steps + 2):
        start = time.monotonic()
        optimizer.zero_grad(set_to_none=False)
        with torch.autocast("cpu", torch.bfloat16) if args.bf16 else contextlib.nullcontext():
            loss = model(ids, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
        optimizer.step()
        seconds.append(time.monotonic() - start)
    return statistics.median(seconds[2:])


def main():
    parser = argparse.ArgumentParser()
    for name, value in dict(batch=4, time=64, steps=5, layers=12, hidden=768, vocab=50257).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--llama", action="store_true")
    parser.add_argument("--bf16", action="store_true")
    args = parser.parse_args()
    known = inspect.signature(torch.optim.AdamW).parameters
    kinds = ({"foreach": False}, {"fused": True} if "fused" in known else {"foreach": True})
    best = min(seconds_of_steps(args, **kind) for kind in kinds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"torch": torch.__version__, "step_s": best, "peak_mib": peak,
                      "tokens_per_s": args.batch * args.time / best}))


if __name__ == "__main__":
    main()
