"""Runs the pages of the guide: what stands in a page is typed, and what it shows is compared.

A page has a folder of its own, in which `cairn` and `build/cairn` are the program under test, and
configs, docs, examples, tests and README.md those of the repository. Its blocks are taken in order:

    yaml      laid over the params.yaml of the first run and left as params.yaml for what follows;
              then tried: a fit of three steps in a folder of its own
    sh        run by bash; a command that fails is a failure
    console   each line that begins with "$ " is run; the lines behind it are what it prints
    python    run
    text, json, c, diff, or no language at all: not run, so nothing that looks like a command

A comment in the line before a block changes that:

    <!-- test: file NAME -->                    yaml: written to NAME as it stands, then tried
    <!-- test: refused -->                      yaml: params.yaml as it stands, with which fit must
                                                end with exit code 2
    <!-- test: shared -->                       every page begins with this block
    <!-- test: signal NAME after PATTERN -->    console: the first command gets SIGNAME as soon as
                                                a line of its output matches
    <!-- test: not run, REASON -->              not run, only read (YAML, sh), and counted

In what a command prints, "..." stands for anything, alone in a line for any number of lines. Times
and dates, run ids, numbers with a point (with a unit of bytes or without) or of six digits and more
stand for any other such number.
"""
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile

import yaml

import kit

RUN_LANGUAGES = ("yaml", "sh", "console", "python")
OTHER_LANGUAGES = ("", "text", "json", "c", "diff")
# Commands that must not hide in a block that is not run.
COMMAND = re.compile(r"^\s*(\$ |(build/)?cairn [a-z]|(make|sudo|kill|touch|pip|cc) )", re.MULTILINE)
# What differs from run to run and from machine to machine.
NUMBER = (r"[0-9a-f]{32}|\d{8}_\d{6}|\d{4}-\d\d-\d\dT[\d:.]+Z|\d+:\d\d(?::\d\d)?"
          r"|-?\d+\.\d+(?:e[+-]?\d+)?(?: [KMGT]iB)?|\d{6,}|\d{1,3}(?:,\d{3})+")
TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", re.MULTILINE)
TRIED_STEPS = 3
CUT_LINES = 20  # Of a long output, shown of its beginning and of its end.
ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
REPOSITORY = ("configs", "docs", "examples", "tests", "README.md")
FIT_KEYS = ("ckpt_path", "train_dataloader", "val_dataloader")


class PageError(AssertionError):
    """What is wrong with a page, with its file and line."""


