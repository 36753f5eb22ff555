#!/usr/bin/env python3
"""What the callbacks and loggers of every run cost: `make bench-callbacks`.

    bench/callbacks.py [--quick] [--build BUILD] [CASE ...]

Two `cairn fit` of the same model: with all default callbacks, ProgressLogger and TensorBoardLogger
at log_steps 1, and with none of them (metrics.jsonl is always written). They take turns of a step,
A B B A ..., by the callback of bench/turns.c, which both have. The figure is steps a second
with them ÷ without, the median over neighbours. JSON goes to BUILD/bench/callbacks.json.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = 0.99
CALLBACKS = ("CheckLoss", "LogOptimizerParamGroup", "ComputeNorm", "ModelEvalMetrics",
             "RateProfiler", "DurationProfiler", "FlopUtilization", "SavePerformanceData",
             "SamplesStreamedInfo")
LOGGERS = ("ProgressLogger", "TensorBoardLogger")
WARM_UP_SECONDS = 2  # FlopUtilization measures the machine once, after the first second.

# name: (hidden_size, layers, vocab_size, sequence, batch, steps of a turn, turns of each)
CASES = {
    "small": (256, 6, 4096, 128, 4, 1, 150),
    "gpt2-124M": (768, 12, 50257, 256, 4, 1, 10),
}


def config(case, text, with_all, options):
    hidden, layers, vocab, sequence, batch, steps, _ = CASES[case]
    removed = [] if with_all else [{name: None} for name in CALLBACKS]
    return {"trainer": {
        "init": {
            "seed": 1,
            "plugins": [str(options.build / "bench" / "turns.so")],
            "model": {"name": "gpt2", "vocab_size": vocab, "max_position_embeddings": sequence,
                      "hidden_size": hidden, "num_hidden_layers": layers,
                      "num_heads": hidden // 64, "filter_size": 4 * hidden, "dropout_rate": 0.0},
            "optimizer": {"AdamW": {"lr": 1e-4, "weight_decay": 0.01}},
            "precision": {"max_gradient_norm": 1.0},
            "loop": {"max_steps": 1000000, "eval_frequency": 0},
            "checkpoint": {"steps": None},
            "logging": {"log_steps": 1},
            "callbacks": [{"Turns": {"steps": steps}}] + removed,
            "loggers": [] if with_all else [{name: None} for name in LOGGERS],
        },
        "fit": {"train_dataloader": {"data_processor": "TextDataProcessor", "data_dir": text,
                                     "max_sequence_length": sequence, "batch_size": batch,
                                     "shuffle": True}},
    }}


class Run:
    """A fit that stands still until it is its turn."""

    def __init__(self, folder, name, settings, options):
        self.name = name
        path = folder / (name + ".yaml")
        path.write_text(json.dumps(settings))
        with open(folder / (name + ".log"), "wb") as log:
            self.process = subprocess.Popen(
                [options.build / "cairn", "fit", path, "-o", folder / name, "--threads",
                 str(options.threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True, env=dict(os.environ, OMP_WAIT_POLICY="passive"))
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        try:
            return float(line)
        except ValueError:
            sys.exit(f"bench/callbacks.py: the run '{self.name}' has failed: {line}")

    def turn(self):
        """Seconds of a turn."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def measure(case, options):
    """[(seconds of a turn with all, without)]"""
    turns = 4 if options.quick else CASES[case][-1]
    runs = []
    with tempfile.TemporaryDirectory(dir=options.build / "bench") as name:
        folder = pathlib.Path(name)
        text = folder / "text.txt"
        text.write_bytes(random.Random(1).randbytes(1 << 20))
        try:
            for with_all in (True, False):
                runs.append(Run(folder, "all" if with_all else "none",
                                config(case, str(text), with_all, options), options))
            for run in runs:
                spent = 0.0
                while spent < WARM_UP_SECONDS:
                    spent += run.turn()
            pairs = []
            for i in range(turns):
                order = (0, 1) if i % 2 == 0 else (1, 0)
                seconds = {j: runs[j].turn() for j in order}
                pairs.append((seconds[0], seconds[1]))
        finally:
            for run in runs:
                run.close()
    return pairs


def row(case, pairs, options):
    hidden, layers, vocab, sequence, batch, steps, _ = CASES[case]
    ratios = sorted(without / with_all for with_all, without in pairs)
    return {"case": case, "hidden": hidden, "layers": layers, "vocab": vocab,
            "sequence": sequence, "batch": batch, "threads": options.threads,
            "with_steps_per_s": steps / statistics.median(a for a, _ in pairs),
            "without_steps_per_s": steps / statistics.median(b for _, b in pairs),
            "ratio": statistics.median(ratios), "ratios": ratios, "target": TARGET}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="few turns: whether it works")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build",
                        help="where the programs are")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    options = parser.parse_args()
    for case in options.cases:
        if case not in CASES:
            parser.error(f"no case '{case}': {', '.join(CASES)}")
    rows = []
    print("case       steps/s with  without  ratio  quartiles      target")
    for case in options.cases or CASES:
        r = row(case, measure(case, options), options)
        low, _, high = statistics.quantiles(r["ratios"], n=4)
        met = "" if options.quick else "  met" if r["ratio"] >= TARGET else "  MISSED"
        print(f"{case:<10} {r['with_steps_per_s']:12.3f}  {r['without_steps_per_s']:7.3f}  "
              f"{r['ratio']:.3f}  {low:.3f} .. {high:.3f}  >= {TARGET:.2f}{met}", flush=True)
        rows.append(r)
    (options.build / "bench" / "callbacks.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
