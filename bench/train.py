#!/usr/bin/env python3
"""A training step beside its bound and PyTorch: `make bench-train`.

    bench/train.py [--quick] [--precision fp32|bf16|both] [--python PYTHON] [PART ...]

step: GPT-2 124M, B = 4, with T = 64 and T = 1024, and a Llama of the same width, in fp32 and bf16,
with 1 and all threads: tokens a second, the share of the bound (what the bound is, and what it is
where bf16 is emulated: bench/train.c), peak memory. Where PYTHON (default: build/venv's, then
python3) can import torch, the same step in PyTorch runs in turn with ours, at its best with
OMP_WAIT_POLICY active or passive and with a malloc that keeps freed memory or does not; in bf16
only where the processor has a unit for it, for elsewhere its autocast takes ten times as long as
fp32. Ratios are of neighbours.

growth: a small model at T = 256 ... 8192, with a window of 256 and without, and with 2 ... 16
layers, kept and computed again (gradient_checkpointing): with a window the time a token should not
grow with T, nor a layer's with their number; memory a token never should with T.

JSON goes to build/bench/train-PART.json.
"""
import argparse
import itertools
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "bench" / "bench_train"
TARGETS = {("fp32", 64): 0.70, ("fp32", 1024): 0.80, ("bf16", 64): 0.40, ("bf16", 1024): 0.60}
# Else glibc gives large blocks back and PyTorch pays for fresh pages in every step.
KEEP_FREED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"}


def output_of(command, threads, **environment):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=False,
                          env=dict(os.environ, OMP_NUM_THREADS=str(threads), **environment))
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def python_with_torch(given):
    for python in [given] if given else [ROOT / "build" / "venv" / "bin" / "python", "python3"]:
        done = subprocess.run([python, "-c", "import torch"], check=False,
                              stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            return str(python)
    return None


def torch_row(python, size, threads):
    command = [python, str(ROOT / "bench" / "train_torch.py"), *size]
    rows = [output_of(command, threads, OMP_WAIT_POLICY=policy, **malloc)
            for policy in ("ACTIVE", "PASSIVE") for malloc in ({}, KEEP_FREED_MEMORY)]
    return min((row for row in rows if row), key=lambda row: row["step_s"], default=None)


def save(part, rows):
    path = ROOT / "build" / "bench" / f"train-{part}.json"
    path.write_text(json.dumps(rows, indent=1) + "\n")


def ours_of(size, threads):
    row = output_of([str(PROGRAM), *size, "--json"], threads)
    if row is None:
        sys.exit("bench/train.py: bench_train has failed")
    return row


def part_step(options):
    python = python_with_torch(options.python)
    cores = len(os.sched_getaffinity(0))
    cases = [(64, 5, cores, False)]
    if not options.quick:
        cases += [(64, 5, 1, False), (64, 5, cores, True), (1024, 1, cores, False)]
    types = ["fp32", "bf16"] if options.precision == "both" else [options.precision]
    rows = []
    print("type  model  T     threads  tokens/s  of bound  target  peak MiB  PyTorch tokens/s"
          "  ratio  its MiB")
    for (time, steps, threads, is_llama), kind in itertools.product(cases, types):
        size = ["--time", str(time), "--steps", str(steps)]
        size += ["--llama"] * is_llama + ["--bf16"] * (kind == "bf16")
        ours = ours_of(size, threads)
        is_emulated = kind != ours["bound_type"]
        theirs = torch_row(python, size, threads) if python and not is_emulated else None
        target = "none" if is_emulated else TARGETS[kind, time]
        peer = (f"{theirs['tokens_per_s']:16.1f}  {theirs['step_s'] / ours['step_s']:5.2f}"
                f"  {theirs['peak_mib']:7.0f}" if theirs else "    not measured")
        print(f"{kind:<5} {'Llama' if is_llama else 'GPT-2':<6} {time:<5} {threads:<8}"
              f" {ours['tokens_per_s']:8.1f}  {ours['share_of_bound']:8.3f}  {target:>6}"
              f"  {ours['peak_mib']:8.0f}  {peer}", flush=True)
        rows.append({"type": kind, "time": time, "threads": threads, "is_llama": is_llama,
                     "cairn": ours, "torch": theirs})
    save("step", rows)


def part_growth(options):
    """Memory is what a run has more than one of a single short row, and what its plan says."""
    threads = len(os.sched_getaffinity(0))
    small = ["--batch", "1", "--hidden", "256", "--vocab", "8192"]
    times = [256, 512] if options.quick else [256, 512, 1024, 2048, 4096, 8192]
    layers = [2, 4] if options.quick else [2, 4, 8, 16]
    windowed, again = ["--window", "256"], ["--gradient_checkpointing"]
    cases = [(time, 4, flags) for flags in (windowed, []) for time in times]
    cases += [(512, count, windowed + flags) for flags in ([], again) for count in layers]
    rows = []
    print("T     layers  window  again  us a token  us a token and layer  KiB a token  planned")
    for time, count, flags in cases:
        common = small + flags + ["--layers", str(count)]
        least = ours_of(common + ["--time", "16", "--steps", "1"], threads)
        row = ours_of(common + ["--time", str(time), "--steps", "5"], threads)
        each = row["compute_s"] / time * 1e6
        memory = (row["peak_mib"] - least["peak_mib"]) * 1024 / (time - 16)
        planned = row["activations_mib"] * 1024 / time
        print(f"{time:<5} {count:<7} {'256' if flags[:1] == ['--window'] else 'none':<7}"
              f" {'yes' if again[0] in flags else 'no':<6} {each:10.1f} {each / count:21.1f}"
              f" {memory:12.1f} {planned:8.1f}", flush=True)
        rows.append({"time": time, "layers": count, "flags": flags, "us_a_token": each,
                     "kib_a_token": memory, "planned_kib_a_token": planned})
    save("growth", rows)


PARTS = {"step": part_step, "growth": part_growth}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="the smallest sizes only")
    parser.add_argument("--precision", choices=["fp32", "bf16", "both"], default="both",
                        help="number types of part step")
    parser.add_argument("--python", help="a Python with torch")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()
    for part in options.parts or PARTS:
        if part not in PARTS:
            parser.error(f"no part '{part}'; there are {', '.join(PARTS)}")
        PARTS[part](options)


if __name__ == "__main__":
    main()
