"""The table of the torture tests says what they printed, and fails where they lost something."""
import os
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools",
                      "reliability_table.py")
GOOD = ("62: torture: SIGKILL of a save tried=1200 lost=0 wrong=0 seed=7\n"
        "torture: a full disk tried=32 lost=0 refused=10\n"
        "ok ... torture: write-back tried=8 lost=0 wrong=0 leaks=0\n"
        "control: torture: without fsync tried=16 lost=7 wrong=0\n")


class ReliabilityTable(unittest.TestCase):
    def run_script(self, text, *more):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "log")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            result = subprocess.run([sys.executable, SCRIPT, *more, path], text=True, check=False,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return result.returncode, result.stdout

    def test_each_line_becomes_a_row(self):
        code, table = self.run_script(GOOD)
        self.assertEqual(0, code, table)
        self.assertIn("| SIGKILL of a save | 1,200 | 0 | 0 |  |  |\n", table)
        self.assertIn("| a full disk | 32 | 0 |  |  | refused 10 |\n", table)
        self.assertIn("| write-back | 8 | 0 | 0 | 0 |  |\n", table)
        self.assertIn("| **all** | **1,240** | **0** | **0** | **0** | |\n", table)
        self.assertIn("| without fsync | 16 | 7 |\n", table)

    def test_a_loss_fails(self):
        for bad in ("lost=1 wrong=0", "lost=0 wrong=1", "lost=0 wrong=0 leaks=2"):
            code, _ = self.run_script(GOOD + "torture: more tried=5 %s\n" % bad)
            self.assertEqual(1, code, bad)

    def test_a_control_that_finds_nothing_fails(self):
        self.assertEqual(1, self.run_script(GOOD.replace("lost=7", "lost=0"))[0])

    def test_nothing_tried_fails(self):
        self.assertEqual(1, self.run_script("100% tests passed\n")[0])

    def test_write_replaces_what_is_between_the_markers(self):
        with tempfile.TemporaryDirectory() as folder:
            page = os.path.join(folder, "README.md")
            with open(page, "w", encoding="utf-8") as file:
                file.write("a\n<!-- reliability:begin -->\nold\n<!-- reliability:end -->\nb\n")
            self.assertEqual(0, self.run_script(GOOD, "--write", page)[0])
            with open(page, encoding="utf-8") as file:
                text = file.read()
            self.assertTrue(text.startswith("a\n<!-- reliability:begin -->\n| what was tried |"))
            self.assertTrue(text.endswith(
                "| without fsync | 16 | 7 |\n<!-- reliability:end -->\nb\n"))
            with open(page, "w", encoding="utf-8") as file:
                file.write("no markers\n")
            self.assertEqual(1, self.run_script(GOOD, "--write", page)[0])


if __name__ == "__main__":
    unittest.main()
