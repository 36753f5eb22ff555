#!/usr/bin/env python3
"""Writes decoder_torch.txt: small models of the GPT-2 family in PyTorch, for decoder_torch_test.c.

    python3 tests/numeric/make_decoder_torch.py > tests/numeric/decoder_torch.txt

Run once, by hand; needs torch. Weights and batches come from formulas that both sides compute; the
optimizer has the Model Zoo's arithmetic (epsilon before bias correction). What the options mean is
written here after the papers and the Model Zoo's documentation, not after our C code.

Lines: "model NAME" begins one; then "logit I VALUE" for the logits after the last token of the
first sequence of the first batch, "gradient NAME NORM" for the first gradients, "loss STEP VALUE
VALUE64": in float32, as users run it, and in float64.
"""
import math

import torch
import torch.nn.functional as F

V, P, C, LAYERS, HEADS, FILTER = 97, 16, 32, 2, 4, 64
B, T, STEPS, BATCHES = 4, 16, 20, 4
LR, BETA1, BETA2, EPS, DECAY = 1e-2, 0.9, 0.95, 1e-8, 0.1

GPT2 = dict(positions="learned", norm="layer", gate=None, bias=True, kv=HEADS, tied=True,
            embedding_norm=False, window=0, sinks=0, rope=None, embeddings_scale=1.0,
            attention_scale=1.0 / math.sqrt(C // HEADS), logits_scale=1.0, activation=F.gelu)
MODELS = {
    # Llama 3: RMS norm, SwiGLU, grouped queries, scaled rotary positions, no biases, untied.
    "llama3": dict(GPT2, positions="rotary", norm="rms", gate=F.silu, bias=False, kv=2, tied=False,
                   rope=dict(dim=8, theta=500.0, type="llama3", factor=8.0, low=1.0, high=4.0,
                             original=32)),
    # Rotary positions on half of each head, linear scaling, one key head, window and sinks.
    "window": dict(GPT2, positions="rotary", norm="rms", gate=F.gelu, kv=1, window=4, sinks=2,
                   rope=dict(dim=4, theta=10000.0, type="linear", factor=2.0)),
    # muP: base sizes of half the width and a quarter of the filter.
    "mup": dict(GPT2, embedding_norm=True, embeddings_scale=10.0,
                attention_scale=1.0 / (C // HEADS), logits_scale=0.5 / (C / 16),
                activation=lambda x: F.gelu(x, approximate="tanh")),
}


def shapes(m):
    head = C // HEADS
    yield "embedding_layer.word_embeddings.weight", (V, C)
    if m["positions"] == "learned":
        yield "embedding_layer.position_embeddings.embed.weight", (P, C)
    norms = ["weight", "bias"] if m["norm"] == "layer" else ["weight"]
    linears = ["weight", "bias"] if m["bias"] else ["weight"]
    if m["embedding_norm"]:
        for part in norms:
            yield f"embedding_ln_f.{part}", (C,)

    def linear(name, rows, cols):
        for part in linears:
            yield f"{name}.{part}", (rows, cols) if part == "weight" else (rows,)

    for n in range(LAYERS):
        layer = f"transformer_decoder.layers.{n}."
        yield from linear(layer + "self_attn.proj_q_dense_layer", C, C)
        yield from linear(layer + "self_attn.proj_k_dense_layer", m["kv"] * head, C)
        yield from linear(layer + "self_attn.proj_v_dense_layer", m["kv"] * head, C)
        yield from linear(layer + "self_attn.proj_output_dense_layer", C, C)
        for norm in ("norm1", "norm3"):
            for part in norms:
                yield f"{layer}{norm}.{part}", (C,)
        yield from linear(layer + "ffn.ffn.0.linear_layer", FILTER, C)
        if m["gate"]:
            yield from linear(layer + "ffn.ffn.0.linear_layer_for_glu", FILTER, C)
        yield from linear(layer + "ffn.ffn.1.linear_layer", C, FILTER)
    for part in norms:
        yield f"ln_f.{part}", (C,)
    if not m["tied"]:
        yield "lm_head.weight", (V, C)


def is_norm(name):
    return "norm" in name or "ln_f" in name


def first_values(m, dtype):
    values = {}
    for number, (name, shape) in enumerate(shapes(m)):
        def value(i):
            wave = 0.1 * math.sin(0.37 * i + 0.0013 * i * i + number)
            return 1.0 + wave if is_norm(name) and name.endswith("weight") else wave
        flat = torch.tensor([value(i) for i in range(math.prod(shape))], dtype=torch.float32)
        values[name] = flat.to(dtype).reshape(shape).requires_grad_()
    return values


def batch(step):
    step %= BATCHES

    def token(b, t):
        return (7 * b * b + 13 * t + 5 * step * step + 3 * step * t + b * t) % V

    ids = [[token(b, t) for t in range(T)] for b in range(B)]
    labels = [[(3 * ids[b][t] + t + 1) % V for t in range(T)] for b in range(B)]
    mask = [[0.0 if b % 2 == 1 and t >= T - 3 else 1.0 for t in range(T)] for b in range(B)]
    return torch.tensor(ids), torch.tensor(labels), torch.tensor(mask)


def frequencies(rope):
    pairs = torch.arange(rope["dim"] // 2, dtype=torch.float64)
    plain = rope["theta"] ** (-2.0 * pairs / rope["dim"])
    if rope["type"] == "linear":
        return plain / rope["factor"]
    wave = 2 * math.pi / plain
    low, high = rope["original"] / rope["low"], rope["original"] / rope["high"]
    smooth = (rope["original"] / wave - rope["low"]) / (rope["high"] - rope["low"])
    middle = (1 - smooth) * plain / rope["factor"] + smooth * plain
    return torch.where(wave < high, plain, torch.where(wave > low, plain / rope["factor"], middle))


def rotate(x, rope):
    """x is [B, heads, T, D]: pairs of neighbours times exp(i t frequency), as complex numbers."""
    angles = torch.outer(torch.arange(T, dtype=torch.float64), frequencies(rope))
    turn = torch.polar(torch.ones_like(angles), angles)
    turn = turn.to(torch.complex128 if x.dtype == torch.float64 else torch.complex64)
    turned, rest = x[..., :rope["dim"]], x[..., rope["dim"]:]
    pairs = torch.view_as_complex(turned.reshape(*turned.shape[:-1], -1, 2).contiguous())
    return torch.cat([torch.view_as_real(pairs * turn).flatten(-2), rest], dim=-1)


def visible(m):
    query, key = torch.arange(T)[:, None], torch.arange(T)[None, :]
    seen = key <= query
    if m["window"]:
        seen &= (query - key < m["window"]) | (key < m["sinks"])
    return seen


def logits_of(m, w, ids):
    head = C // HEADS

    def linear(h, name):
        return F.linear(h, w[name + ".weight"], w.get(name + ".bias"))

    def norm(h, name):
        if m["norm"] == "rms":
            return F.rms_norm(h, (C,), w[name + ".weight"], 1e-5)
        return F.layer_norm(h, (C,), w[name + ".weight"], w[name + ".bias"], 1e-5)

    x = w["embedding_layer.word_embeddings.weight"][ids]
    if m["positions"] == "learned":
        x = x + w["embedding_layer.position_embeddings.embed.weight"][:T]
    if m["embedding_norm"]:
        x = norm(x, "embedding_ln_f")
    x = x * m["embeddings_scale"]
    for n in range(LAYERS):
        layer = f"transformer_decoder.layers.{n}."
        h = norm(x, layer + "norm1")
        q = linear(h, layer + "self_attn.proj_q_dense_layer").reshape(B, T, HEADS, head)
        k = linear(h, layer + "self_attn.proj_k_dense_layer").reshape(B, T, m["kv"], head)
        v = linear(h, layer + "self_attn.proj_v_dense_layer").reshape(B, T, m["kv"], head)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        if m["rope"]:
            q, k = rotate(q, m["rope"]), rotate(k, m["rope"])
        k, v = (part.repeat_interleave(HEADS // m["kv"], dim=1) for part in (k, v))
        scores = (q @ k.transpose(2, 3)) * m["attention_scale"]
        h = scores.masked_fill(~visible(m), -math.inf).softmax(-1) @ v
        h = linear(h.transpose(1, 2).reshape(B, T, C),
                   layer + "self_attn.proj_output_dense_layer")
        x = x + h
        h = norm(x, layer + "norm3")
        inner = linear(h, layer + "ffn.ffn.0.linear_layer")
        if m["gate"]:
            inner = inner * m["gate"](linear(h, layer + "ffn.ffn.0.linear_layer_for_glu"))
        else:
            inner = m["activation"](inner)
        x = x + linear(inner, layer + "ffn.ffn.1.linear_layer")
    out = w["embedding_layer.word_embeddings.weight"] if m["tied"] else w["lm_head.weight"]
    return norm(x, "ln_f") @ out.T * m["logits_scale"]


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


def train(m, dtype, report):
    w = first_values(m, dtype)
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in w.items()}
    losses = []
    for step in range(STEPS):
        ids, labels, mask = batch(step)
        logits = logits_of(m, w, ids)
        loss = loss_of(logits, labels, mask)
        loss.backward()
        losses.append(loss.item())
        if step == 0 and report:
            for i, value in enumerate(logits[0, T - 1].tolist()):
                print(f"logit {i} {value!r}")
            for name, p in w.items():
                print(f"gradient {name} {p.grad.norm().item()!r}")
        update(w, moments, step + 1)
    return losses


def main():
    torch.set_num_threads(1)
    print(f"# make_decoder_torch.py, torch {torch.__version__.split('+')[0]}")
    for name, m in MODELS.items():
        print(f"model {name}")
        doubles = train(m, torch.float64, True)
        singles = train(m, torch.float32, False)
        for step in range(STEPS):
            print(f"loss {step} {singles[step]!r} {doubles[step]!r}")


if __name__ == "__main__":
    main()
