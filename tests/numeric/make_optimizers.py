#!/usr/bin/env python3
"""Writes optimizers.txt: what each optimizer makes of some parameters, for optimizers_test.c.

    python3 tests/numeric/make_optimizers.py > tests/numeric/optimizers.txt

Run by hand; needs torch. Lines: "case NAME CLASS VARYING {options}", then for each tensor, after
the last step, "float64 TENSOR VALUES", computed here element by element from the formulas in
include/cairn/optim.h, and "torch TENSOR VALUES" from torch.optim in float64 with the same settings,
where the arithmetic is the same. First parameters, gradients and rates come from formulas that both
sides compute.
"""
import math
import struct

import torch

STEPS = 7
# Name, shape, group: those with the tag "x" (w, b) come first, of each tag the decayed ones.
TENSORS = [("w", (6, 5), 0), ("tall", (7, 3), 2), ("e", (4, 6), 2), ("b", (5,), 1), ("n", (3,), 3),
           ("cube", (2, 3, 4), 2)]
DECAYED = (True, False, True, False)


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def first_value(number, i):
    return f32(0.5 * math.sin(0.7 * i + 0.11 * i * i + 1.3 * number))


def gradient(number, step, i):
    return f32(math.cos(0.9 * i + 0.05 * i * i + 0.8 * number + 1.7 * step) * (0.3 + 0.1 * step))


def rate(lr, varying, step, group):
    return lr * (1.0 + (0.25 * (step % 3) if varying else 0.0)) * (1.0 + 0.5 * group)


def decay(wd, group):
    return wd * (1.0 + 0.5 * group) if DECAYED[group] else 0.0


# ---- One step of a tensor in float64: p, g, state (a dict), s from 1, lr, wd, options, shape ----

def zeros(p):
    return [0.0] * len(p)


def adam_direction(p, g, st, s, o):
    b1, b2 = o["betas"]
    m, v = st.setdefault("m", zeros(p)), st.setdefault("v", zeros(p))
    top = st.setdefault("top", zeros(p))
    out = []
    for i in range(len(p)):
        m[i] = b1 * m[i] + (1 - b1) * g[i]
        v[i] = b2 * v[i] + (1 - b2) * g[i] * g[i]
        top[i] = max(top[i], v[i])
        u = m[i] / (math.sqrt(top[i] if o.get("amsgrad") else v[i]) + o["eps"])
        if o.get("correct_bias", True):
            u *= math.sqrt(1 - b2 ** s) / (1 - b1 ** s)
        out.append(u)
    return out


def adamw(p, g, st, s, lr, wd, o, shape):
    u = adam_direction(p, g, st, s, o)
    return [a - lr * (b + wd * a) for a, b in zip(p, u)]


def with_l2(p, g, wd, o):
    sign = -1.0 if o.get("maximize") else 1.0
    return [sign * b + wd * a for a, b in zip(p, g)]


def adam(p, g, st, s, lr, wd, o, shape):
    u = adam_direction(p, with_l2(p, g, wd, o), st, s, o)
    return [a - lr * b for a, b in zip(p, u)]


def sgd(p, g, st, s, lr, wd, o, shape):
    g = with_l2(p, g, wd, o)
    momentum = o.get("momentum", 0.0)
    if momentum != 0.0:
        b = st.setdefault("b", zeros(p))
        for i in range(len(p)):
            b[i] = momentum * b[i] + (1 - o.get("dampening", 0.0)) * g[i]
        g = [x + momentum * y for x, y in zip(g, b)] if o.get("nesterov") else list(b)
    return [a - lr * x for a, x in zip(p, g)]


def lion(p, g, st, s, lr, wd, o, shape):
    b1, b2 = o["betas"]
    m = st.setdefault("m", zeros(p))
    out = []
    for i in range(len(p)):
        c = b1 * m[i] + (1 - b1) * g[i]
        out.append(p[i] * (1 - lr * wd) - lr * ((c > 0) - (c < 0)))
        m[i] = b2 * m[i] + (1 - b2) * g[i]
    return out


def lamb(p, g, st, s, lr, wd, o, shape):
    u = adam_direction(p, g, st, s, dict(o, correct_bias=False))
    u = [x + wd * a for x, a in zip(u, p)]
    size = min(10.0, math.sqrt(sum(a * a for a in p)))
    norm = math.sqrt(sum(x * x for x in u))
    ratio = size / norm if size > 0 and norm > 0 and not o.get("adam") else 1.0
    return [a - lr * ratio * x for a, x in zip(p, u)]


def rms(x):
    return math.sqrt(sum(a * a for a in x) / len(x))


