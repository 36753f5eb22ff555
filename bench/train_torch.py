#!/usr/bin/env python3
"""The same training step as bench-train, in PyTorch, for `make bench-train` to put beside ours.

    python3 bench/train_torch.py [--batch B] [--time T] [--steps N] [--layers L] [--hidden C]
                                 [--vocab V]

Prints one JSON object. GPT-2 without dropout, fp32, AdamW with torch's fused or foreach loop,
whichever is faster; attention by scaled_dot_product_attention where this version has it. Run it
with OMP_NUM_THREADS, and try the settings of the table in bench/train.py: the best counts.
"""
import argparse
import inspect
import json
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, c, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm3 = nn.LayerNorm(c), nn.LayerNorm(c)
        self.qkv, self.out = nn.Linear(c, 3 * c), nn.Linear(c, c)
        self.up, self.down = nn.Linear(c, 4 * c), nn.Linear(4 * c, c)

    def attend(self, x):
        b, t, c = x.shape
        q, k, v = (part.reshape(b, t, self.heads, -1).transpose(1, 2)
                   for part in self.qkv(x).split(c, dim=2))
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(2, 3) / (c // self.heads) ** 0.5
            causal = torch.ones(t, t, dtype=torch.bool).tril()
            y = scores.masked_fill(~causal, float("-inf")).softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(b, t, c))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm3(x))))


class Model(nn.Module):
    def __init__(self, vocab, positions, c, layers):
        super().__init__()
        self.words, self.positions = nn.Embedding(vocab, c), nn.Embedding(positions, c)
        self.blocks = nn.ModuleList(Block(c, c // 64) for _ in range(layers))
        self.norm = nn.LayerNorm(c)

    def forward(self, ids, labels):
        x = self.words(ids) + self.positions.weight[:ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = self.norm(x) @ self.words.weight.T
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))


def seconds_of_steps(args, **adamw):
    torch.manual_seed(1)
    model = Model(args.vocab, max(args.time, 1024), args.hidden, args.layers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, **adamw)
    ids = torch.randint(args.vocab, (args.batch, args.time))
    labels = torch.randint(args.vocab, (args.batch, args.time))
    seconds = []
    for _ in range(args.steps + 2):
        start = time.monotonic()
        optimizer.zero_grad(set_to_none=False)
        model(ids, labels).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
        optimizer.step()
        seconds.append(time.monotonic() - start)
    return statistics.median(seconds[2:])


def main():
    parser = argparse.ArgumentParser()
    for name, value in dict(batch=4, time=64, steps=5, layers=12, hidden=768, vocab=50257).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    known = inspect.signature(torch.optim.AdamW).parameters
    kinds = ({"foreach": False}, {"fused": True} if "fused" in known else {"foreach": True})
    best = min(seconds_of_steps(args, **kind) for kind in kinds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"torch": torch.__version__, "step_s": best, "peak_mib": peak,
                      "tokens_per_s": args.batch * args.time / best}))


if __name__ == "__main__":
    main()
