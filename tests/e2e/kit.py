"""What the end-to-end tests share: a tiny configuration, a tiny text, the program, its files.

The program under test is CAIRN_BIN, which ctest sets, or else build/cairn. By hand, in tests/e2e:
    ../../build/venv/bin/python -m unittest -v test_resume
"""
import copy
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import unittest

BIN = os.path.abspath(os.environ.get("CAIRN_BIN") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "build", "cairn"))
SLOW = os.environ.get("CAIRN_SLOW") == "1"
TIMEOUT_S = 300 if SLOW else 60

# Exit codes of the program.
OK, FAILED, USAGE, CHECKPOINT, DATA, IO, NONFINITE, DEVICE, LOCKED, STOPPED = (
    0, 1, 2, 3, 4, 5, 6, 7, 8, 75)

STEP_METRICS = ("loss", "lr", "grad_norm")


# ---- A text and a configuration -------------------------------------------------------------

def corpus(path, size=6000, seed=7):
    """Writes @size bytes of word-like text, always the same for the same arguments."""
    rng = random.Random(seed)
    words = ["".join(rng.choice("etaoinshrdlu") for _ in range(rng.randint(1, 7)))
             for _ in range(60)]
    text = ""
    while len(text) < size:
        text += rng.choice(words) + rng.choice(["  ", " ", " ", ", ", ".\n"])
    with open(path, "w", encoding="ascii") as file:
        file.write(text[:size])
    return path


def merge(base, changes):
    """@base with @changes laid over it, map by map; a value replaces what is not a map."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def tiny_config(data, val=True, **init):
    """A configuration of a model that trains a step in a millisecond.

    @data is the text file. Keyword arguments are laid over trainer.init, map by map.
    """
    loader = {"data_processor": "TextDataProcessor", "data_dir": data, "max_sequence_length": 16,
              "batch_size": 4, "val_fraction": 0.1, "split": "train", "shuffle": True}
    base = {
        "seed": 11,
        "model": {"name": "gpt2", "vocab_size": 256, "max_position_embeddings": 16,
                  "hidden_size": 16, "num_hidden_layers": 1, "num_heads": 2, "filter_size": 32,
                  "dropout_rate": 0.0},
        "optimizer": {"AdamW": {"betas": [0.9, 0.95], "weight_decay": 0.1}},
        "schedulers": [{"SequentialLR": {"schedulers": [
            {"LinearLR": {"initial_learning_rate": 0.0, "end_learning_rate": 0.01,
                          "total_iters": 5}},
            {"CosineDecayLR": {"initial_learning_rate": 0.01, "end_learning_rate": 0.001,
                               "total_iters": 55}}]}}],
        "precision": {"max_gradient_norm": 1.0},
        "loop": {"max_steps": 60, "eval_frequency": 0},
        "checkpoint": {"steps": 10},
    }
    fit = {"train_dataloader": loader}
    if val:
        fit["val_dataloader"] = merge(loader, {"split": "val", "shuffle": False})
    return {"trainer": {"init": merge(base, init), "fit": fit}}


# ---- The program ----------------------------------------------------------------------------

class Result:
    """What a finished process left: code, out, err, result (the last line of fit as a dict)."""

    def __init__(self, code, out, err):
        self.code = code
        self.out = out
        self.err = err
        self.result = {}
        lines = out.splitlines()
        if lines and lines[-1].startswith("result="):
            self.result = dict(field.partition("=")[::2] for field in lines[-1].split(" "))

    @property
    def step(self):
        return int(self.result["step"])

    def json(self):
        return json.loads(self.out)


def environment():
    env = dict(os.environ)
    env["OMP_WAIT_POLICY"] = "passive"
    env["TZ"] = "UTC"
    return env


def run(args, expect=OK, cwd=None, program=BIN):
    """Runs `cairn @args` to its end; another exit code than @expect (None: any) is a failure."""
    process = subprocess.run([program] + [str(arg) for arg in args], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=cwd,
                             env=environment(), timeout=TIMEOUT_S, check=False)
    result = Result(process.returncode, process.stdout.decode(errors="replace"),
                    process.stderr.decode(errors="replace"))
    if expect is not None and result.code != expect:
        raise AssertionError("%s %s: exit code %d, expected %d\n%s%s" % (
            os.path.basename(program), " ".join(str(arg) for arg in args), result.code, expect,
            result.err, result.out))
    return result


class Running:
    """A process under way, followed through its standard error.

    Standard error is a socket with the least buffer there is, and lines are read as they are asked
    for, so the process cannot get further than a few messages (AHEAD) past what was waited for.
    That is what makes a kill hit its place, however busy the machine is; no test sleeps.
    """
    AHEAD = 8

    def __init__(self, args, cwd=None, program=BIN, new_session=False):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        self.out_file = tempfile.TemporaryFile()
        self.process = subprocess.Popen([program] + [str(arg) for arg in args],
                                        stdout=self.out_file, stderr=theirs,
                                        stdin=subprocess.DEVNULL, cwd=cwd, env=environment(),
                                        start_new_session=new_session)
        theirs.close()
        self.socket = ours
        self.socket.settimeout(TIMEOUT_S)
        self.rest = b""
        self.lines = []

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.socket.close()
        self.out_file.close()

    def next_line(self):
        """The next line of standard error; None at its end."""
        while b"\n" not in self.rest:
            block = self.socket.recv(128)
            if not block:
                return None
            self.rest += block
        line, self.rest = self.rest.split(b"\n", 1)
        self.lines.append(line.decode(errors="replace"))
        return self.lines[-1]

    def wait_for(self, pattern):
        """Reads to the first line that matches; False if the process ended before it."""
        while True:
            line = self.next_line()
            if line is None:
                return False
            if re.search(pattern, line):
                return True

    def wait_for_saved(self, saved, step):
        """Reads until the checkpoint of step @saved is durable, which may be some steps after it
        was due, and @step is reached."""
        if not self.wait_for(r"Saved checkpoint \S*checkpoint_%d\.mdl" % saved):
            return False
        while True:
            steps = re.findall(r"Train Device.*?Step=(\d+),", "\n".join(self.lines))
            if steps and int(steps[-1]) >= step:
                return True
            if self.next_line() is None:
                return False

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """SIGKILL; True if it hit the process while it ran."""
        self.process.kill()
        return self.finish().code == -signal.SIGKILL

    def finish(self):
        """Reads standard error to its end and waits."""
        while self.next_line() is not None:
            pass
        code = self.process.wait(TIMEOUT_S)
        self.out_file.seek(0)
        return Result(code, self.out_file.read().decode(), "\n".join(self.lines) + "\n")


# ---- Its files ------------------------------------------------------------------------------

class Metrics:
    """metrics.jsonl as a reader should see it.

    steps[s] and validations[s] are what was last said of step s: a "start" or "resume" line with
    step N takes back earlier lines with a larger step. saves are the lines of saves, failed ones
    too. raw is every line that can be read, in file order.
    """

    def __init__(self, model_dir):
        self.steps = {}
        self.validations = {}
        self.saves = []
        self.raw = []
        self.unreadable = 0
        with open(os.path.join(model_dir, "metrics.jsonl"), encoding="utf-8") as file:
            for line in file:
                try:
                    self.add(json.loads(line, parse_float=str))
                except ValueError:
                    self.unreadable += 1

    def add(self, entry):
        self.raw.append(entry)
        step = entry["step"]
        if entry.get("event") in ("checkpoint", "checkpoint_failed"):
            self.saves.append(entry)
        elif "event" in entry:
            self.saves = [e for e in self.saves if e["step"] <= step]
            self.steps = {s: e for s, e in self.steps.items() if s <= step}
            self.validations = {s: e for s, e in self.validations.items() if s <= step}
        elif "val_loss" in entry:
            self.validations[step] = entry
        else:
            self.steps[step] = entry

    def bits(self):
        """The numbers that must not depend on how a run was interrupted, as exact bits."""
        trained = {step: tuple(double_bits(entry[key]) for key in STEP_METRICS)
                   for step, entry in self.steps.items()}
        validated = {step: double_bits(entry["val_loss"])
                     for step, entry in self.validations.items()}
        return trained, validated


def double_bits(text):
    return struct.pack("<d", float(text)).hex()


def read_metrics(model_dir):
    return Metrics(model_dir)


def header(path):
    """(header as a dict, offset of the data) of a safetensors file, read without a library."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        return json.loads(file.read(size)), 8 + size