def adafactor(p, g, st, s, lr, wd, o, shape):
    eps1, eps2 = o.get("eps", (1e-30, 1e-3))
    b2 = 1 - s ** o.get("decay_rate", -0.8)
    if o.get("scale_parameter", True):
        lr *= max(eps2, rms(p))
    if len(shape) >= 2:
        rows, cols = shape[-2:]
        count = len(p) // (rows * cols)
        row = st.setdefault("row", [0.0] * (count * rows))
        col = st.setdefault("col", [0.0] * (count * cols))
        u = zeros(p)
        for k in range(count):
            def at(r, c):
                return (k * rows + r) * cols + c
            for r in range(rows):
                mean = sum(g[at(r, c)] ** 2 + eps1 for c in range(cols)) / cols
                row[k * rows + r] = b2 * row[k * rows + r] + (1 - b2) * mean
            for c in range(cols):
                mean = sum(g[at(r, c)] ** 2 + eps1 for r in range(rows)) / rows
                col[k * cols + c] = b2 * col[k * cols + c] + (1 - b2) * mean
            mean = sum(row[k * rows:(k + 1) * rows]) / rows
            for r in range(rows):
                for c in range(cols):
                    v = row[k * rows + r] / mean * col[k * cols + c]
                    u[at(r, c)] = g[at(r, c)] / math.sqrt(v)
    else:
        v = st.setdefault("v", zeros(p))
        for i in range(len(p)):
            v[i] = b2 * v[i] + (1 - b2) * (g[i] ** 2 + eps1)
        u = [x / math.sqrt(y) for x, y in zip(g, v)]
    clip = max(1.0, rms(u) / o.get("clip_threshold", 1.0))
    u = [x / clip * lr for x in u]
    if o.get("beta1") is not None:
        m = st.setdefault("m", zeros(p))
        for i in range(len(p)):
            m[i] = o["beta1"] * m[i] + (1 - o["beta1"]) * u[i]
        u = list(m)
    return [a - wd * lr * a - x for a, x in zip(p, u)]


def product(a, b):
    return [[sum(x * y for x, y in zip(row, col)) for col in zip(*b)] for row in a]


def turn(a):
    return [list(x) for x in zip(*a)]


def orthogonal(flat, rows, cols, steps):
    norm = math.sqrt(sum(x * x for x in flat)) + 1e-7
    x = [[flat[r * cols + c] / norm for c in range(cols)] for r in range(rows)]
    if rows > cols:
        x = turn(x)
    for _ in range(steps):
        a = product(x, turn(x))
        aa = product(a, a)
        b = [[-4.7750 * u + 2.0315 * v for u, v in zip(p, q)] for p, q in zip(a, aa)]
        bx = product(b, x)
        x = [[3.4445 * u + v for u, v in zip(p, q)] for p, q in zip(x, bx)]
    if rows > cols:
        x = turn(x)
    return [v for row in x for v in row]


def muon(p, g, st, s, lr, wd, o, shape, is_embedding):
    if len(shape) != 2 or is_embedding:
        b1, b2 = o.get("adam_betas", (0.9, 0.95))
        m, v = st.setdefault("m", zeros(p)), st.setdefault("v", zeros(p))
        out = []
        for i in range(len(p)):
            m[i] = b1 * m[i] + (1 - b1) * g[i]
            v[i] = b2 * v[i] + (1 - b2) * g[i] * g[i]
            u = m[i] / (1 - b1 ** s) / (math.sqrt(v[i] / (1 - b2 ** s)) + o.get("adam_eps", 1e-10))
            out.append(p[i] * (1 - lr * wd) - lr * u)
        return out
    momentum = o.get("momentum", 0.95)
    b = st.setdefault("b", zeros(p))
    for i in range(len(p)):
        b[i] = momentum * b[i] + (1 - momentum) * g[i]
    u = b
    if o.get("nesterov", True):
        u = [(1 - momentum) * x + momentum * y for x, y in zip(g, b)]
    u = orthogonal(u, *shape, o.get("ns_steps", 5))
    lr *= 0.2 * math.sqrt(max(shape))
    return [a * (1 - lr * wd) - lr * x for a, x in zip(p, u)]


def rmsprop(p, g, st, s, lr, wd, o, shape):
    g = with_l2(p, g, wd, o)
    alpha = o.get("alpha", 0.99)
    v, a = st.setdefault("v", zeros(p)), st.setdefault("a", zeros(p))
    b = st.setdefault("b", zeros(p))
    out = []
    for i in range(len(p)):
        v[i] = alpha * v[i] + (1 - alpha) * g[i] ** 2
        a[i] = alpha * a[i] + (1 - alpha) * g[i]
        variance = v[i] - (a[i] ** 2 if o.get("centered") else 0.0)
        b[i] = o.get("momentum", 0.0) * b[i] + g[i] / (math.sqrt(variance) + o.get("eps", 1e-8))
        out.append(p[i] - lr * b[i])
    return out


