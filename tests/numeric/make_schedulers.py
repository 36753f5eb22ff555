#!/usr/bin/env python3
"""Writes schedulers.txt: values of schedulers, which tests/unit/app/schedules_test.c must reach.

    python3 tests/numeric/make_schedulers.py > tests/numeric/schedulers.txt

Run by hand; needs torch. Lines: "case YAML", then for t = 0, 1, ... "float64 VALUES", computed here
from the formulas of the documentation (docs/guide/schedulers.md), and where PyTorch has a scheduler
with the same meaning "torch VALUES" from that.
"""
import json
import math
import warnings

import torch
from torch.optim import lr_scheduler as L

STEPS = 26
warnings.simplefilter("ignore")


def linear(t, i, e, T):
    return e if t >= T else (1 - t / T) * (i - e) + e


def cosine(t, i, e, T):
    return e if t >= T else 0.5 * (1 + math.cos(math.pi * t / T)) * (i - e) + e


def restarts(t, i, T, mult, low):
    while t >= T:
        t -= T
        T *= mult
    return low + 0.5 * (i - low) * (1 + math.cos(math.pi * t / T))


def cyclic(t, base, top, up, down, scale):
    S = up + down
    c = math.floor(1 + t / S)
    x = t / S - c + 1
    rho = up / S
    h = x / rho if x <= rho else (x - 1) / (rho - 1)
    return base + h * (top - base) * scale(c, t)


def one_cycle(t, i, top, N, pct, div, three, shape):
    low = i / div
    a = pct * N - 1
    phases = [(0, a, i, top), (a, N - 1, top, low)]
    if three:
        phases = [(0, a, i, top), (a, 2 * pct * N - 2, top, i), (2 * pct * N - 2, N - 1, i, low)]
    for begin, end, x, y in phases:
        if t <= end:
            part = (t - begin) / (end - begin)
            if shape == "linear":
                return x + part * (y - x)
            return y + (x - y) / 2 * (1 + math.cos(math.pi * part))
    return low


def sequential(t, *children):
    for length, child in children[:-1]:
        if t < length:
            return child(t)
        t -= length
    return children[-1][1](t)


def by_torch(base, make):
    """Values of a PyTorch scheduler for a parameter group with learning rate @base."""
    optimizer = torch.optim.SGD([torch.zeros(1, dtype=torch.float64, requires_grad=True)], lr=base)
    scheduler = make(optimizer)
    out = []
    for _ in range(STEPS):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(out) == getattr(scheduler, "total_steps", None):
            break  # OneCycleLR is over.
        scheduler.step()
    return out


def lr(name, **options):
    return {name: options}


def names(yaml):
    """The same for weight decay."""
    table = {"learning_rate": "val", "initial_learning_rate": "initial_val",
             "end_learning_rate": "end_val", "learning_rates": "vals", "base_lr": "base_val",
             "max_lr": "max_val", "ChainedScheduler": "ChainedWD",
             "CosineAnnealingWarmRestarts": "CosineAnnealingWarmRestartsWD"}
    if isinstance(yaml, dict):
        out = {}
        for key, value in yaml.items():
            key = table.get(key, key[:-2] + "WD" if key.endswith("LR") else key)
            out[key] = names(value)
        return out
    return [names(x) for x in yaml] if isinstance(yaml, list) else yaml


