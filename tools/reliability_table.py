#!/usr/bin/env python3
"""What was tried, what was lost: a Markdown table out of what the torture tests print.

Usage: reliability_table.py [--write README.md] FILE...

FILE is the output of ctest (--output-junit, LastTest.log, or a terminal's). Lines count that read
`torture: <what> tried=N lost=N ...`; behind `control: ` they are controls, on a disk that breaks
its word, and losses must be found. The table goes to standard output; with --write it replaces what
stands between the markers of that file. Exit 1 if something was lost, a control found nothing, or
there are no lines.
"""

import argparse
import html
import re
import sys
from pathlib import Path

BEGIN, END = "<!-- reliability:begin -->", "<!-- reliability:end -->"
LINE = re.compile(r"^(?:.*?[ \t])??(control: )?torture: (.+?) (tried=\d+(?: [a-z_]+=[^\s<]+)*)",
                  re.MULTILINE)
BAD = ("lost", "wrong", "leaks")


class Row:
    def __init__(self, is_control, what, text):
        self.is_control, self.what = is_control, what
        self.fields = dict(field.split("=", 1) for field in text.split(" "))

    def number(self, name):
        return int(self.fields.get(name, 0))

    def is_good(self):
        if self.is_control:
            return self.number("lost") > 0
        return not any(self.number(name) for name in BAD)


def read_rows(text):
    """One row for each thing tried: the last line that speaks of it counts."""
    rows = {}
    for match in LINE.finditer(html.unescape(text)):
        row = Row(bool(match[1]), match[2], match[3])
        rows[(row.is_control, row.what)] = row
    return list(rows.values())


def more(row):
    """The other facts, the seed left out: it belongs to a log."""
    left_out = ("tried", "seed", "calls", *BAD)
    return ", ".join("%s %s" % (name.replace("_", " "), value)
                     for name, value in row.fields.items() if name not in left_out)


def table(rows):
    tried = [row for row in rows if not row.is_control]
    controls = [row for row in rows if row.is_control]
    lines = [
        "| what was tried | times | lost | next start not clean | descriptors leaked | besides |",
        "|---|---:|---:|---:|---:|---|"]
    for row in tried:
        bad = [row.fields.get(name, "") for name in BAD]
        lines.append("| %s | %s | %s | %s |" % (row.what, f"{row.number('tried'):,}",
                                                " | ".join(bad), more(row)))
    lines.append("| **all** | **%s** | **%d** | **%d** | **%d** | |" % (
        f"{sum(row.number('tried') for row in tried):,}",
        *(sum(row.number(name) for row in tried) for name in BAD)))
    if controls:
        lines += [
            "", "Controls: the same on a disk that breaks its word, where losses must be found.",
            "", "| control | times | losses found |", "|---|---:|---:|"]
        lines += ["| %s | %s | %s |" % (row.what, f"{row.number('tried'):,}", row.fields["lost"])
                  for row in controls]
    return "\n".join(lines) + "\n"


def write(path, text):
    """Replaces what stands between the markers; False if they are not there."""
    old = path.read_text(encoding="utf-8")
    begin, end = old.find(BEGIN), old.find(END)
    if begin < 0 or end < begin:
        return False
    path.write_text(old[:begin + len(BEGIN)] + "\n" + text + old[end:], encoding="utf-8")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", metavar="FILE", type=Path)
    parser.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args()
    rows = read_rows("\n".join(path.read_text(encoding="utf-8", errors="replace")
                               for path in options.files))
    if not rows:
        print("no torture: lines in " + ", ".join(map(str, options.files)), file=sys.stderr)
        return 1
    text = table(rows)
    if options.write and not write(options.write, text):
        print(f"{options.write} has no {BEGIN} and {END}", file=sys.stderr)
        return 1
    print(text, end="")
    return 0 if all(row.is_good() for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