class Block:
    """A fenced block: its language, its lines, the line of its fence, the marks before it."""

    def __init__(self, page, line, language, marks):
        self.page = page
        self.line = line
        self.language = language
        self.marks = marks
        self.lines = []

    @property
    def text(self):
        return "\n".join(self.lines) + "\n"

    def fail(self, message):
        raise PageError("%s:%d: %s" % (self.page, self.line, message))

    def mark(self, name):
        """What stands behind @name in a mark; None without that mark."""
        for mark in self.marks:
            if mark == name or mark.startswith((name + " ", name + ",")):
                return mark[len(name):].lstrip(", ")
        return None

    @property
    def not_run(self):
        return self.mark("not run")

    def check(self):
        """Refuses what would be passed over in silence."""
        known = ("file", "refused", "shared", "signal", "not run")
        for mark in self.marks:
            if not any(self.mark(name) is not None and mark.startswith(name) for name in known):
                self.fail("unknown mark 'test: %s'" % mark)
        if self.not_run == "":
            self.fail("a block that is not run needs a reason: <!-- test: not run, REASON -->")
        if self.not_run is not None:
            self.check_syntax()
            return
        if self.language not in RUN_LANGUAGES + OTHER_LANGUAGES:
            self.fail("a block in '%s' cannot be run; its language must be one of %s, or mark it "
                      "with <!-- test: not run, REASON -->" % (
                          self.language, ", ".join(filter(None, RUN_LANGUAGES + OTHER_LANGUAGES))))
        if self.language in ("", "text") and COMMAND.search(self.text):
            self.fail("a command in a block that is not run; make it ```sh, or ```console with "
                      "what it prints, or mark it with <!-- test: not run, REASON -->")


    def check_syntax(self):
        """What a block that is not run must be all the same."""
        if self.language == "yaml":
            self.yaml()
        elif self.language == "sh":
            done = subprocess.run(["bash", "-n"], input=self.text.encode(), check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode != 0:
                self.fail("no shell: " + done.stdout.decode())

    def yaml(self):
        try:
            return yaml.safe_load(self.text)
        except yaml.YAMLError as error:
            self.fail("no YAML: %s" % error)


def blocks_of(text, page):
    """The fenced blocks of a page, checked."""
    result, marks, block, indent = [], [], None, ""
    for number, line in enumerate(text.splitlines(), 1):
        if block is not None:
            if line.strip() == "```":
                block.check()
                result.append(block)
                block = None
            else:
                block.lines.append(line[len(indent):] if line.startswith(indent) else line)
            continue
        fence = re.match(r"^( *)```(\S*)", line)
        mark = re.match(r"^ *<!-- test: (.*?) *-->$", line)
        if fence:
            indent = fence.group(1)
            block = Block(page, number, fence.group(2), marks)
            marks = []
        elif mark:
            marks.append(mark.group(1))
        elif marks:
            raise PageError("%s:%d: a mark must stand in the line before its block"
                            % (page, number))
    if block is not None:
        block.fail("a block without an end")
    return result


def cut(output):
    """@output without its middle, if it is long."""
    lines = output.splitlines()
    if len(lines) > 2 * CUT_LINES:
        lines[CUT_LINES:-CUT_LINES] = ["[%d lines more]" % (len(lines) - 2 * CUT_LINES)]
    return "\n".join(lines)


def line_pattern(line):
    """A regular expression for a line that a page shows."""
    result = ""
    for part in re.split("(%s|\\.\\.\\.| +|Remaining[=>])" % NUMBER, line.rstrip()):
        if part == "...":
            result += ".*"
        elif re.fullmatch(NUMBER, part):
            result += "(?:%s)" % NUMBER
        elif part.startswith("Remaining"):
            result += "Remaining[=>]"
        else:
            result += r"\s+" if part and not part.strip() else re.escape(part)
    return re.compile(result)


def missing_line(shown, printed):
    """The first line of @shown that @printed (a text) does not have in its place; None: all."""
    lines = [line.rstrip() for line in TIMESTAMP.sub("", printed).splitlines() if line.strip()]
    shown = [line for line in shown if line.strip()]
    groups, group = [], []
    for line in shown:
        if line.strip() == "...":
            groups.append(group)
            group = []
        else:
            group.append((line, line_pattern(line)))
    groups.append(group)
    is_open = False  # Whether lines may be passed over before the next group.
    for index, group in enumerate(groups):
        must_end = index == len(groups) - 1 and bool(group)
        starts = range(len(lines) + 1) if is_open else (0,)
        best = 0
        for start in starts:
            length = 0
            while (length < len(group) and start + length < len(lines)
                   and group[length][1].fullmatch(lines[start + length])):
                length += 1
            at_end = start + length == len(lines)
            if length == len(group) and (at_end or not must_end):
                lines = lines[start + length:]
                break
            best = max(best, min(length, len(group) - 1))
        else:
            return group[best][0]
        is_open = True
    return None


class Page:
    """A page under way: its folder, the exit code of the last command, the tries so far."""

    def __init__(self, folder, base=None):
        self.folder = folder
        self.base = base
        self.code = 0
        self.tries = 0
        self.ran = 0
        for name in ("cairn", os.path.join("build", "cairn")):
            path = os.path.join(folder, name if "/" in name else os.path.join("bin", name))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(kit.BIN, path)
        for name in REPOSITORY:
            os.symlink(os.path.join(ROOT, name), os.path.join(folder, name))
        self.env = kit.environment()
        self.env["PATH"] = os.path.join(folder, "bin") + os.pathsep + self.env["PATH"]
        self.env["LC_ALL"] = "C.UTF-8"

    def run(self, block):
        if block.not_run is not None or block.language not in RUN_LANGUAGES:
            return
        self.ran += 1
        {"yaml": self.run_yaml, "sh": self.run_sh, "console": self.run_console,
         "python": self.run_python}[block.language](block)

    def process(self, arguments):
        done = subprocess.run(arguments, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=kit.TIMEOUT_S, check=False)
        return done.returncode, done.stdout.decode(errors="replace")

    def must(self, block, arguments):
        code, output = self.process(arguments)
        if code != 0:
            block.fail("exit code %d\n%s" % (code, cut(output)))
        return output

    def run_sh(self, block):
        self.must(block, ["bash", "-euo", "pipefail", "-c", block.text])

    def run_python(self, block):
        self.must(block, [sys.executable, "-c", block.text])

    # ---- YAML --------------------------------------------------------------------------------

    def run_yaml(self, block):
        value = block.yaml()
        if value is None:  # A comment alone.
            return
        name = block.mark("file")
        is_refused = block.mark("refused") is not None
        if is_refused:
            name, text = name or "params.yaml", block.text
        elif name:
            text = block.text
            if self.base is None:
                self.base = value
        else:
            name, text = "params.yaml", self.laid_over(block, value)
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)
        self.tries += 1
        tried = "tries/%d" % self.tries
        command = ["cairn", "fit", name, "-o", tried, "--set",
                   "trainer.init.loop.max_steps=%d" % TRIED_STEPS]
        if "checkpoint_root" in text:
            command += ["--set", "trainer.init.checkpoint.checkpoint_root=" + tried]
        if is_refused:
            code, output = self.process(command)
            if code != kit.USAGE:
                block.fail("exit code %d of what should be refused\n%s" % (code, output))
        else:
            self.must(block, command)

    def laid_over(self, block, value):
        """The text of the first run's configuration with @value in its place."""
        if not isinstance(value, dict):
            block.fail("this YAML is no map of options")
        if "trainer" not in value:
            verbs = {key: value.pop(key) for key in ("fit", "validate", "validate_all")
                     if key in value}
            fit = {key: value.pop(key) for key in FIT_KEYS if key in value}
            value = {"trainer": kit.merge({"init": value, "fit": fit}, verbs)}
        if isinstance(value["trainer"], list):
            value = {"trainer": [self.merged(one) for one in value["trainer"]]}
        else:
            value = self.merged(value)
        return yaml.safe_dump(value, sort_keys=False)

    def merged(self, value):
        """The base with @value laid over it; one class replaces another."""
        base = kit.merge(self.base, {})
        if "optimizer" in (value["trainer"].get("init") or {}):
            del base["trainer"]["init"]["optimizer"]
        for name, loader in (value["trainer"].get("fit") or {}).items():
            old = base["trainer"]["fit"].get(name)
            if old and loader and loader.get("data_processor") not in (None, old["data_processor"]):
                del base["trainer"]["fit"][name]
        return kit.merge(base, value)

    # ---- Commands and what they print --------------------------------------------------------

    def run_console(self, block):
        for number, (command, shown) in enumerate(self.commands(block)):
            is_asked = command.startswith("echo $?")
            if self.code != 0 and not is_asked:
                block.fail("exit code %d before `%s`; show it with `$ echo $?`"
                           % (self.code, command))
            sent = block.mark("signal") if number == 0 else None
            if sent is not None:
                output = self.run_signalled(block, command, sent)
            else:
                code, output = self.process(["bash", "-c", "(exit %d)\n%s" % (self.code, command)])
                self.code = code
            line = missing_line(shown, output)
            if line is not None:
                block.fail("`%s` does not print\n  %s\nin its place, but\n%s"
                           % (command, line, cut(output)))
        if self.code != 0:
            block.fail("exit code %d of the last command; show it with `$ echo $?`" % self.code)

    @staticmethod
    def commands(block):
        """[(command, lines that it prints)]"""
        result = []
        for line in block.lines:
            if line.startswith("$ "):
                result.append([line[2:], []])
            elif not result:
                block.fail("a console block begins with a line \"$ command\"")
            elif result[-1][0].endswith("\\") and not result[-1][1]:
                result[-1][0] = result[-1][0] + "\n" + line.removeprefix("> ")
            else:
                result[-1][1].append(line)
        return result

    def run_signalled(self, block, command, sent):
        parts = re.fullmatch(r"([A-Z0-9]+) after (.+)", sent)
        words = shlex.split(command)
        if not parts or words[0] != "cairn":
            block.fail("write <!-- test: signal NAME after PATTERN --> before a cairn command")
        number = getattr(signal, "SIG" + parts.group(1))
        with kit.Running(words[1:], cwd=self.folder) as running:
            if not running.wait_for(parts.group(2)):
                block.fail("`%s` never printed '%s'\n%s" % (
                    command, parts.group(2), "\n".join(running.lines)))
            running.signal(number)
            result = running.finish()
        self.code = 128 - result.code if result.code < 0 else result.code
        return result.err + result.out


def shared_blocks(text, page):
    return [block for block in blocks_of(text, page) if block.mark("shared") is not None]


def run_page(text, page, folder, shared=()):
    """Runs a page in a new folder in @folder; returns (blocks run, blocks marked as not run)."""
    blocks = blocks_of(text, page)
    state = Page(tempfile.mkdtemp(dir=folder))
    for block in shared:
        state.run(block)
    state.ran = 0
    for block in blocks:
        state.run(block)
    return state.ran, sum(block.not_run is not None for block in blocks)
