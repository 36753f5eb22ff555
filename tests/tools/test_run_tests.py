"""run_tests.py counts what test programs print; a miscount would let a failure through."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import run_tests  # pylint: disable=wrong-import-position

CMOCKA = """[==========] Running 4 test(s).
[ RUN      ] a
[       OK ] a
[ RUN      ] b
[       OK ] b
"""


class CountOutput(unittest.TestCase):
    def expect(self, output, is_passed, passed, failed, skipped):
        counts = run_tests.count_output(output, is_passed)
        self.assertEqual((counts.passed, counts.failed, counts.skipped), (passed, failed, skipped))

    def test_cmocka(self):
        self.expect(CMOCKA + "[  PASSED  ] 4 test(s).\n", True, 4, 0, 0)

    def test_cmocka_with_failures_and_skips(self):
        self.expect(CMOCKA + "[  PASSED  ] 2 test(s).\n[  SKIPPED ] 1 test(s), listed below:\n"
                    "[  SKIPPED ] c\n[  FAILED  ] 1 test(s), listed below:\n[  FAILED  ] d\n",
                    False, 2, 1, 1)

    def test_cmocka_that_died(self):
        self.expect(CMOCKA, False, 2, 1, 0)

    def test_cmocka_that_passed_but_whose_program_failed_at_its_end(self):
        self.expect(CMOCKA + "[  PASSED  ] 4 test(s).\n==1==ERROR: LeakSanitizer\n", False, 4, 1, 0)

    def test_unittest(self):
        self.expect("....\n\nRan 4 tests in 0.1s\n\nOK\n", True, 4, 0, 0)

    def test_unittest_of_one(self):
        self.expect(".\n\nRan 1 test in 0.1s\n\nOK (skipped=1)\n", True, 0, 0, 1)

    def test_unittest_with_failures(self):
        self.expect("\nRan 9 tests in 0.1s\n\nFAILED (failures=1, errors=2, skipped=3)\n",
                    False, 3, 3, 3)

    def test_unittest_that_ran_nothing_is_a_failure(self):
        self.expect("\nRan 0 tests in 0.1s\n\nOK\n", True, 0, 1, 0)

    def test_program_of_no_known_kind(self):
        self.expect("hello\n", True, 1, 0, 0)
        self.expect("hello\n", False, 0, 1, 0)


if __name__ == "__main__":
    unittest.main()
