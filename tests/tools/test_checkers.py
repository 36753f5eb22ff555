"""The checkers find what they are there to find: each test plants one fault in a small house."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "tools"

LAYERS = {
    "modules": {"base": [], "os": ["base"], "ckpt": ["base", "os"], "cli": []},
    "any_public_header": ["cli"],
    "public_headers": {"cairn/error.h": "base", "cairn/trainer.h": "ckpt"},
    "libraries": {"yaml.h": ["os"]},
}

HOUSE = {
    "src/base/a.h": "int crn_a(void);\n",
    "src/base/a.c": '#include "base/a.h"\n\nint crn_a(void)\n{\n    return 1;\n}\n',
    "src/os/b.c": '#include <yaml.h>\n\n#include "base/a.h"\n\nvoid crn_b(void)\n{\n    open("x");\n}\n',
    "src/ckpt/c.c": '#include "cairn/error.h"\n#include "os/b.h"\n',
    "src/os/b.h": "/* open(), malloc() and printf(\"%d\") in a comment are no calls. */\n",
    "src/cli/main.c": '#include "cairn/trainer.h"\n#include "own.h"\n',
    "src/cli/own.h": "",
    "include/cairn/error.h": "",
    "include/cairn/trainer.h": '#include "cairn/error.h"\n',
}


class Planted(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name, text in HOUSE.items():
            self.write(name, text)
        self.write("tools/layers.json", json.dumps(LAYERS))

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def check(self, tool):
        result = subprocess.run([sys.executable, TOOLS / tool, self.root], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return result.returncode, result.stdout

    def assert_found(self, tool, part):
        code, output = self.check(tool)
        self.assertEqual(code, 1, output)
        self.assertIn(part, output)
        self.assertIn("1 errors", output)

    def assert_good(self, tool):
        code, output = self.check(tool)
        self.assertEqual(code, 0, output)


class Layers(Planted):
    def found(self, part):
        self.assert_found("check_layers.py", part)

    def test_good_house_passes(self):
        self.assert_good("check_layers.py")

    def test_forbidden_edge(self):
        self.write("src/os/b.c", '#include "ckpt/c.h"\n')
        self.write("src/ckpt/c.h", "")
        self.found("src/os/b.c:1: 'os' may not include \"ckpt/c.h\"")

    def test_relative_include(self):
        self.write("src/base/a.c", '\n#include "../base/a.h"\n')
        self.found("src/base/a.c:2:")

    def test_include_without_a_module(self):
        self.write("src/base/a.c", '#include "a.h"\n')
        self.found("is relative")

    def test_header_that_is_not_there(self):
        self.write("src/ckpt/c.c", '#include "os/none.h"\n')
        self.found("there is no src/os/none.h")

    def test_public_header_of_a_higher_module(self):
        self.write("src/os/b.c", '#include "cairn/trainer.h"\n')
        self.found("which is ckpt's")

    def test_public_header_without_an_owner(self):
        self.write("include/cairn/new.h", "")
        self.write("src/ckpt/c.c", '#include "cairn/new.h"\n')
        self.found("say whose it is")

    def test_public_header_that_reaches_inside(self):
        self.write("include/cairn/error.h", '#include "base/a.h"\n')
        self.found("only <cairn/...>")

    def test_program_that_reaches_inside(self):
        self.write("src/cli/main.c", '#include "base/a.h"\n')
        self.found("only <cairn/...>")

    def test_example_that_reaches_inside(self):
        self.write("examples/x.c", '#include "base/a.h"\n')
        self.found("only <cairn/...>")

    def test_library_outside_its_room(self):
        self.write("src/ckpt/c.c", "#include <yaml.h>\n")
        self.found("<yaml.h> belongs to os")

    def test_unknown_module(self):
        self.write("src/attic/x.c", "")
        self.found("module attic")

    def test_cycle_in_the_table(self):
        layers = dict(LAYERS, modules=dict(LAYERS["modules"], base=["ckpt"]))
        self.write("tools/layers.json", json.dumps(layers))
        self.found("cycle")

    def test_cycle_of_headers(self):
        self.write("src/os/b.h", '#include "os/d.h"\n')
        self.write("src/os/d.h", '#include "os/b.h"\n')
        self.found("include each other")


class Style(Planted):
    def found(self, part):
        self.assert_found("check_style.py", part)

    def body(self, lines):
        return "int f(void)\n{\n" + "    g();\n" * lines + "}\n"

    def test_good_house_passes(self):
        self.assert_good("check_style.py")

    def test_banned_call(self):
        self.write("src/base/a.c", "\n    strcpy(a, b);\n")
        self.found("src/base/a.c:2: strcpy()")

    def test_allocation_outside_base(self):
        self.write("src/os/b.c", "x = malloc(3);\n")
        self.found("malloc()")

    def test_allocation_inside_base(self):
        self.write("src/base/a.c", "x = malloc(3);\n")
        self.assert_good("check_style.py")

    def test_printing_library(self):
        self.write("src/ckpt/c.c", 'printf("x");\n')
        self.found("printf()")

    def test_system_call_outside_os(self):
        self.write("src/ckpt/c.c", "if (fsync (fd) != 0)\n")
        self.found("fsync()")

    def test_calls_through_the_table_and_longer_names_are_meant_to_be(self):
        self.write("src/ckpt/c.c", "os->open(os);\nfault.os.close(fd);\ncrn_free(x);\nreopen(x);\n")
        self.assert_good("check_style.py")

    def test_function_length(self):
        self.write("src/ckpt/c.c", self.body(68))
        self.assert_good("check_style.py")
        self.write("src/ckpt/c.c", self.body(69))
        self.found("src/ckpt/c.c:2: a function of 71 lines")

    def test_function_length_in_tests(self):
        self.write("tests/unit/x_test.c", self.body(69))
        self.found("a function of 71 lines")

    def test_kernels_may_be_longer(self):
        self.write("src/kernels/cpu/k.c", self.body(69))
        self.assert_good("check_style.py")

    def test_leftover(self):
        self.write("src/ckpt/c.c", "/* TODO: more */\n")
        self.found("finish it")

    def test_long_line(self):
        self.write("src/ckpt/c.c", "x" * 101 + "\n")
        self.found("101 columns")

    def test_tab_and_blank(self):
        self.write("src/ckpt/c.c", "\tx\n")
        self.found("a tab")
        self.write("src/ckpt/c.c", "x \n")
        self.found("blanks at the end")


if __name__ == "__main__":
    unittest.main()
