#!/usr/bin/env python3
"""The whole gate, as `make test` and CI run it.

Stages: format, layers, style, headers, a gcc build with its unit and end-to-end tests, what is
generated from the option tables, the library for packages, a clang build, builds with sanitizers
and their tests, fuzzing, clang-tidy, cppcheck. Every stage runs, whatever the ones before it said.
Each stage counts as one case, and each test case of cmocka and unittest and each fuzz target as one
more. The last line is `N passed, N failed`, with `, N skipped` behind it if any were.

    --fast        format, layers, style, headers, the gcc build with its tests, generated files
    --only NAMES  only these stages, separated by commas; --list shows the names
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
import time
import traceback
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
JOBS = os.cpu_count() or 1
SHOWN_LINES_MAX = 200

# clang and the thread sanitizer run the modules in which they find what the others do not.
CLANG_TESTS = ("base", "os", "tensor", "format", "ckpt")
TSAN_TESTS = ("base", "os", "ckpt", "data", "loggers")
# For each target of tests/fuzz; `make fuzz` takes longer.
FUZZ_SECONDS = "15"
# One thread and thousands of saves: minutes under the thread sanitizer, and nothing to find.
TSAN_LEFT_OUT = ("unit_ckpt_memory_test", "unit_ckpt_damage_test")


class Counts:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")


class StageFailed(Exception):
    """Carries what to show."""


def run(command, **options):
    """Runs a command from the root; returns (exit code, output)."""
    options.setdefault("cwd", ROOT)
    try:
        result = subprocess.run([str(part) for part in command], text=True, errors="replace",
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, check=False, **options)
    except OSError as error:
        return 127, f"{command[0]}: {error}\n"
    return result.returncode, result.stdout


def must(command, **options):
    code, output = run(command, **options)
    if code != 0:
        raise StageFailed(f"$ {' '.join(str(part) for part in command)}\n{output}")
    return output


def sources(*folders, suffixes=(".c", ".h")):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*"))
            if path.suffix in suffixes and path.is_file()]


def in_parallel(function, items):
    """Outputs of the calls that failed (a call returns None or its output)."""
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        return [output for output in pool.map(function, items) if output is not None]


# --- Counting -------------------------------------------------------------------------------


def numbers(pattern, text):
    return sum(int(number) for number in re.findall(pattern, text, re.MULTILINE))


def count_output(output, is_passed, is_skipped=False):
    """Cases of one test program, cmocka's or unittest's, from what it printed."""
    counts = Counts()
    ran = re.findall(r"^Ran (\d+) tests? in ", output, re.MULTILINE)
    if re.search(r"^\[=+\] Running \d+ test", output, re.MULTILINE):
        summary = re.search(r"^\[  PASSED  \] \d+ test", output, re.MULTILINE)
        # Without a summary the program died; what it had finished counts.
        counts.passed = (numbers(r"^\[  PASSED  \] (\d+) test", output) if summary
                         else len(re.findall(r"^\[       OK \]", output, re.MULTILINE)))
        counts.failed = numbers(r"^\[  FAILED  \] (\d+) test", output)
        counts.skipped = numbers(r"^\[  SKIPPED \] (\d+) test", output)
    elif ran:
        last = output[output.rfind("\nRan "):]
        counts.failed = numbers(r"(?:failures|errors|unexpected successes)=(\d+)", last)
        counts.skipped = numbers(r"skipped=(\d+)", last)
        counts.passed = max(0, int(ran[-1]) - counts.failed - counts.skipped)
        if int(ran[-1]) == 0:
            counts.failed = max(1, counts.failed)
    elif is_skipped:
        counts.skipped = 1
    elif is_passed:
        counts.passed = 1
    if not is_passed and not is_skipped and counts.failed == 0:
        counts.failed = 1
    return counts


def count_junit(path):
    """All cases of a ctest run, and the names of the programs that failed."""
    counts, failed = Counts(), []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        status = case.get("status")
        is_skipped = status in ("disabled", "notrun") and case.find("failure") is None
        is_passed = status == "run"
        output = case.findtext("system-out") or ""
        one = count_output(output, is_passed, is_skipped)
        counts.add(one)
        if one.failed:
            failed.append((case.get("name"), output))
    return counts, failed


# --- Stages: each returns Counts of its test cases (or None) and raises StageFailed -----------


def stage_format():
    files = sources("src", "include", "tests", "examples", "bench")
    size = max(1, len(files) // (4 * JOBS) + 1)
    groups = [files[at:at + size] for at in range(0, len(files), size)]

    def check(group):
        code, output = run(["clang-format-14", "--dry-run", "-Werror", *group])
        return output if code != 0 else None

    bad = in_parallel(check, groups)
    if bad:
        raise StageFailed("".join(bad) + "`make format` mends this\n")


def stage_layers():
    must([sys.executable, "tools/check_layers.py"])


def stage_style():
    must([sys.executable, "tools/check_style.py"])


def stage_headers():
    """Every header stands alone: as C17, and the public ones as C++17."""
    common = ["-fsyntax-only", "-fopenmp", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE",
              "-Iinclude"]
    jobs = []
    for path in sources("include", "src", suffixes=(".h",)):
        name = str(path.relative_to(ROOT).relative_to(path.relative_to(ROOT).parts[0]))
        if name.startswith("cairn/options/") or (path.parts[-2] == "cli"):
            continue  # Rows of tables, which mean nothing alone; the program's own.
        jobs.append((name, ["gcc", "-std=gnu17", *common, "-Isrc", "-x", "c", "-"]))
        if name.startswith("cairn/"):
            jobs.append((name, ["g++", "-std=c++17", *common, "-x", "c++", "-"]))

    def check(job):
        name, command = job
        result = subprocess.run(command, input=f'#include "{name}"\n', text=True, cwd=ROOT,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return f"{name} ({command[0]}):\n{result.stdout}" if result.returncode else None

    bad = in_parallel(check, jobs)
    if bad:
        raise StageFailed("".join(bad))


def build(preset, targets=()):
    must(["cmake", "--preset", preset])
    code, output = run(["cmake", "--build", f"build/{preset}", "--", "-k", "0", *targets])
    if code != 0:
        raise StageFailed(re.sub(r"^\[\d+/\d+\] .*\n", "", output, flags=re.MULTILINE))


def ctest(preset, pattern=None, left_out=()):
    junit = ROOT / "build" / preset / "junit.xml"
    junit.unlink(missing_ok=True)
    command = ["ctest", "--test-dir", f"build/{preset}", "-j", JOBS, "--output-junit", junit,
               "--test-output-size-passed", 100_000_000, "--test-output-size-failed", 100_000_000,
               "--no-tests=error"]
    command += ["-R", pattern] if pattern else []
    command += ["-E", f"^({'|'.join(left_out)})$"] if left_out else []
    code, output = run(command)
    if not junit.exists():
        raise StageFailed(output)
    counts, failed = count_junit(junit)
    for name, text in failed:
        show(f"--- {name}\n{text}")
    if code != 0 and not failed:
        show(output)
        counts.failed += 1
    return counts


def unit_tests(modules):
    """Names of the test programs of some modules, which are targets too."""
    return [f"unit_{path.parent.name}_{path.stem}" for path in sources("tests/unit")
            if path.parent.name in modules and path.stem.endswith("_test")
            and any((ROOT / "src" / path.parent.name).rglob("*.c"))]


def pattern_of(modules):
    return f"^unit_({'|'.join(modules)})_"


def stage_dev():
    build("dev")
    return ctest("dev")


def stage_generated():
    """Reference, completions and manual pages are what the option tables say."""
    build("dev", ["cairn_program"])
    must([sys.executable, "tools/generate.py", "build/dev/cairn", "--check"])


def stage_portable():
    """The library for packages: every variant trains alike, and the loader finds the right one."""
    build("portable")
    venv = ROOT / "build/venv/bin/python"
    environment = dict(os.environ, CAIRN_BIN=str(ROOT / "build/portable/cairn"))
    code, output = run([venv if venv.exists() else sys.executable, "-m", "unittest", "-v",
                        "test_variants"], cwd=ROOT / "tests/portable", env=environment)
    if code != 0:
        show(output)
    return count_output(output, code == 0)


def stage_clang():
    build("clang")
    return ctest("clang", pattern_of(CLANG_TESTS))


def stage_asan():
    build("asan")
    return ctest("asan")


def stage_tsan():
    build("tsan", [name for name in unit_tests(TSAN_TESTS) if name not in TSAN_LEFT_OUT])
    return ctest("tsan", pattern_of(TSAN_TESTS), TSAN_LEFT_OUT)


def stage_fuzz():
    """Each target of tests/fuzz for a short while; what it executed is printed."""
    environment = dict(os.environ)
    environment.setdefault("FUZZ_SECONDS", FUZZ_SECONDS)
    code, output = run([sys.executable, "tools/fuzz.py"], env=environment)
    ran = len(re.findall(r"^\w+: \d+ executions in ", output, re.MULTILINE))
    broken = numbers(r"(\d+) broken$", output)
    if code != 0 and broken == 0:
        raise StageFailed(output)
    show(output)
    return Counts(passed=ran - broken, failed=broken)


def stage_tidy():
    """clang-tidy over src/; what it passed once is not looked at again until it changes."""
    must(["cmake", "--preset", "clang"])
    must(["cmake", "--build", "build/clang", "--target", "crn_generated"])
    done = ROOT / "build/tidy"
    done.mkdir(parents=True, exist_ok=True)
    seed = hashlib.sha256()
    for path in [ROOT / ".clang-tidy", ROOT / "CMakeLists.txt",
                 *sources("include", "src", suffixes=(".h", ".def"))]:
        seed.update(path.read_bytes())
    database = json.loads((ROOT / "build/clang/compile_commands.json").read_text())
    files = sorted({entry["file"] for entry in database
                    if entry["file"].startswith(str(ROOT / "src") + "/")})

    def check(name):
        path = Path(name)
        key = seed.copy()
        key.update(path.read_bytes())
        stamp = done / key.hexdigest()
        if stamp.exists():
            return None
        code, output = run(["clang-tidy-14", "--quiet", "-p", "build/clang", path])
        if code != 0:
            return output
        stamp.touch()
        return None

    bad = in_parallel(check, files)
    if bad:
        raise StageFailed("".join(bad))


def stage_cppcheck():
    """Errors only: its warnings misread hexadecimal floats.

    Suppressed as mistaken: glibc's readdir is safe for streams that are not shared, and readdir_r
    is deprecated; a loop over at least one value takes log() of more than 0; compound literals
    have no side effects; uninitialized variables are seen better by gcc and clang-tidy.
    """
    must(["cppcheck", "--quiet", "--std=c11", "--enable=portability", "--inline-suppr",
          "--error-exitcode=1", "--library=posix", "--library=gnu", "--suppress=missingInclude",
          "--suppress=readdirCalled", "--suppress=invalidFunctionArg",
          "--suppress=unknownEvaluationOrder", "--suppress=uninitvar",
          f"-j{JOBS}", "-D_GNU_SOURCE", "-D__x86_64__",
          "-Djson_object_foreach(object,key,value)=while(next_of(object,&key,&value))",
          "-Djson_array_foreach(array,index,value)=while(next_of(array,&index,&value))",
          "-Iinclude", "-Isrc", "src"])


STAGES = {
    "format": stage_format,
    "layers": stage_layers,
    "style": stage_style,
    "headers": stage_headers,
    "dev": stage_dev,
    "generated": stage_generated,
    "portable": stage_portable,
    "clang": stage_clang,
    "asan": stage_asan,
    "tsan": stage_tsan,
    "fuzz": stage_fuzz,
    "tidy": stage_tidy,
    "cppcheck": stage_cppcheck,
}
FAST_STAGES = ("format", "layers", "style", "headers", "dev", "generated")


# --- The run ----------------------------------------------------------------------------------


def show(text):
    lines = text.rstrip("\n").split("\n")
    if len(lines) > SHOWN_LINES_MAX:
        half = SHOWN_LINES_MAX // 2
        left_out = len(lines) - 2 * half
        lines = lines[:half] + [f"... {left_out} lines left out ..."] + lines[-half:]
    for line in lines:
        print("    " + line)


def run_stage(name):
    """One stage with its closing line; returns its counts, the stage itself included."""
    start = time.monotonic()
    print(f"{name} ...", flush=True)
    counts, is_good = Counts(), True
    try:
        counts = STAGES[name]() or counts
        is_good = counts.failed == 0
    except StageFailed as failure:
        show(str(failure))
        is_good = False
    except Exception:  # A fault of this script counts as a failure too, and the rest still runs.
        show(traceback.format_exc())
        is_good = False
    cases = f"; its cases: {counts}" if counts.passed + counts.failed + counts.skipped else ""
    seconds = time.monotonic() - start
    print(f"{name}: {'good' if is_good else 'FAILED'}, {seconds:.1f} s{cases}", flush=True)
    if is_good or counts.failed == 0:  # Failed cases have said it already.
        counts.add(Counts(passed=int(is_good), failed=int(not is_good)))
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--only", metavar="NAMES")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(STAGES))
        return 0
    names = FAST_STAGES if options.fast else list(STAGES)
    if options.only:
        names = options.only.split(",")
        unknown = [name for name in names if name not in STAGES]
        if unknown:
            parser.error(f"no stage {unknown[0]}; --list shows them")
    total, failed, start = Counts(), [], time.monotonic()
    for name in names:
        counts = run_stage(name)
        total.add(counts)
        if counts.failed:
            failed.append(name)
    print(f"{len(names)} stages, {time.monotonic() - start:.0f} s"
          + (f"; FAILED: {', '.join(failed)}" if failed else ""))
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
