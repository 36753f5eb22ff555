#!/usr/bin/env python3
"""The checkpoint engine against the machine it runs on: `make bench-checkpoint`.

    bench/checkpoint.py [--quick] [--folder F] [PART ...]

Measures with BUILD/bench/bench_checkpoint, one process for all of a part, and prints a table: what,
the figure, the limit that the same program reached without the engine, their ratio, the target, and
whether it is met. What is compared is run in turn (A B A B ...), ratios are of neighbours, figures
are medians. Everything goes to BUILD/bench/checkpoint.json; a part that is run alone replaces its
rows there. BENCH_RUN in the environment is a command to run each part under (a lock, `nice`).
"""
import argparse
import json
import os
import pathlib
import shutil
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MIB = 1 << 20
GIB = 1 << 30
# What the engine does: see RUN_BYTES and THREADS_DEFAULT in src/ckpt/writer.c, READERS_MAX in
# src/ckpt/load_chunks.c.
WRITE_BLOCK, WRITE_DEPTH = 4 * MIB, 6
READ_BLOCK, READ_DEPTH = 4 * MIB, 4
# The most that a part leaves before it deletes, the one being written, and the device's.
FILES_AT_ONCE = 9
median = statistics.median


class Bench:
    """A running bench_checkpoint in a fresh folder."""

    def __init__(self, options, shape):
        self.folder = tempfile.mkdtemp(prefix="bench.", dir=options.folder)
        self.shape = "tiny" if options.quick else shape
        self.process = subprocess.Popen(
            [options.build / "bench" / "bench_checkpoint", self.folder, self.shape],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.bytes = self.answer()["bytes"]
        free = shutil.disk_usage(options.folder).free
        if free < FILES_AT_ONCE * self.bytes:
            self.close()
            sys.exit(f"bench/checkpoint.py: '{options.folder}' has {free / 1e9:.1f} GB free and "
                     f"{FILES_AT_ONCE * self.bytes / 1e9:.1f} GB are needed (--folder)")

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("bench/checkpoint.py: bench_checkpoint has failed")
        return json.loads(line)

    def do(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.answer()

    def seconds(self, command):
        return self.do(command)["seconds"]

    def write_device(self, way="direct", block=WRITE_BLOCK, depth=WRITE_DEPTH):
        return self.seconds(f"write {way} {block} {depth}")

    def read_device(self):
        return self.seconds(f"read {READ_BLOCK} {READ_DEPTH}")

    def steps(self, count, seconds, saves, keep=2):
        return self.do(f"steps {count} {seconds:.6f} {saves} {keep}")["steps"]

    def engine_cpu(self):
        """Processor seconds of the threads that write checkpoints."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            if (task / "comm").read_text().startswith("cairn-"):
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def status(self, key):
        """Bytes of a line of /proc/PID/status."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
        sys.exit(f"bench/checkpoint.py: no {key} in /proc/PID/status")

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


QUICK = "--quick" in sys.argv  # A tiny state meets no target and misses none.


def row(what, values, unit, limit=None, limit_of="", ratio=None, target="", met=None):
    """`values` is one figure or all repetitions."""
    many = values if isinstance(values, list) else [values]
    met = None if QUICK else met
    return {"what": what, "value": median(many), "min": min(many), "max": max(many),
            "n": len(many), "unit": unit, "limit": limit, "limit_of": limit_of, "ratio": ratio,
            "target": target, "met": met}


def rates(size, seconds):
    return [size / s / 1e9 for s in seconds]


def ratio_of(pairs):
    """Median of a / b over neighbours."""
    return median(a / b for a, b in pairs)


def quantile(values, q):
    """The smallest value that is not exceeded by a share of q."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(q * 1000) * len(ordered) // 1000) - 1))]


# ---- Parts: each yields rows -----------------------------------------------------------------

def part_device(options):
    ways = {
        f"device: O_DIRECT write, {WRITE_BLOCK // MIB} MiB x {WRITE_DEPTH}":
            lambda b: b.write_device(),
        "device: O_DIRECT write, 4 MiB x 1": lambda b: b.write_device("direct", 4 * MIB, 1),
        f"device: O_DIRECT read, {READ_BLOCK // MIB} MiB x {READ_DEPTH}": lambda b: b.read_device(),
        "device: write + fsync through the page cache":
            lambda b: b.write_device("cached", 4 * MIB, 1),
    }
    times = {name: [] for name in ways}
    with Bench(options, "gpt2") as b:
        for _ in range(options.count(7)):
            for name, run in ways.items():
                times[name].append(run(b))
        for name, seconds in times.items():
            yield row(name, rates(b.bytes, seconds), "GB/s")


def part_write(options):
    for shape in ("gpt2", "tensors"):
        pairs = []
        attach = []
        with Bench(options, shape) as b:
            for _ in range(3):
                attach.append(b.seconds("attach") * 1e3)
                b.do("save")
                b.do("detach")
            b.do("attach")
            b.do("save")
            for _ in range(options.count(15)):
                device = b.write_device()
                pairs.append((b.do("save")["durable"], device))
            b.do("detach")
            ratio = ratio_of((d, s) for s, d in pairs)
            yield row(f"durable write of one checkpoint, {b.shape}",
                      rates(b.bytes, [s for s, _ in pairs]), "GB/s",
                      median(rates(b.bytes, [d for _, d in pairs])), "O_DIRECT",
                      ratio, ">= 0.95", ratio >= 0.95)
            yield row(f"attach, {b.shape}", attach, "ms")


def blocked_ms(step):
    return (step["start"] + step["guard"] + step["poll"] + step["wait"]) * 1e3


def part_blocked(options):
    for shape, count in (("gpt2", 200), ("tensors", 200)):
        with Bench(options, shape) as b:
            b.do("attach")
            b.do("save")
            pilot = 4 * b.do("save")["durable"]
            write = median(s["write"] for s in b.steps(options.count(8), pilot, 1))
            steps = b.steps(options.count(count), 1.5 * write, 1)
            # "step >= write time" is the premise: a save that took longer than its step is counted.
            in_time = [s for s in steps if s["write"] <= s["seconds"] - s["wait"]]
            blocked = [blocked_ms(s) / (b.bytes / GIB) for s in in_time]
            p99 = quantile(blocked, 0.99)
            name = f"blocked by a save, {b.shape}, step = 1.5 x write time"
            yield row(name, blocked, "ms/GiB")
            yield row(f"  p99 of {len(in_time)} saves", p99, "ms/GiB",
                      target="<= 5" if count >= 200 else "",
                      met=p99 <= 5 if count >= 200 else None)
            yield row("  saves that took longer than the step", len(steps) - len(in_time),
                      f"of {len(steps)}")
            yield row("  retention on the training thread", [s["prune"] * 1e3 for s in steps], "ms")
            b.do("detach")


def compare_steps(b, count, seconds, keep):
    """(with saves, without) seconds a step, with what the engine's threads took from the processors
    spread over them: the steps compute by the clock, and would not show it."""
    without = b.steps(count, seconds, 0)
    cpu = b.engine_cpu()
    steps = b.steps(count, seconds, 1, keep)
    stolen = (b.engine_cpu() - cpu) / count / len(os.sched_getaffinity(0))
    b.do("clean")
    return seconds_of(steps) + stolen, seconds_of(without)


def seconds_of(steps):
    return sum(s["seconds"] for s in steps) / len(steps)


def part_cadence(options):
    with Bench(options, "gpt2") as b:
        b.do("attach")
        b.do("save")
        device = median(b.write_device() for _ in range(5))
        for factor, groups, count, target in ((8, 4, 3, 1.03), (1, 8, 4, 1.15)):
            pairs = [compare_steps(b, count, factor * device, 0)
                     for _ in range(options.count(groups))]
            ratio = ratio_of(pairs)
            yield row(f"a checkpoint every step, step = {factor} x (state / device rate)",
                      [a for a, _ in pairs], "s/step", median(b for _, b in pairs), "without",
                      ratio, f"<= {target:.2f}", ratio <= target)
        b.do("detach")


def part_limit(options):
    """Steps that are an update only. Deleting a checkpoint takes the device time too."""
    with Bench(options, "gpt2") as b:
        b.do("attach")
        b.do("save")
        for keep, name, of in ((0, "", "O_DIRECT"),
                               (2, ", the newest 2 stay", "O_DIRECT + unlink")):
            pairs = []
            for _ in range(options.count(6)):
                device = b.write_device()
                device += b.seconds("remove") if keep else 0
                steps = b.steps(6, 0, 1, keep)
                b.do("clean")
                pairs.append((seconds_of(steps), device))
            yield row(f"a checkpoint every step, the device is the limit{name}",
                      [a for a, _ in pairs], "s/step", median(b for _, b in pairs), of,
                      ratio_of(pairs), "<= 1.10", ratio_of(pairs) <= 1.10)
        b.do("detach")


def part_memory(options):
    for shape in ("gpt2", "tensors"):
        with Bench(options, shape) as b:
            b.write_device()
            b.steps(1, 0, 0)
            pathlib.Path(f"/proc/{b.process.pid}/clear_refs").write_text("5")
            before = b.status("VmRSS")
            pool = b.do("attach")["pool"]
            b.steps(4, 0, 1)
            more = b.status("VmHWM") - before
            yield row(f"staging memory, {b.shape}", more / MIB, "MiB", pool / MIB, "pool",
                      None, "<= pool + 16 MiB", more <= pool + 16 * MIB)
            b.do("detach")


def part_load(options):
    for shape in ("gpt2", "tensors"):
        pairs = []
        with Bench(options, shape) as b:
            b.do("attach")
            b.do("save")
            b.write_device()
            b.do("load")
            for _ in range(options.count(15)):
                device = b.read_device()
                pairs.append((b.seconds("load"), device))
            b.do("detach")
            ratio = ratio_of((d, s) for s, d in pairs)
            yield row(f"load, cold, digests verified, {b.shape}",
                      rates(b.bytes, [s for s, _ in pairs]), "GB/s",
                      median(rates(b.bytes, [d for _, d in pairs])), "O_DIRECT",
                      ratio, ">= 0.9", ratio >= 0.9)


def part_list(options):
    count = options.count(1000)
    with Bench(options, "gpt2") as b:
        b.do("attach")
        b.do(f"many {count}")
        for name, cold in (("cold", 1), ("warm", 0)):
            times = [b.seconds(f"list {cold}") for _ in range(5)]
            yield row(f"list {count} checkpoints, {b.shape}, {name}", times, "s",
                      target="< 1", met=median(times) < 1)
        b.do("detach")
        times = []
        for _ in range(5):
            start = time.monotonic()
            subprocess.run([options.build / "cairn", "checkpoint", "list", b.folder], check=True,
                           stdout=subprocess.DEVNULL)
            times.append(time.monotonic() - start)
        yield row(f"`cairn checkpoint list` of {count}, the whole process", times, "s",
                  target="< 1", met=median(times) < 1)


PEER = """
import os, sys, time
import numpy
kind, size, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
count = 444
arrays = {f"t{i}": numpy.random.default_rng(i).random(size // count // 4, dtype=numpy.float32)
          for i in range(count)}
if kind == "torch.save":
    import torch
    arrays = {k: torch.from_numpy(v) for k, v in arrays.items()}
elif kind == "safetensors":
    import safetensors.numpy
path = os.path.join(folder, "peer.bin")
print("ready", flush=True)
for line in sys.stdin:
    if os.path.exists(path):
        os.unlink(path)
    start = time.monotonic()
    if kind == "torch.save":
        torch.save(arrays, path)
    else:
        safetensors.numpy.save_file(arrays, path)
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    print(time.monotonic() - start, flush=True)
"""


def start_peer(kind, b):
    """A process that saves as many bytes with another library; None: it is not here."""
    python = ROOT / "build" / "venv" / "bin" / "python"
    peer = subprocess.Popen([python if python.exists() else sys.executable, "-c", PEER, kind,
                             str(b.bytes), b.folder], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return peer if peer.stdout.readline() == "ready\n" else None


def part_peers(options):
    with Bench(options, "gpt2") as b:
        b.do("attach")
        b.do("save")
        ways = {"save, Cairn": lambda: b.seconds("save"),
                "save, Cairn, asynchronous: false": lambda: b.seconds("save_sync"),
                "save, write + fsync": lambda: b.write_device("cached", 4 * MIB, 1)}
        for kind in ("safetensors", "torch.save"):
            peer = start_peer(kind, b)
            if peer is None:
                print(f"  ({kind} is not installed here)", flush=True)
                continue

            def ask(peer=peer):
                peer.stdin.write("\n")
                peer.stdin.flush()
                return float(peer.stdout.readline())
            ways[f"save, {kind} + fsync"] = ask
        times = {name: [] for name in ways}
        for _ in range(options.count(7)):
            for name, run in ways.items():
                times[name].append(run())
        ours = times["save, Cairn"]
        for name, seconds in times.items():
            yield row(name, rates(b.bytes, seconds), "GB/s",
                      ratio=ratio_of(zip(seconds, ours)), limit_of="x our time")
        b.do("detach")


PARTS = {"device": part_device, "write": part_write, "blocked": part_blocked,
         "cadence": part_cadence, "limit": part_limit,
         "memory": part_memory, "load": part_load, "list": part_list, "peers": part_peers}


# ---- The table -------------------------------------------------------------------------------

def number(value):
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def print_table(rows):
    lines = [("what", "median", "min .. max", "n", "limit", "ratio", "target", "")]
    for r in rows:
        limit = f"{number(r['limit'])} {r['limit_of']}".strip()
        spread = f"{number(r['min'])} .. {number(r['max'])}" if r["n"] > 1 else ""
        met = "" if r["met"] is None else "met" if r["met"] else "MISSED"
        lines.append((r["what"], f"{number(r['value'])} {r['unit']}", spread, str(r["n"]), limit,
                      number(r["ratio"]), r["target"], met))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def run_part(options, name):
    rows = []
    for r in PARTS[name](options):
        rows.append(r)
        print(f"  {r['what']}: {number(r['value'])} {r['unit']} {number(r['ratio'])}",
              file=sys.stderr, flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true",
                        help="a tiny state, few repetitions: whether it works")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build",
                        help="where the programs are")
    parser.add_argument("--folder", help="on the device to measure; BUILD/bench if not given")
    parser.add_argument("--results", help="the JSON file; BUILD/bench/checkpoint.json")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()
    options.count = lambda n: min(n, 4) if options.quick else n
    options.folder = options.folder or str(options.build / "bench")
    results = pathlib.Path(options.results or options.build / "bench" / "checkpoint.json")
    for name in options.parts:
        if name not in PARTS:
            parser.error(f"no part '{name}': {', '.join(PARTS)}")
    if options.alone:
        print(json.dumps(run_part(options, options.parts[0])))
        return
    told = {}
    if options.parts and results.exists():
        told = json.loads(results.read_text())
    for name in options.parts or PARTS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        command = shlex.split(os.environ.get("BENCH_RUN", "")) + [
            sys.executable, __file__, "--alone", "--build", str(options.build), "--folder",
            options.folder, name]
        done = subprocess.run(command + (["--quick"] if options.quick else []),
                              stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            sys.exit(done.returncode)
        told[name] = json.loads(done.stdout.splitlines()[-1])
        results.parent.mkdir(parents=True, exist_ok=True)
        results.write_text(json.dumps(told, indent=1) + "\n")
    print_table([r for name in PARTS for r in told.get(name, [])])


if __name__ == "__main__":
    main()
