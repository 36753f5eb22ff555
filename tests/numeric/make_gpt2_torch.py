#!/usr/bin/env python3
"""Writes gpt2_torch.txt: losses of a small GPT-2 in PyTorch, which gpt2_torch_test.c must reach.

    python3 tests/numeric/make_gpt2_torch.py > tests/numeric/gpt2_torch.txt

Run once, by hand; needs torch. Weights and batches come from formulas that both sides compute.
The optimizer is written out with the Model Zoo's arithmetic (epsilon before bias correction), which
differs from torch.optim.AdamW's.

Lines: "logit I VALUE" for the first logits of the first batch, "gradient NAME NORM" for the first
gradients, "loss STEP VALUE VALUE64": in float32, as users run it, and in float64.
"""
import math

import torch
import torch.nn.functional as F

V, P, C, LAYERS, HEADS, FILTER = 97, 16, 32, 2, 4, 64
B, T, STEPS, BATCHES = 4, 16, 20, 4
LR, BETA1, BETA2, EPS, DECAY = 1e-2, 0.9, 0.95, 1e-8, 0.1


def shapes():
    yield "embedding_layer.word_embeddings.weight", (V, C)
    yield "embedding_layer.position_embeddings.embed.weight", (P, C)
    for n in range(LAYERS):
        layer = f"transformer_decoder.layers.{n}."
        for part in ("q", "k", "v", "output"):
            yield f"{layer}self_attn.proj_{part}_dense_layer.weight", (C, C)
            yield f"{layer}self_attn.proj_{part}_dense_layer.bias", (C,)
        for norm in ("norm1", "norm3"):
            yield f"{layer}{norm}.weight", (C,)
            yield f"{layer}{norm}.bias", (C,)
        yield f"{layer}ffn.ffn.0.linear_layer.weight", (FILTER, C)
        yield f"{layer}ffn.ffn.0.linear_layer.bias", (FILTER,)
        yield f"{layer}ffn.ffn.1.linear_layer.weight", (C, FILTER)
        yield f"{layer}ffn.ffn.1.linear_layer.bias", (C,)
    yield "ln_f.weight", (C,)
    yield "ln_f.bias", (C,)


def is_norm(name):
    return "norm" in name or "ln_f" in name


def first_value(number, i, name):
    wave = 0.1 * math.sin(0.37 * i + 0.0013 * i * i + number)
    return 1.0 + wave if is_norm(name) and name.endswith("weight") else wave


def first_values(dtype):
    values = {}
    for number, (name, shape) in enumerate(shapes()):
        count = math.prod(shape)
        flat = torch.tensor([first_value(number, i, name) for i in range(count)],
                            dtype=torch.float32)  # rounded once, whatever the arithmetic after
        values[name] = flat.to(dtype).reshape(shape).requires_grad_()
    return values


def batch(step):
    step %= BATCHES  # seen again and again, so that the loss falls

    def token(b, t):
        return (7 * b * b + 13 * t + 5 * step * step + 3 * step * t + b * t) % V

    ids = [[token(b, t) for t in range(T)] for b in range(B)]
    labels = [[(3 * ids[b][t] + t + 1) % V for t in range(T)] for b in range(B)]
    mask = [[0.0 if b % 2 == 1 and t >= T - 3 else 1.0 for t in range(T)] for b in range(B)]
    return torch.tensor(ids), torch.tensor(labels), torch.tensor(mask)


def logits_of(w, ids):
    x = w["embedding_layer.word_embeddings.weight"][ids]
    x = x + w["embedding_layer.position_embeddings.embed.weight"][:T]

    def linear(h, name):
        return F.linear(h, w[name + ".weight"], w[name + ".bias"])

    def norm(h, name):
        return F.layer_norm(h, (C,), w[name + ".weight"], w[name + ".bias"], 1e-5)

    causal = torch.ones(T, T, dtype=torch.bool).tril()
    for n in range(LAYERS):
        layer = f"transformer_decoder.layers.{n}."
        h = norm(x, layer + "norm1")
        q, k, v = (linear(h, f"{layer}self_attn.proj_{part}_dense_layer")
                   .reshape(B, T, HEADS, C // HEADS).transpose(1, 2) for part in "qkv")
        scores = q @ k.transpose(2, 3) / math.sqrt(C // HEADS)
        h = scores.masked_fill(~causal, -math.inf).softmax(-1) @ v
        h = linear(h.transpose(1, 2).reshape(B, T, C),
                   layer + "self_attn.proj_output_dense_layer")
        x = x + h
        h = linear(norm(x, layer + "norm3"), layer + "ffn.ffn.0.linear_layer")
        x = x + linear(F.gelu(h), layer + "ffn.ffn.1.linear_layer")
    return norm(x, "ln_f") @ w["embedding_layer.word_embeddings.weight"].T


def loss_of(logits, labels, mask):
    each = F.cross_entropy(logits.reshape(-1, V), labels.reshape(-1), reduction="none")
    mask = mask.reshape(-1).to(each.dtype)
    return (each * mask).sum() / mask.sum()


@torch.no_grad()
def update(w, moments, step):
    correction = math.sqrt(1 - BETA2 ** step) / (1 - BETA1 ** step)
    for name, p in w.items():
        m, v = moments[name]
        m.mul_(BETA1).add_(p.grad, alpha=1 - BETA1)
        v.mul_(BETA2).addcmul_(p.grad, p.grad, value=1 - BETA2)
        u = m / (v.sqrt() + EPS) * correction
        if not is_norm(name) and not name.endswith("bias"):
            u = u + DECAY * p
        p.sub_(LR * u)
        p.grad = None


def train(dtype, report):
    w = first_values(dtype)
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in w.items()}
    losses = []
    for step in range(STEPS):
        ids, labels, mask = batch(step)
        logits = logits_of(w, ids)
        loss = loss_of(logits, labels, mask)
        loss.backward()
        losses.append(loss.item())
        if step == 0 and report:
            for i, value in enumerate(logits.reshape(-1)[:V].tolist()):
                print(f"logit {i} {value!r}")
            for name, p in w.items():
                print(f"gradient {name} {p.grad.norm().item()!r}")
        update(w, moments, step + 1)
    return losses


def main():
    torch.set_num_threads(1)
    print(f"# make_gpt2_torch.py, torch {torch.__version__.split('+')[0]}")
    doubles = train(torch.float64, True)
    singles = train(torch.float32, False)
    for step in range(STEPS):
        print(f"loss {step} {singles[step]!r} {doubles[step]!r}")


if __name__ == "__main__":
    main()
