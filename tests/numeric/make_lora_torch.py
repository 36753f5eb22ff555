#!/usr/bin/env python3
"""Writes lora_torch.txt: low-rank adapters of small models in PyTorch, for lora_torch_test.c.

    python3 tests/numeric/make_lora_torch.py > tests/numeric/lora_torch.txt

Run once, by hand; needs torch. The models, batches and the optimizer are those of
make_decoder_torch.py. A layer with an adapter computes with its weight plus alpha / r times B A (of
a table: the transpose of that), the weights stay as they are, and adapters alone are trained.

Lines: "model NAME" begins one; then "logit I VALUE" for the logits after the last token of the
first sequence of the first batch, "gradient NAME NORM WAVE" for the first gradients, with WAVE
their product with the first values, "loss STEP VALUE VALUE64": in float32 and in float64.
"""
import math

import torch

import make_decoder_torch as base

# What has adapters, and (r, alpha) for it: the first part of a name that fits counts.
MODELS = {
    "llama3": (base.MODELS["llama3"], [("self_attn", (4, 8.0)), ("ffn", (2, 1.0))]),
    "everything": (base.GPT2, [("", (3, 6.0))]),
}
WORDS, HEAD = "embedding_layer.word_embeddings", "lm_head"


def modules(m):
    """Name, shape of the weight and whether it is a table, of all layers that may have one."""
    for name, shape in base.shapes(m):
        module, part = name.rsplit(".", 1)
        if part == "weight" and len(shape) == 2:
            yield module, shape, "embed" in module
    if m["tied"]:
        yield HEAD, (base.V, base.C), False


def adapters(m, targets):
    """Name of a module to r, alpha / r and the shapes of A and B."""
    for module, (rows, cols), is_table in modules(m):
        for part, (rank, alpha) in targets:
            if part in module:
                size = (cols, rows) if is_table else (rows, cols)
                yield module, alpha / rank, is_table, (rank, size[1]), (size[0], rank)
                break


def first_adapters(m, targets, dtype):
    values = {}
    for module, _, _, a, b in adapters(m, targets):
        for part, shape in (("lora_A", a), ("lora_B", b)):
            number = len(values)
            flat = torch.tensor([0.1 * math.sin(0.37 * i + 0.0013 * i * i + number)
                                 for i in range(math.prod(shape))], dtype=torch.float32)
            values[f"{module}.{part}"] = flat.to(dtype).reshape(shape).requires_grad_()
    return values


def adapted(m, targets, w, lora):
    out = {name: value.detach() for name, value in w.items()}
    if m["tied"]:
        out[HEAD + ".weight"] = out[WORDS + ".weight"]
    for module, scale, is_table, _, _ in adapters(m, targets):
        product = lora[module + ".lora_B"] @ lora[module + ".lora_A"]
        name = module + ".weight"
        out[name] = out[name] + scale * (product.T if is_table else product)
    return out


def train(m, targets, dtype, report):
    w = base.first_values(m, dtype)
    lora = first_adapters(m, targets, dtype)
    first = {name: value.detach().clone() for name, value in lora.items()}
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in lora.items()}
    apart = dict(m, tied=False)
    losses = []
    for step in range(base.STEPS):
        ids, labels, mask = base.batch(step)
        logits = base.logits_of(apart, adapted(m, targets, w, lora), ids)
        loss = base.loss_of(logits, labels, mask)
        loss.backward()
        losses.append(loss.item())
        if step == 0 and report:
            for i, value in enumerate(logits[0, base.T - 1].tolist()):
                print(f"logit {i} {value:.9g}")
            for name, p in lora.items():
                wave = (p.grad * first[name]).sum().item()
                print(f"gradient {name} {p.grad.norm().item():.9g} {wave:.9g}")
        base.update(lora, moments, step + 1)
    return losses


def main():
    torch.set_num_threads(1)
    print(f"# make_lora_torch.py, torch {torch.__version__.split('+')[0]}")
    for name, (m, targets) in MODELS.items():
        print(f"model {name}")
        doubles = train(m, targets, torch.float64, True)
        singles = train(m, targets, torch.float32, False)
        for step in range(base.STEPS):
            print(f"loss {step} {singles[step]:.9g} {doubles[step]:.9g}")


if __name__ == "__main__":
    main()
