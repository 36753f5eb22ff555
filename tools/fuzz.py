#!/usr/bin/env python3
"""Fuzzes the readers of what comes from outside: fuzz.py [--seconds N] [TARGET...]

Builds the targets of tests/fuzz with libFuzzer and runs each for N seconds (else FUZZ_SECONDS, else
an hour), as many at once as there are processors. What a target learns stays in
build/fuzz/corpus/TARGET; the seeds in tests/fuzz/corpus are only read. Inputs that break something
go to build/fuzz/findings: mend the code, then add the input to the seeds, under a name that says
what it was, so that it is a test for ever. Exit code 1 if anything broke.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/fuzz"
SEEDS = ROOT / "tests/fuzz/corpus"
SEEDS_ELSEWHERE = {"h5_file": ROOT / "tests/hdf5"}
SECONDS = 3600
INPUT_SECONDS_MAX = 20
SHOWN_LINES = 60


def all_targets():
    return sorted(path.stem for path in (ROOT / "tests/fuzz").glob("*.c")
                  if path.stem not in ("memory_os", "replay"))


def program(name):
    return BUILD / "tests" / f"fuzz_{name}"


def build(targets):
    names = ["fuzz_" + name for name in targets] or ["fuzz_targets"]
    for command in (["cmake", "--preset", "fuzz"],
                    ["cmake", "--build", str(BUILD), "--", *names]):
        result = subprocess.run(command, cwd=ROOT, text=True, errors="replace", check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode != 0:
            sys.exit(f"$ {' '.join(command)}\n{result.stdout}")


def stat(output, name):
    found = re.search(rf"^stat::{name}:\s+(\d+)", output, re.MULTILINE)
    return int(found.group(1)) if found else 0


def fuzz(name, seconds):
    """(executions, text to print, whether nothing broke)."""
    learnt, findings = BUILD / "corpus" / name, BUILD / "findings"
    learnt.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ, ASAN_OPTIONS="allocator_may_return_null=1",
                       UBSAN_OPTIONS="print_stacktrace=1")
    result = subprocess.run(
        [program(name), f"-max_total_time={seconds}", "-print_final_stats=1",
         f"-timeout={INPUT_SECONDS_MAX}", f"-artifact_prefix={findings}/{name}-", learnt,
         SEEDS_ELSEWHERE.get(name, SEEDS / name)],
        cwd=ROOT, env=environment, text=True, errors="replace", check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    executions = stat(result.stdout, "number_of_executed_units")
    text = (f"{name}: {executions} executions in {seconds} s, "
            f"{stat(result.stdout, 'new_units_added')} new inputs")
    if result.returncode == 0 and executions > 0:
        return executions, text, True
    lines = result.stdout.rstrip("\n").split("\n")[-SHOWN_LINES:]
    return executions, "\n".join([text + "; BROKEN:", *lines]), False


def main():
    targets = all_targets()
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=os.environ.get("FUZZ_SECONDS") or SECONDS)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(targets))
    options = parser.parse_args()
    unknown = [name for name in options.targets if name not in targets]
    if unknown:
        parser.error(f"no target {unknown[0]}; there are: {', '.join(targets)}")
    build(options.targets)
    # Some need a library that is optional.
    targets = options.targets or [name for name in targets if program(name).exists()]
    total, broken = 0, 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        runs = [pool.submit(fuzz, name, options.seconds) for name in targets]
        for run in concurrent.futures.as_completed(runs):
            executions, text, is_good = run.result()
            total += executions
            broken += not is_good
            print(text, flush=True)
    print(f"fuzz: {len(targets)} targets, {total} executions, {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