def tensors(path):
    """{name: bytes} of a checkpoint, paddings left out."""
    entries, start = header(path)
    result = {}
    with open(path, "rb") as file:
        for name, entry in entries.items():
            if name == "__metadata__" or name.startswith("__pad__"):
                continue
            begin, end = entry["data_offsets"]
            file.seek(start + begin)
            result[name] = file.read(end - begin)
    return result


def metadata(path):
    return header(path)[0]["__metadata__"]


def values(path):
    """The values of all states (steps, positions, counts) as the file keeps them."""
    return json.loads(metadata(path)["cairn.values"])


def checkpoints(folder, prefix="checkpoint_"):
    """Names of the checkpoints in @folder, in order of their steps."""
    names = [name for name in os.listdir(folder)
             if name.startswith(prefix) and name.endswith(".mdl")]
    return sorted(names, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])


def snapshot(folder):
    """{path: digest} of all that is below @folder; two are equal if nothing changed on disk."""
    result = {}
    for root, dirs, files in os.walk(folder):
        for name in dirs:
            result[os.path.relpath(os.path.join(root, name), folder)] = "folder"
        for name in files:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                result[os.path.relpath(path, folder)] = hashlib.sha256(file.read()).hexdigest()
    return result


def flip_bit(path, bit):
    """Changes one bit of a file in place."""
    with open(path, "r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ (1 << bit % 8)]))


# ---- A test ---------------------------------------------------------------------------------

class Case(unittest.TestCase):
    """A test with a folder of its own (self.dir) that holds a text (self.text)."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="cairn-e2e-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.text = corpus(self.path("text.txt"))

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write_config(self, config, name="params.yaml"):
        """Writes @config (a dict as JSON, which is YAML; a text as it is); returns its path."""
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(config if isinstance(config, str) else json.dumps(config, indent=1))
        return path

    def fit_args(self, config, model_dir, *more):
        return ["fit", config, "-o", model_dir, "--threads", "1", *more]

    def fit(self, config, model_dir, *more, expect=OK):
        return run(self.fit_args(config, model_dir, *more), expect)
