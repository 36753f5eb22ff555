#!/usr/bin/env python3
"""A training step beside its bound and PyTorch: `make bench-train`.

    bench/train.py [--quick] [--python PYTHON]

GPT-2 124M, fp32, B = 4, with T = 64 and T = 1024 and 1 and all threads: tokens a second, the share
of the bound (what the bound is: bench/train.c), peak memory. Where PYTHON (default: build/venv's,
then python3) can import torch, the same step in PyTorch runs in turn with ours, with the faster of
OMP_WAIT_POLICY active and passive. Ratios are of neighbours. JSON goes to build/bench/train.json.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "bench" / "bench_train"
TARGETS = {64: 0.70, 1024: 0.80}


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
    rows = [output_of(command, threads, OMP_WAIT_POLICY=policy) for policy in ("ACTIVE", "PASSIVE")]
    return min((row for row in rows if row), key=lambda row: row["step_s"], default=None)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="T = 64 and all threads only")
    parser.add_argument("--python", help="a Python with torch")
    options = parser.parse_args()
    python = python_with_torch(options.python)
    cores = len(os.sched_getaffinity(0))
    cases = [(64, 5, cores)]
    if not options.quick:
        cases += [(64, 5, 1), (1024, 1, cores)]
    rows = []
    print("T     threads  tokens/s  of bound  target  peak MiB  PyTorch tokens/s  ratio  its MiB")
    for time, steps, threads in cases:
        size = ["--time", str(time), "--steps", str(steps)]
        ours = output_of([str(PROGRAM), *size, "--json"], threads)
        if ours is None:
            sys.exit("bench/train.py: bench_train has failed")
        theirs = torch_row(python, size, threads) if python else None
        peer = (f"{theirs['tokens_per_s']:16.1f}  {theirs['step_s'] / ours['step_s']:5.2f}"
                f"  {theirs['peak_mib']:7.0f}" if theirs else "    not installed")
        print(f"{time:<5} {threads:<8} {ours['tokens_per_s']:8.1f}  {ours['share_of_bound']:8.3f}"
              f"  {TARGETS[time]:6.2f}  {ours['peak_mib']:8.0f}  {peer}", flush=True)
        rows.append({"time": time, "threads": threads, "cairn": ours, "torch": theirs})
    (ROOT / "build" / "bench" / "train.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