def nadam(p, g, st, s, lr, wd, o, shape):
    g = with_l2(p, g, wd, o)
    b1, b2 = o["betas"]

    def mu(k):
        return b1 * (1 - 0.5 * 0.96 ** (k * o.get("momentum_decay", 4e-3)))
    st["mu"] = st.get("mu", 1.0) * mu(s)
    m, v = st.setdefault("m", zeros(p)), st.setdefault("v", zeros(p))
    out = []
    for i in range(len(p)):
        m[i] = b1 * m[i] + (1 - b1) * g[i]
        v[i] = b2 * v[i] + (1 - b2) * g[i] ** 2
        root = math.sqrt(v[i] / (1 - b2 ** s)) + o.get("eps", 1e-8)
        of_g = g[i] * (1 - mu(s)) / (1 - st["mu"])
        of_m = m[i] * mu(s + 1) / (1 - st["mu"] * mu(s + 1))
        out.append(p[i] - lr * (of_g + of_m) / root)
    return out


def radam(p, g, st, s, lr, wd, o, shape):
    g = with_l2(p, g, wd, o)
    b1, b2 = o["betas"]
    most = 2 / (1 - b2) - 1
    rho = most - 2 * s * b2 ** s / (1 - b2 ** s)
    m, v = st.setdefault("m", zeros(p)), st.setdefault("v", zeros(p))
    out = []
    for i in range(len(p)):
        m[i] = b1 * m[i] + (1 - b1) * g[i]
        v[i] = b2 * v[i] + (1 - b2) * g[i] ** 2
        u = m[i] / (1 - b1 ** s)
        if rho > 5:
            u *= math.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
            u *= math.sqrt(1 - b2 ** s) / (math.sqrt(v[i]) + o.get("eps", 1e-6))
        out.append(p[i] - lr * u)
    return out


def adagrad(p, g, st, s, lr, wd, o, shape):
    g = with_l2(p, g, wd, o)
    total = st.setdefault("sum", [o.get("initial_accumulator_value", 0.0)] * len(p))
    lr /= 1 + (s - 1) * o.get("lr_decay", 0.0)
    for i in range(len(p)):
        total[i] += g[i] ** 2
    return [a - lr * x / (math.sqrt(y) + o.get("eps", 1e-6)) for a, x, y in zip(p, g, total)]


def adamax(p, g, st, s, lr, wd, o, shape):
    g = with_l2(p, g, wd, o)
    b1, b2 = o["betas"]
    m, n = st.setdefault("m", zeros(p)), st.setdefault("n", zeros(p))
    for i in range(len(p)):
        m[i] = b1 * m[i] + (1 - b1) * g[i]
        n[i] = max(b2 * n[i], abs(g[i]) + o.get("eps", 1e-6))
    return [a - lr / (1 - b1 ** s) * x / y for a, x, y in zip(p, m, n)]


def adadelta(p, g, st, s, lr, wd, o, shape):
    g = with_l2(p, g, wd, o)
    rho, eps = o.get("rho", 0.9), o.get("eps", 1e-6)
    v, a = st.setdefault("v", zeros(p)), st.setdefault("a", zeros(p))
    out = []
    for i in range(len(p)):
        v[i] = rho * v[i] + (1 - rho) * g[i] ** 2
        d = math.sqrt(a[i] + eps) / math.sqrt(v[i] + eps) * g[i]
        a[i] = rho * a[i] + (1 - rho) * d * d
        out.append(p[i] - lr * d)
    return out


def asgd(p, g, st, s, lr, wd, o, shape):
    g = with_l2(p, g, wd, o)
    lambd = o.get("lambd", 1e-4)
    eta = lr / (1 + lambd * lr * (s - 1)) ** o.get("alpha", 0.75)
    return [a * (1 - lambd * eta) - eta * x for a, x in zip(p, g)]


def rprop(p, g, st, s, lr, wd, o, shape):
    shrink, grow = o.get("etas", (0.5, 1.2))
    least, most = o.get("step_sizes", (1e-6, 50.0))
    prev, size = st.setdefault("prev", zeros(p)), st.setdefault("size", [o["lr"]] * len(p))
    out = []
    for i in range(len(p)):
        turn_ = g[i] * prev[i]
        size[i] *= grow if turn_ > 0 else shrink if turn_ < 0 else 1.0
        size[i] = min(most, max(least, size[i]))
        prev[i] = 0.0 if turn_ < 0 else g[i]
        out.append(p[i] - ((prev[i] > 0) - (prev[i] < 0)) * size[i])
    return out