CASES = [
    (lr("ConstantLR", learning_rate=0.3), lambda t: 0.3, None),
    (lr("LinearLR", initial_learning_rate=0.5, end_learning_rate=0.05, total_iters=13),
     lambda t: linear(t, 0.5, 0.05, 13),
     (0.5, lambda o: L.LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=13))),
    (lr("LinearLR", initial_learning_rate=0.0, end_learning_rate=1.0, total_iters=4, cycle=True),
     lambda t: linear(t, 0.0, 1.0, 4), None),
    (lr("PolynomialLR", initial_learning_rate=0.5, end_learning_rate=0.0, total_iters=13,
        power=2.5),
     lambda t: 0.0 if t >= 13 else (1 - t / 13) ** 2.5 * 0.5,
     (0.5, lambda o: L.PolynomialLR(o, total_iters=13, power=2.5))),
    (lr("PolynomialLR", initial_learning_rate=0.5, end_learning_rate=0.1, total_iters=7, power=0.5),
     lambda t: 0.1 if t >= 7 else math.sqrt(1 - t / 7) * 0.4 + 0.1, None),
    (lr("ExponentialLR", initial_learning_rate=0.5, total_iters=10, decay_rate=0.3),
     lambda t: 0.5 * 0.3 ** (t / 10), (0.5, lambda o: L.ExponentialLR(o, 0.3 ** 0.1))),
    (lr("ExponentialLR", initial_learning_rate=0.5, total_iters=10, decay_rate=0.3, staircase=True),
     lambda t: 0.5 * 0.3 ** (t // 10), (0.5, lambda o: L.StepLR(o, 10, 0.3))),
    (lr("InverseExponentialTimeDecayLR", initial_learning_rate=0.5, step_exponent=2, total_iters=10,
        decay_rate=0.3), lambda t: 0.5 / (1 + 0.3 * t ** 2 / 10), None),
    (lr("InverseExponentialTimeDecayLR", initial_learning_rate=0.5, step_exponent=1, total_iters=10,
        decay_rate=0.3, staircase=True), lambda t: 0.5 / (1 + 0.3 * (t // 10)), None),
    (lr("InverseSquareRootDecayLR", initial_learning_rate=0.5, scale=2.0, warmup_steps=6),
     lambda t: 0.5 * 2.0 / math.sqrt(max(t, 6)), None),
    (lr("InverseSquareRootDecayLR"), lambda t: 1.0 / math.sqrt(max(t, 1)), None),
    (lr("CosineDecayLR", initial_learning_rate=0.5, end_learning_rate=0.05, total_iters=17),
     lambda t: cosine(t, 0.5, 0.05, 17), None),
    (lr("CosineDecayLR", initial_learning_rate=0.0, end_learning_rate=0.5, total_iters=5),
     lambda t: cosine(t, 0.0, 0.5, 5), None),
    (lr("CosineAnnealingLR", initial_learning_rate=0.5, T_max=7, eta_min=0.1),
     lambda t: 0.1 + 0.2 * (1 + math.cos(math.pi * t / 7)),
     (0.5, lambda o: L.CosineAnnealingLR(o, 7, 0.1))),
    (lr("CosineAnnealingWarmRestarts", initial_learning_rate=0.5, T_0=4),
     lambda t: restarts(t, 0.5, 4, 1, 0.0),
     (0.5, lambda o: L.CosineAnnealingWarmRestarts(o, 4))),
    (lr("CosineAnnealingWarmRestarts", initial_learning_rate=0.5, T_0=3, T_mult=2, eta_min=0.1),
     lambda t: restarts(t, 0.5, 3, 2, 0.1),
     (0.5, lambda o: L.CosineAnnealingWarmRestarts(o, 3, 2, 0.1))),
    (lr("StepLR", initial_learning_rate=0.5, step_size=6, gamma=0.4),
     lambda t: 0.5 * 0.4 ** (t // 6), (0.5, lambda o: L.StepLR(o, 6, 0.4))),
    (lr("MultiStepLR", initial_learning_rate=0.5, gamma=0.4, milestones=[3, 4, 20]),
     lambda t: 0.5 * 0.4 ** sum(m <= t for m in (3, 4, 20)),
     (0.5, lambda o: L.MultiStepLR(o, [3, 4, 20], 0.4))),
    (lr("MultiplicativeLR", initial_learning_rate=0.5, coefficient=0.9),
     lambda t: 0.5 * 0.9 ** t, (0.5, lambda o: L.MultiplicativeLR(o, lambda t: 0.9))),
    (lr("PiecewiseConstantLR", learning_rates=[0.5, 0.2, 0.3], milestones=[5, 9]),
     lambda t: (0.5, 0.2, 0.3)[(t >= 5) + (t >= 9)], None),
    (lr("CyclicLR", base_lr=0.1, max_lr=0.5, step_size_up=5),
     lambda t: cyclic(t, 0.1, 0.5, 5, 5, lambda c, t: 1.0),
     (0.1, lambda o: L.CyclicLR(o, 0.1, 0.5, 5, cycle_momentum=False))),
    (lr("CyclicLR", base_lr=0.1, max_lr=0.5, step_size_up=3, step_size_down=4, mode="triangular2"),
     lambda t: cyclic(t, 0.1, 0.5, 3, 4, lambda c, t: 2.0 ** (1 - c)),
     (0.1, lambda o: L.CyclicLR(o, 0.1, 0.5, 3, 4, "triangular2", cycle_momentum=False))),
    (lr("CyclicLR", base_lr=0.1, max_lr=0.5, step_size_up=3, mode="exp_range", gamma=0.95),
     lambda t: cyclic(t, 0.1, 0.5, 3, 3, lambda c, t: 0.95 ** t),
     (0.1, lambda o: L.CyclicLR(o, 0.1, 0.5, 3, None, "exp_range", 0.95, cycle_momentum=False))),
    (lr("OneCycleLR", initial_learning_rate=0.1, max_lr=0.5, total_steps=20, final_div_factor=100),
     lambda t: one_cycle(t, 0.1, 0.5, 20, 0.3, 100, False, "cos"),
     (0.1, lambda o: L.OneCycleLR(o, 0.5, 20, div_factor=5, final_div_factor=100,
                                  cycle_momentum=False))),
    (lr("OneCycleLR", initial_learning_rate=0.1, max_lr=0.5, total_steps=20, pct_start=0.25,
        anneal_strategy="linear"),
     lambda t: one_cycle(t, 0.1, 0.5, 20, 0.25, 1e4, False, "linear"),
     (0.1, lambda o: L.OneCycleLR(o, 0.5, 20, pct_start=0.25, anneal_strategy="linear",
                                  div_factor=5, cycle_momentum=False))),
    (lr("OneCycleLR", initial_learning_rate=0.1, max_lr=0.5, total_steps=20, three_phase=True,
        final_div_factor=10),
     lambda t: one_cycle(t, 0.1, 0.5, 20, 0.3, 10, True, "cos"),
     (0.1, lambda o: L.OneCycleLR(o, 0.5, 20, div_factor=5, final_div_factor=10, three_phase=True,
                                  cycle_momentum=False))),
    # The vector of the Model Zoo reference, section 2.4.
    (lr("SequentialLR", schedulers=[
        lr("LinearLR", initial_learning_rate=0.0, end_learning_rate=6e-4, total_iters=4),
        lr("CosineDecayLR", initial_learning_rate=6e-4, end_learning_rate=6e-5, total_iters=8)]),
     lambda t: sequential(t, (4, lambda t: linear(t, 0, 6e-4, 4)),
                          (8, lambda t: cosine(t, 6e-4, 6e-5, 8))), None),
    (lr("SequentialLR", milestones=[4, 10], schedulers=[
        lr("ConstantLR", learning_rate=0.5, total_iters=4),
        lr("StepLR", initial_learning_rate=0.5, step_size=2, gamma=0.5),
        lr("SequentialLR", schedulers=[
            lr("LinearLR", initial_learning_rate=0.2, end_learning_rate=0.1, total_iters=5),
            lr("MultiplicativeLR", initial_learning_rate=0.1, coefficient=0.9)])]),
     lambda t: sequential(t, (4, lambda t: 0.5), (6, lambda t: 0.5 * 0.5 ** (t // 2)),
                          (0, lambda t: sequential(t, (5, lambda t: linear(t, 0.2, 0.1, 5)),
                                                   (0, lambda t: 0.1 * 0.9 ** t)))), None),
    (lr("ChainedScheduler", schedulers=[
        lr("ExponentialLR", initial_learning_rate=0.5, total_iters=1, decay_rate=0.9),
        lr("MultiStepLR", initial_learning_rate=0.2, gamma=0.4, milestones=[5, 8])]),
     lambda t: 0.5 * 0.9 ** t * 0.4 ** ((t >= 5) + (t >= 8)),
     (0.5, lambda o: L.ChainedScheduler([L.ExponentialLR(o, 0.9), L.MultiStepLR(o, [5, 8], 0.4)],
                                        o))),
    (lr("ScalePerParamLR",
        scheduler=lr("StepLR", initial_learning_rate=0.5, step_size=6, gamma=0.4)),
     lambda t: 0.5 * 0.4 ** (t // 6), None),
]


def main():
    for yaml, value, other in CASES:
        want = [value(t) for t in range(STEPS)]
        for text in (yaml, names(yaml)):
            print("case", json.dumps(text))
            print("float64", *("%.12g" % v for v in want))
        if other:
            got = by_torch(*other)
            assert all(abs(a - b) < 1e-12 for a, b in zip(want, got)), (yaml, want, got)
            print("torch", *("%.12g" % v for v in got))


main()
