#!/usr/bin/env python3
"""Holds the include table of the house: tools/layers.json.

Every quoted include is "module/x.h" or "cairn/x.h", never relative, so that an edge can be seen.
An edge that the table does not name, a cycle, a public header that reaches inside, and a library
header outside its rooms are errors. A permission that nobody uses is none.

Usage: check_layers.py [ROOT]
"""

import json
import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">]+)[">]', re.MULTILINE)


def includes_of(path):
    """Yields (line number, '<' or '"', name)."""
    text = path.read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start(2)) + 1, match.group(1), match.group(2)


def find_cycle(edges):
    """The nodes of one cycle of {node: [nodes]}, or None."""
    done, trail = set(), []

    def visit(node):
        if node in done:
            return None
        if node in trail:
            return trail[trail.index(node):] + [node]
        trail.append(node)
        for other in edges.get(node, ()):
            cycle = visit(other)
            if cycle:
                return cycle
        trail.pop()
        done.add(node)
        return None

    for start in sorted(edges):
        cycle = visit(start)
        if cycle:
            return cycle
    return None


class Checker:
    def __init__(self, root):
        self.root = Path(root)
        table = json.loads((self.root / "tools/layers.json").read_text(encoding="utf-8"))
        self.modules = {name: set(uses) for name, uses in table["modules"].items()}
        self.any_public = set(table["any_public_header"])
        self.public = table["public_headers"]
        self.libraries = table["libraries"]
        self.errors = []
        self.header_edges = {}

    def error(self, path, line, text):
        self.errors.append(f"{path.relative_to(self.root)}:{line}: {text}")

    def owner_of_public(self, name):
        if name in self.public:
            return self.public[name]
        for prefix, owner in self.public.items():
            if prefix.endswith("/") and name.startswith(prefix):
                return owner
        return None

    def check_public(self, path, line, module, name):
        if not (self.root / "include" / name).is_file():
            self.error(path, line, f'there is no include/{name}')
            return
        owner = self.owner_of_public(name)
        if owner is None:
            self.error(path, line, f'"{name}" is not in tools/layers.json: say whose it is')
        elif module is None or module in self.any_public:
            return
        elif owner != module and owner not in self.modules[module]:
            self.error(path, line, f"'{module}' may not include \"{name}\", which is {owner}'s")

    def check_include(self, path, line, bracket, name, module, is_public_only):
        if name.startswith("cairn/"):
            self.check_public(path, line, module, name)
            return
        if bracket == "<":
            rooms = self.libraries.get(name)
            if rooms is not None and module is not None and module not in rooms:
                self.error(path, line, f"<{name}> belongs to {', '.join(rooms)}")
            return
        folder = name.split("/")[0]
        if "/" not in name or folder in (".", ".."):
            self.error(path, line, f'"{name}" is relative: write "module/x.h" or "cairn/x.h"')
        elif folder not in self.modules:
            self.error(path, line, f'"{name}": there is no module {folder}')
        elif is_public_only:
            self.error(path, line, f'"{name}": only <cairn/...> may be included here')
        elif not (self.root / "src" / name).is_file():
            self.error(path, line, f"there is no src/{name}")
        elif folder != module and folder not in self.modules[module]:
            self.error(path, line, f"'{module}' may not include \"{name}\"")

    def check_file(self, path, module, is_public_only=False):
        for line, bracket, name in includes_of(path):
            own = f"{module}/"
            if module == "cli" and bracket == '"' and "/" not in name:
                if (path.parent / name).is_file():  # The program's own headers lie beside it.
                    continue
            self.check_include(path, line, bracket, name, module,
                               is_public_only and not name.startswith(own))
            if path.suffix == ".h":
                base = "include" if name.startswith("cairn/") else "src"
                key = str(path.relative_to(self.root))
                if (self.root / base / name).is_file() and name.endswith(".h"):
                    self.header_edges.setdefault(key, []).append(f"{base}/{name}")

    def run(self):
        for name, uses in self.modules.items():
            for other in uses - set(self.modules):
                self.errors.append(f"tools/layers.json: {name} uses the unknown module {other}")
        cycle = find_cycle(self.modules)
        if cycle:
            self.errors.append("tools/layers.json: cycle " + " -> ".join(cycle))
        for path in sorted((self.root / "src").rglob("*.[ch]")):
            module = path.relative_to(self.root / "src").parts[0]
            if module not in self.modules:
                self.error(path, 1, f"module {module} is not in tools/layers.json")
                continue
            self.check_file(path, module, is_public_only=module == "cli")
        for folder in ("include", "examples"):
            for path in sorted((self.root / folder).rglob("*.[ch]")):
                self.check_file(path, None, is_public_only=True)
        cycle = find_cycle(self.header_edges)
        if cycle:
            self.errors.append("headers include each other: " + " -> ".join(cycle))
        return self.errors


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    errors = Checker(root).run()
    for error in errors:
        print(error)
    print(f"check_layers: {len(errors)} errors" if errors else "check_layers: good")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