# ---- The cases: name, class, rates vary, options, function, torch's class and options ----

B = (0.9, 0.95)
CASES = [
    ("adamw", "AdamW", True, dict(lr=0.01, betas=B, eps=0.01, weight_decay=0.1), adamw, None),
    ("adamw_no_correction", "AdamW", True,
     dict(lr=0.01, betas=B, eps=1e-6, weight_decay=0.1, correct_bias=False), adamw, None),
    ("adamw_amsgrad", "AdamW", True,
     dict(lr=0.01, betas=(0.9, 0.5), eps=0.01, weight_decay=0.1, amsgrad=True), adamw, None),
    ("adamw_no_eps", "AdamW", True, dict(lr=0.01, betas=B, eps=0.0, weight_decay=0.1), adamw,
     torch.optim.AdamW),
    ("adamw_amsgrad_no_eps", "AdamW", True,
     dict(lr=0.01, betas=B, eps=0.0, weight_decay=0.1, amsgrad=True), adamw, None),
    ("adam", "Adam", True, dict(lr=0.01, betas=B, eps=0.01, weight_decay=0.1), adam, None),
    ("adam_no_eps", "Adam", True, dict(lr=0.01, betas=B, eps=0.0, weight_decay=0.1), adam,
     torch.optim.Adam),
    ("adam_amsgrad", "Adam", True,
     dict(lr=0.01, betas=(0.9, 0.5), eps=0.01, weight_decay=0.1, amsgrad=True), adam, None),
    ("sgd", "SGD", True, dict(lr=0.05, weight_decay=0.1), sgd, torch.optim.SGD),
    ("sgd_momentum", "SGD", True, dict(lr=0.05, momentum=0.9, weight_decay=0.1), sgd,
     torch.optim.SGD),
    ("sgd_dampening", "SGD", True, dict(lr=0.05, momentum=0.9, dampening=0.3, maximize=True), sgd,
     None),
    ("sgd_nesterov", "SGD", True,
     dict(lr=0.05, momentum=0.9, weight_decay=0.1, nesterov=True, maximize=True), sgd,
     torch.optim.SGD),
    ("adafactor", "Adafactor", True, dict(lr=0.05, weight_decay=0.1), adafactor, None),
    ("adafactor_plain", "Adafactor", True,
     dict(lr=0.01, eps=(1e-8, 0.01), clip_threshold=0.5, decay_rate=-0.5, beta1=0.9,
          scale_parameter=False), adafactor, None),
    ("lion", "Lion", True, dict(lr=0.01, betas=(0.9, 0.99), weight_decay=0.1), lion, None),
    ("lamb", "Lamb", True, dict(lr=0.01, betas=B, eps=1e-6, weight_decay=0.1), lamb, None),
    ("lamb_adam", "Lamb", True, dict(lr=0.01, betas=B, eps=1e-6, weight_decay=0.1, adam=True), lamb,
     None),
    ("muon", "Muon", True, dict(lr=0.02, weight_decay=0.1), muon, None),
    ("muon_plain", "Muon", True,
     dict(lr=0.02, weight_decay=0.0, momentum=0.8, nesterov=False, ns_steps=2,
          adam_betas=(0.8, 0.9), adam_eps=0.01), muon, None),
    ("rmsprop", "RMSprop", True, dict(lr=0.01, weight_decay=0.1), rmsprop, torch.optim.RMSprop),
    ("rmsprop_momentum", "RMSprop", True, dict(lr=0.01, alpha=0.9, momentum=0.5, eps=0.01), rmsprop,
     torch.optim.RMSprop),
    ("rmsprop_centered", "RMSprop", True, dict(lr=0.01, alpha=0.9, eps=0.01, centered=True),
     rmsprop, torch.optim.RMSprop),
    ("rmsprop_both", "RMSprop", True,
     dict(lr=0.01, alpha=0.9, eps=0.01, momentum=0.5, centered=True, weight_decay=0.1), rmsprop,
     torch.optim.RMSprop),
    ("nadam", "NAdam", True, dict(lr=0.01, betas=B, weight_decay=0.1, momentum_decay=0.1), nadam,
     torch.optim.NAdam),
    ("radam", "RAdam", True, dict(lr=0.01, betas=(0.9, 0.9), eps=1e-4, weight_decay=0.1), radam,
     torch.optim.RAdam),
    ("adagrad", "Adagrad", True,
     dict(lr=0.05, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.2, eps=1e-4),
     adagrad, torch.optim.Adagrad),
    ("adagrad_up", "Adagrad", True, dict(lr=0.05, eps=1e-6, maximize=True), adagrad,
     torch.optim.Adagrad),
    ("adamax", "Adamax", True, dict(lr=0.01, betas=B, eps=1e-4, weight_decay=0.1), adamax,
     torch.optim.Adamax),
    ("adamax_up", "Adamax", True, dict(lr=0.01, betas=B, eps=1e-4, maximize=True), adamax,
     torch.optim.Adamax),
    ("adadelta", "Adadelta", True, dict(lr=0.5, rho=0.8, eps=1e-4, weight_decay=0.1), adadelta,
     torch.optim.Adadelta),
    ("adadelta_up", "Adadelta", True, dict(lr=0.5, eps=1e-4, maximize=True), adadelta,
     torch.optim.Adadelta),
    ("asgd", "ASGD", False, dict(lr=0.05, lambd=0.1, alpha=0.5, t0=3.0, weight_decay=0.1), asgd,
     torch.optim.ASGD),
    ("asgd_varying", "ASGD", True, dict(lr=0.05, lambd=0.1, maximize=True), asgd, None),
    ("rprop", "Rprop", True, dict(lr=0.02), rprop, torch.optim.Rprop),
    ("rprop_bounds", "Rprop", True, dict(lr=0.02, etas=(0.3, 1.5), step_sizes=(0.01, 0.04)), rprop,
     torch.optim.Rprop),
]


def reference(varying, o, step_of):
    """Parameters after all steps; of ASGD the averages too."""
    result = []
    for number, (name, shape, group) in enumerate(TENSORS):
        count = math.prod(shape)
        p = [first_value(number, i) for i in range(count)]
        average = None
        state = {}
        for step in range(STEPS):
            g = [gradient(number, step, i) for i in range(count)]
            more = (name == "e",) if step_of is muon else ()
            p = step_of(p, g, state, step + 1, rate(o["lr"], varying, step, group),
                        decay(o.get("weight_decay", 0.01 if step_of is muon else 0.0), group), o,
                        shape, *more)
            if step_of is asgd:
                mu = 1 / max(1.0, step - o.get("t0", 1e6))
                average = p if mu == 1.0 else [a + mu * (x - a) for a, x in zip(average, p)]
        result.append((name, p))
        if average is not None:
            result.append((name + ".ax", average))
    return result


def by_torch(cls, varying, o):
    params = []
    groups = []
    for number, (_, shape, group) in enumerate(TENSORS):
        p = torch.tensor([first_value(number, i) for i in range(math.prod(shape))],
                         dtype=torch.float64).reshape(shape).requires_grad_()
        params.append(p)
        one = dict(params=[p])
        if cls is not torch.optim.Rprop:
            one.update(weight_decay=decay(o.get("weight_decay", 0.0), group))
        groups.append(one)
    keys = {k: v for k, v in o.items() if k != "weight_decay"}
    optimizer = cls(groups, **keys)
    for step in range(STEPS):
        for number, (_, shape, group) in enumerate(TENSORS):
            if cls is not torch.optim.Rprop:
                optimizer.param_groups[number]["lr"] = rate(o["lr"], varying, step, group)
            params[number].grad = torch.tensor(
                [gradient(number, step, i) for i in range(math.prod(shape))],
                dtype=torch.float64).reshape(shape)
        optimizer.step()
    result = []
    for p, (name, _, _) in zip(params, TENSORS):
        result.append((name, p.detach().flatten().tolist()))
        if cls is torch.optim.ASGD:
            result.append((name + ".ax", optimizer.state[p]["ax"].flatten().tolist()))
    return result


def text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[%s]" % ", ".join(map(repr, value))
    return repr(value)


def main():
    for name, cls, varying, o, step_of, torch_class in CASES:
        options = ", ".join(f"{k}: {text(v)}" for k, v in o.items())
        print(f"case {name} {cls} {int(varying)} {{{options}}}")
        want = reference(varying, o, step_of)
        torchs = by_torch(torch_class, varying, o) if torch_class else None
        for number, (tensor, values) in enumerate(want):
            print("float64", tensor, *("%.9g" % v for v in values))
            if not torchs:
                continue
            limit = 1e-7 if cls == "ASGD" else 1e-9  # ASGD keeps its rate in float32.
            assert all(abs(a - b) < limit for a, b in zip(values, torchs[number][1])), name
            print("torch", tensor, *("%.9g" % v for v in torchs[number][1]))


main()
